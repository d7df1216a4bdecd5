"""The vendor SDK's port, on telerig's :class:`~telerig.hardware.protocols.Port`.

``dynamixel_sdk.PortHandler`` spins on a non-blocking serial port (60–85 % of a core), waits a hard-coded 34 ms for a
silent servo, and after an unplugged cable stays "in use" for ever.  This one waits in ``select`` (or, in virtual time,
takes "nothing there" as the end of the wait), has its own time-out, and cannot loop for ever.
"""

from __future__ import annotations

from typing import Any

from dynamixel_sdk.port_handler import PortHandler

from telerig.hardware.protocols import Clock, Port
from telerig.hardware.wire.dynamixel import BITS_PER_BYTE

MAX_BYTES_PER_EXCHANGE = 8192  # a bus that babbles more than this in one exchange is cut off


class BusPort(PortHandler):  # type: ignore[misc]
    """A ``PortHandler`` to hand to the SDK's packet handler.

    :param baud: for the time that packets take on the wire; the port's owner sets the real one.
    :param patience_s: how long to wait for a reply beyond its time on the wire.  May be changed at any time.
    """

    def __init__(self, port: Port, clock: Clock, baud: int, patience_s: float) -> None:
        super().__init__("telerig")
        self.port, self.clock, self.patience_s = port, clock, patience_s
        self.is_open = True
        self._buffer = bytearray()
        self._deadline = self._latest = 0  # the latest: what the packet was given at first
        self._expired = False
        self._budget = MAX_BYTES_PER_EXCHANGE
        self.setBaudRate(baud)

    # -- what the SDK calls ---------------------------------------------------------------------------------------
    def openPort(self) -> bool:
        """Already open: whoever made the port opened it."""
        return self.is_open

    def closePort(self) -> None:
        """Close the pipe."""
        self.is_open = False
        self.is_using = False
        self.port.close()

    def setBaudRate(self, baudrate: int) -> bool:
        """Only the arithmetic of time-outs."""
        self.baudrate = baudrate
        self.tx_time_per_byte = BITS_PER_BYTE * 1000.0 / baudrate  # ms, as in the SDK
        return True

    def clearPort(self) -> None:
        """Throw away what is left of earlier exchanges.  :raises DeviceLost: unplugged."""
        self._buffer.clear()
        self._budget = MAX_BYTES_PER_EXCHANGE
        self._expired = False
        while self._budget > 0 and self._fetch(0.0):
            self._buffer.clear()
        self._budget = MAX_BYTES_PER_EXCHANGE

    def getBytesAvailable(self) -> int:
        """Bytes that can be read without waiting."""
        self._fetch(0.0)
        return len(self._buffer)

    def writePort(self, packet: Any) -> int:
        """Send; the number of bytes.  :raises DeviceLost: unplugged (and the port is free again)."""
        data = bytes(packet)
        try:
            self.port.write(data)
        except BaseException:
            self.is_using = False
            raise
        return len(data)

    def readPort(self, length: int) -> bytes:
        """Up to ``length`` bytes, fewer if no more come in time.  Waits at most until the packet's deadline."""
        if length <= 0:
            return b""
        if len(self._buffer) < length:
            self._wait()
        data = bytes(self._buffer[:length])
        del self._buffer[:length]
        return data

    def setPacketTimeout(self, packet_length: int) -> None:
        """Expect ``packet_length`` bytes."""
        self.setPacketTimeoutMillis(self.tx_time_per_byte * packet_length + self.patience_s * 1000.0)

    def setPacketTimeoutMillis(self, msec: float) -> None:
        """Expect the rest within ``msec``."""
        self._deadline = self._latest = self.clock.now() + round(msec * 1e6)
        self._expired = False

    def isPacketTimeout(self) -> bool:
        """The last wait ended with nothing."""
        return self._expired

    def getCurrentTime(self) -> float:
        """ms, session clock (the SDK's own uses a clock that can jump)."""
        return self.clock.now() / 1e6

    # -- what telerig calls ---------------------------------------------------------------------------------------
    def hurry(self, patience_s: float, size: int) -> None:
        """The next ``size`` bytes must come within ``patience_s`` beyond their time on the wire, at most the packet's own."""
        wire_s = self.tx_time_per_byte * size / 1000.0
        self._deadline = min(self._latest, self.clock.now() + round((patience_s + wire_s) * 1e9))

    def receive(self) -> bytes:
        """All that is there, waiting for the first byte; b"" when the packet's time is up."""
        if not self._buffer:
            self._wait()
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def _wait(self) -> None:
        if self._expired:
            return
        left = (self._deadline - self.clock.now()) * 1e-9
        # Past the deadline bytes that are already here still count: a host that woke up late must not lose a reply.
        if not self._fetch(max(0.0, left)) or self._budget <= 0:
            self._expired = True

    def _fetch(self, timeout_s: float) -> int:
        """Bytes added to the buffer.  An error frees the port: the SDK alone would answer "port in use" ever after."""
        try:
            data = self.port.read(timeout_s)
        except BaseException:
            self.is_using = False
            raise
        self._buffer += data
        self._budget -= len(data)
        return len(data)
