"""One emulated serial port: a pseudo-terminal that can be unplugged, and a pipe that can be bad."""

from __future__ import annotations

import os
import random
import tty
from collections import deque
from pathlib import Path

from telerig.drivers.emulation_sensor import FaultBox

CHUNK = 65536


class Pty:
    """A raw pseudo-terminal and a symbolic link to it, as in ``/dev/serial/by-id``, so that re-plugging finds it.

    This end keeps the other one open as well: its terminal settings last, and nobody listening is not "unplugged".
    """

    def __init__(self, link: Path) -> None:
        self.link = link
        self.fd, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.fd, False)
        fresh = link.with_name(f".{link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._slave))
        os.replace(fresh, link)

    def read(self) -> bytes:
        """What the host has written; never waits."""
        try:
            return os.read(self.fd, CHUNK)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> int:
        """Write what fits and return how much that was; never waits, not even for a reader that is stopped."""
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Pull the plug: the link goes, and whoever reads is told."""
        self.link.unlink(missing_ok=True)
        os.close(self.fd)
        os.close(self._slave)


class Pipe:
    """A port with the faults that belong to cables, not to devices.

    ``unplug`` (gone, for ``seconds``), ``corrupt`` (each chunk with probability ``p`` has one byte changed), ``drop``
    (each chunk is lost with probability ``p``; a chunk is what the device sends at one instant), ``delay`` (``ms``; to
    the host only).  Bytes that find the port full are dropped and counted: nothing here ever blocks.
    """

    FAULTS = ("unplug", "corrupt", "drop", "delay")

    def __init__(self, link: Path, seed: int) -> None:
        self.faults = FaultBox(self.FAULTS)
        self.bytes_in = self.bytes_out = self.bytes_dropped = self.unplugged = 0
        self._link = link
        self._pty: Pty | None = Pty(link)
        self._random = random.Random(seed)
        self._late: deque[tuple[int, bytes]] = deque()

    @property
    def plugged(self) -> bool:
        """Whether the port is there."""
        return self._pty is not None

    @property
    def fd(self) -> int | None:
        """For select; None while unplugged."""
        return None if self._pty is None else self._pty.fd

    def update(self, now: int) -> None:
        """Unplug, plug in, deliver what was delayed, as far as it is due."""
        if self.faults:
            self.faults.at(now)
        gone = self.faults.get("unplug") is not None
        if gone and self._pty is not None:
            self.close()
            self.unplugged += 1
        elif not gone and self._pty is None:
            self._pty = Pty(self._link)
        while self._late and self._late[0][0] <= now:
            self._put(self._late.popleft()[1])

    def next_due(self) -> int | None:
        """When delayed bytes are to be delivered, or a fault ends."""
        if not self._late and not self.faults:
            return None
        late = [self._late[0][0]] if self._late else []
        return min(late + self.faults.ends(), default=None)

    def receive(self) -> bytes:
        """Bytes from the host, as far as they came through."""
        data = self._pty.read() if self._pty is not None else b""
        self.bytes_in += len(data)
        return self._spoil(data) if data and self.faults else data

    def send(self, now: int, data: bytes) -> None:
        """Bytes to the host, as far as they get through."""
        if self.faults:
            data = self._spoil(data)
            delay = self.faults.get("delay")
            if delay is not None:
                self._late.append((now + round(delay.get("ms", 20.0) * 1e6), data))
                return
        if self._late:  # a delay that has just ended must not let new bytes overtake old ones
            self._late.append((self._late[-1][0], data))
            return
        self._put(data)

    def close(self) -> None:
        """Pull the plug."""
        if self._pty is not None:
            self._pty.close()
            self._pty = None
        self._late.clear()

    def _put(self, data: bytes) -> None:
        if self._pty is not None and data:
            done = self._pty.write(data)
            self.bytes_out += done
            self.bytes_dropped += len(data) - done

    def _spoil(self, data: bytes) -> bytes:
        drop, corrupt = self.faults.get("drop"), self.faults.get("corrupt")
        if drop is not None and self._random.random() < drop.get("p", 1.0):
            return b""
        if data and corrupt is not None and self._random.random() < corrupt.get("p", 1.0):
            at = self._random.randrange(len(data))
            return data[:at] + bytes([data[at] ^ self._random.randrange(1, 256)]) + data[at + 1 :]
        return data
