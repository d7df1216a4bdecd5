"""Late readers: a viewer or a benchmark gets a running session's streams over its Unix socket (SCM_RIGHTS)."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telerig.hardware.clock import RealClock
from telerig.hardware.errors import ConfigError
from telerig.hardware.specs import StreamSpec
from telerig.teleop.control import ControlBlock
from telerig.teleop.stream import SharedReader, StreamMemory, StreamWriter

_PER_MESSAGE = 200  # the kernel passes at most 253 descriptors in one message


class StreamServer:
    """Hands out descriptors to local processes of the same user (the socket's mode is 0600).

    :param told: what goes with them: ``offset_ns`` of the session's clock, its ``facts``.
    """

    def __init__(
        self, path: Path, memories: Mapping[str, StreamMemory], control: ControlBlock, told: Mapping[str, Any]
    ) -> None:
        self._path, self._memories, self._control, self._told = path, memories, control, told
        path.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        os.chmod(path, 0o600)
        self._server.listen(8)
        self._thread = threading.Thread(target=self._serve, name="stream-server", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return  # closed
            with client:
                try:
                    self._answer(client)
                except OSError:
                    continue  # the client went away

    def _answer(self, client: socket.socket) -> None:
        names = list(self._memories)
        head = {**self._told, "streams": [self._memories[n].spec.to_json() for n in names]}
        body = json.dumps(head).encode()
        client.sendall(len(body).to_bytes(4, "big") + body)
        fds = [self._control.fd, *(self._memories[n].fd for n in names)]
        for i in range(0, len(fds), _PER_MESSAGE):
            socket.send_fds(client, [b"f"], fds[i : i + _PER_MESSAGE])
            client.recv(1)

    def close(self) -> None:
        """Stop serving; who is attached stays attached."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._path.unlink(missing_ok=True)


class Attached:
    """A running session as an outsider sees it: readers, the clock, the control block, facts."""

    def __init__(self, folder: Path) -> None:
        path = folder if folder.is_socket() else folder / "session.sock"
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            client.connect(str(path))
        except OSError as error:
            client.close()
            raise ConfigError(f"{path}: no running session answers there ({error.strerror})")
        with client:
            size = int.from_bytes(client.recv(4, socket.MSG_WAITALL), "big")
            head = json.loads(client.recv(size, socket.MSG_WAITALL))
            fds: list[int] = []
            while len(fds) < len(head["streams"]) + 1:
                _, some, _, _ = socket.recv_fds(client, 1, _PER_MESSAGE)
                fds += some
                client.sendall(b"k")
        self.clock = RealClock(head["offset_ns"])
        self.control = ControlBlock(fds[0])
        self.facts: dict[str, Any] = head["facts"]
        specs = [StreamSpec.from_json(s) for s in head["streams"]]
        self._memories = {s.name: StreamMemory(s, fd) for s, fd in zip(specs, fds[1:], strict=True)}
        self.readers = {name: SharedReader(memory) for name, memory in self._memories.items()}

    def writer(self, stream: str) -> StreamWriter:
        """The writing end of a stream that nobody in the session writes: emulated sensor values, moved from outside."""
        return StreamWriter(self._memories[stream])
