"""The simulated robot's bus over a Unix socket: the client's port and the world's server.

``SOCK_SEQPACKET`` keeps message boundaries and tells each side at once when the other is gone.  A path that begins with
``@`` is an abstract name, which the kernel frees with its last user.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from collections.abc import Callable

from telerig.hardware.errors import DeviceError, DeviceLost, DeviceOpenError
from telerig.hardware.wire import simbus

PATH_LIMIT = 107  # sun_path
WRITE_TIMEOUT_S = 0.2


def _address(path: str) -> str:
    if len(path.encode()) > PATH_LIMIT:
        raise DeviceOpenError(f"{path}: a socket's path may have {PATH_LIMIT} bytes, this has {len(path.encode())}")
    return "\0" + path[1:] if path.startswith("@") else path


class UnixPort:
    """A robot client's end; a :class:`~telerig.hardware.protocols.Port`.

    :raises DeviceOpenError: no world serves that path.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._rest = b""
        try:
            self._socket.connect(_address(path))
        except OSError as error:
            self._socket.close()
            raise DeviceOpenError(f"{path}: no simulated world there: {error.strerror}") from error
        except DeviceOpenError:
            self._socket.close()
            raise
        self._socket.settimeout(WRITE_TIMEOUT_S)

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def read(self, timeout_s: float = 0.0, max_bytes: int = 65536) -> bytes:
        """What is there as soon as anything is; b"" after ``timeout_s``.  :raises DeviceLost: the world is gone."""
        if not self._rest:
            try:
                ready, _, _ = select.select([self._socket], [], [], max(0.0, timeout_s))
                if not ready:
                    return b""
                self._rest = self._socket.recv(simbus.MAX_MESSAGE)
            except (OSError, ValueError) as error:
                raise DeviceLost(f"{self.path}: {error}") from error
            if not self._rest:
                raise DeviceLost(f"{self.path}: the simulated world has ended")
        data, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
        return data

    def write(self, data: bytes) -> None:
        """One message.  :raises DeviceLost: the world is gone or takes nothing for 0.2 s."""
        try:
            self._socket.send(data)
        except OSError as error:
            raise DeviceLost(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Close."""
        self._socket.close()


Serve = Callable[[simbus.Decoder, bytes], bytes]


def _receive(client: socket.socket) -> bytes:
    """One message.  :raises ConnectionResetError: the other end is gone and everything it said has been read."""
    try:
        data = client.recv(simbus.MAX_MESSAGE)
    except ConnectionResetError:
        # Who hangs up before reading its last reply: the kernel tells that once, ahead of what is still queued, and
        # "torque off" may be queued.
        data = client.recv(simbus.MAX_MESSAGE)
    if not data:
        raise ConnectionResetError
    return data


class SocketServer:
    """The world's end: accepts robot clients and answers them while the world waits for its next deadline.

    :param serve: ``serve(decoder, bytes) -> reply``; one decoder a client.  What it raises drops that client.
    :raises DeviceOpenError: the path is too long, its folder is missing, or a live world serves it already.
    """

    def __init__(self, path: str, serve: Serve) -> None:
        self.path = path
        self._serve = serve
        self._clients: dict[socket.socket, simbus.Decoder] = {}
        address = _address(path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._remove_stale(address)
            self._listener.bind(address)
            self._listener.listen(4)
        except OSError as error:
            self._listener.close()
            raise DeviceOpenError(f"{path}: cannot serve a robot there: {error.strerror}") from error
        self._listener.setblocking(False)

    def _remove_stale(self, address: str) -> None:
        if address.startswith("\0") or not os.path.exists(address):
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
            try:
                probe.connect(address)
            except ConnectionRefusedError:  # left by a world that was killed
                os.unlink(address)

    @property
    def clients(self) -> int:
        """How many robots are connected."""
        return len(self._clients)

    def wait(self, timeout_s: float) -> None:
        """Answer whatever has arrived; wait at most ``timeout_s`` for something."""
        ready, _, _ = select.select([self._listener, *self._clients], [], [], max(0.0, timeout_s))
        for sock in ready:
            if sock is self._listener:
                self._accept()
            else:
                self._answer(sock)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            client.setblocking(False)
            self._clients[client] = simbus.Decoder()

    def _answer(self, client: socket.socket) -> None:
        try:
            reply = self._serve(self._clients[client], _receive(client))
        except BlockingIOError:
            return
        except (OSError, DeviceError):
            del self._clients[client]
            client.close()
            return
        if reply:
            # who does not read its replies (stopped) loses them; who has hung up may have left a last wish behind
            with contextlib.suppress(OSError):
                client.send(reply)

    def close(self) -> None:
        """Hang up on everyone and remove the path."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        self._listener.close()
        if not self.path.startswith("@"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
