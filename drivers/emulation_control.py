"""How tests, demos and people make emulated devices misbehave: JSON lines over a Unix socket in the ports' folder.

A request is ``{"device": "left_glove", "fault": "unplug", "seconds": 2}``; the answer ``{"ok": true}`` or
``{"ok": false, "error": "…"}``.  ``{"query": "status"}`` is answered with every device's counters.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from telerig.hardware.errors import ConfigError, DeviceOpenError, TelerigError

NAME = "control.sock"
MAX_REQUEST = 65536
Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@contextmanager
def _address(folder: Path) -> Iterator[str]:
    """The socket's path through a descriptor of its folder: socket paths end at 107 characters, folders may be deep."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{NAME}"
    finally:
        os.close(fd)


class ControlServer:
    """The host's end; never waits for a client."""

    def __init__(self, folder: Path, handle: Handler) -> None:
        self._path, self._handle = folder / NAME, handle
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setblocking(False)
        self._fd = self._listener.fileno()
        with _address(folder) as address:
            self._listener.bind(address)
        self._listener.listen(16)
        self._clients: dict[int, tuple[socket.socket, bytearray]] = {}

    def filenos(self) -> list[int]:
        """For select."""
        return [self._fd, *self._clients]

    def serve(self, ready: Sequence[int]) -> None:
        """Answer every request that came on the descriptors that are ready."""
        for fd in ready:
            if fd == self._fd:
                client, _ = self._listener.accept()
                client.setblocking(False)
                self._clients[client.fileno()] = (client, bytearray())
            elif fd in self._clients:
                self._listen(fd)

    def close(self) -> None:
        """Close everything and take the socket's file away."""
        for client, _ in self._clients.values():
            client.close()
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _listen(self, fd: int) -> None:
        client, buffer = self._clients[fd]
        try:
            data = client.recv(MAX_REQUEST)
            buffer += data
            while (end := buffer.find(b"\n")) >= 0:
                line = bytes(buffer[:end])
                del buffer[: end + 1]
                client.send(json.dumps(self._answer(line)).encode() + b"\n")
        except OSError:
            data = b""
        if not data or len(buffer) > MAX_REQUEST:
            client.close()
            del self._clients[fd]

    def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ConfigError("a request is a JSON object")
            return {"ok": True, **self._handle(request)}
        except (ValueError, TypeError, KeyError, TelerigError) as error:
            return {"ok": False, "error": str(error)}


def ask(folder: Path | str, request: Mapping[str, Any], timeout_s: float = 2.0) -> dict[str, Any]:
    """One request, one answer.

    :raises DeviceOpenError: no emulation runs in that folder, or it does not answer.
    :raises ConfigError: it refused; the text says why.
    """
    try:
        with socket.socket(socket.AF_UNIX) as client, _address(Path(folder)) as address:
            client.settimeout(timeout_s)
            client.connect(address)
            client.sendall(json.dumps(request).encode() + b"\n")
            with client.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline())
    except (OSError, ValueError) as error:
        raise DeviceOpenError(f"{folder}: no emulated devices answer here: {error}") from error
    if not answer.pop("ok"):
        raise ConfigError(str(answer["error"]))
    return answer


def send_fault(folder: Path | str, device: str, kind: str, **how: float) -> None:
    """Make an emulated device or its cable misbehave: ``send_fault(ports, "left_glove", "unplug", seconds=2)``.

    :raises DeviceOpenError: no emulation runs in that folder.
    :raises ConfigError: no such device or fault.
    """
    ask(folder, {"device": device, "fault": kind, **how})
