"""What all streaming serial devices share: opening, reading in ``select``, counting losses, reporting them.

A driver says what it streams and turns a chunk of bytes into samples; :class:`SerialStream` does the rest.
:class:`FramedStream` adds what telerig's binary frame allows: who the device is, and when it measured.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.loss_report import LossReport
from telerig.hardware.clockfit import ClockFit
from telerig.hardware.errors import DataError, DeviceIdentityError, DeviceOpenError
from telerig.hardware.protocols import DeviceContext, Port
from telerig.hardware.samples import Sample, Value
from telerig.hardware.specs import StreamSpec
from telerig.hardware.wire.frame import VERSION, Frame, FrameParser, Unwrap, encode_frame
from telerig.hardware.wire.messages import DeviceType, Identity, Message, Side

IDENTIFY_TRIES = 4
IDENTIFY_NS = 150_000_000  # a board answers within a frame or two; four tries stay below the worker's heartbeat


class SerialStream(ABC):
    """A device that sends by itself over a serial port.  Subclasses implement :meth:`decode`."""

    def __init__(self, context: DeviceContext, streams: tuple[StreamSpec, ...]) -> None:
        self.context, self.streams = context, streams
        self.inputs: tuple[str, ...] = ()
        self.losses = LossReport(context)
        self._port: Port | None = None

    def open(self) -> None:
        """Open the port and make sure of what is on it.

        :raises DeviceOpenError: there is no port, or nothing answers on it.
        :raises DeviceIdentityError: something else than the device configured is on it.
        """
        if self.context.open_port is None:
            raise DeviceOpenError(
                f"{self.context.name}: no port; give devices.{self.context.name}.port, or emulate = true"
            )
        self.losses = LossReport(self.context)
        self._port = self.context.open_port()
        try:
            self.greet(self._port)
        except BaseException:
            self.close()
            raise

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """All samples that arrived, waiting at most ``timeout_s`` for the first.  :raises DeviceLost: unplugged."""
        if self._port is None:
            raise DeviceOpenError(f"{self.context.name}: read before open")
        clock = self.context.clock
        deadline = clock.now() + int(timeout_s * 1e9)
        samples: Sequence[Sample] = self.pending()
        while not samples:
            chunk = self._port.read(max(0.0, (deadline - clock.now()) / 1e9))
            if not chunk:
                break
            samples = self.decode(chunk, clock.now())
        self.report()
        return samples

    def close(self) -> None:
        """Close the port; report losses that were not told yet."""
        if self._port is not None:
            self._port.close()
            self._port = None
            self.report(last=True)

    def greet(self, port: Port) -> None:  # noqa: B027  (a device that cannot be asked is not asked)
        """Called when the port has been opened; may talk to the device and refuse it."""

    def pending(self) -> list[Sample]:
        """Samples that arrived outside ``read`` (while greeting)."""
        return []

    @abstractmethod
    def decode(self, chunk: bytes, t_arrival: int) -> list[Sample]:
        """Samples from the bytes that arrived at ``t_arrival`` (ns, session clock)."""

    @abstractmethod
    def report(self, last: bool = False) -> None:
        """Give :attr:`losses` the present totals; called after every read and, with ``last``, on closing."""


class FramedStream(SerialStream):
    """A device that speaks telerig's binary frame (docs/wire.md).  Subclasses implement :meth:`values`.

    :param message: the message type that carries the samples of the only stream.
    :param expected: what must be on the port; its firmware is not compared, and an empty serial number matches any.
    """

    def __init__(self, context: DeviceContext, stream: StreamSpec, message: Message, expected: Identity) -> None:
        super().__init__(context, (stream,))
        self._message, self._expected = message, expected
        self._begin()

    def _begin(self) -> None:
        self.parser, self.fit = FrameParser(), ClockFit()
        self.identity: Identity | None = None
        self._seq, self._clock = Unwrap(), Unwrap()
        self._early: list[Sample] = []

    @abstractmethod
    def values(self, payload: bytes) -> tuple[Mapping[str, Value], NDArray[np.bool_]]:
        """The stream's fields and valid bits from a message's payload.  :raises DataError: it has another length."""

    def greet(self, port: Port) -> None:
        """Ask the device who it is and refuse what is not expected."""
        self._begin()
        clock = self.context.clock
        for attempt in range(IDENTIFY_TRIES):
            port.write(encode_frame(Frame(Message.IDENTIFY, attempt, 0, b"")))
            deadline = clock.now() + IDENTIFY_NS
            while chunk := port.read(max(0.0, (deadline - clock.now()) / 1e9)):
                self._early += self.decode(chunk, clock.now())
                if self.identity is not None:
                    return self._check(self.identity)
                if clock.now() >= deadline:
                    break
        raise DeviceOpenError(f"{self.context.name}: {self._silence()}")

    def _silence(self) -> str:
        """Why nobody answered, as far as it can be told."""
        if self.parser.frames:
            return "the device sends frames but does not answer 'identify' (docs/wire.md)"
        if self.parser.resync_bytes:
            n = self.parser.resync_bytes
            return f"{n} bytes came, no telerig frame among them: another device's port or baud rate?"
        return f"the port is there, but nothing answers on it within {IDENTIFY_TRIES * IDENTIFY_NS / 1e9:g} s"

    def _check(self, found: Identity) -> None:
        """:raises DeviceIdentityError: another kind of device, hand, piece or rate than the rig file says."""
        want = self._expected
        for what, is_, should in (
            ("a", _device_name(found), _device_name(want)),
            ("serial number", found.serial, want.serial or found.serial),
            ("number of channels", found.channels, want.channels),
            ("rate in Hz", found.rate_hz, want.rate_hz),
        ):
            if is_ != should:
                who = f"{_device_name(found)} {found.serial}"
                raise DeviceIdentityError(
                    f"{self.context.name}: {what} {should} belongs on this port; {who} says {is_}"
                )

    def pending(self) -> list[Sample]:
        """What arrived while the device was asked who it is."""
        early, self._early = self._early, []
        return early

    def decode(self, chunk: bytes, t_arrival: int) -> list[Sample]:
        """Samples from a chunk.  :raises DeviceIdentityError: a frame of another wire version."""
        samples = []
        for frame in self.parser.feed(chunk):
            if frame.version != VERSION:
                versions = f"it speaks wire version {frame.version}, this telerig {VERSION}"
                raise DeviceIdentityError(f"{self.context.name}: wrong firmware: {versions}")
            try:
                if frame.type == self._message:
                    samples.append(self._sample(frame, t_arrival))
                elif frame.type == Message.IDENTITY:
                    self.identity = Identity.unpack(frame.payload)
            except DataError as error:
                raise DeviceIdentityError(f"{self.context.name}: wrong firmware: {error}")
        return samples

    def _sample(self, frame: Frame, t_arrival: int) -> Sample:
        t_device = self._clock(frame.clock_us) * 1000
        t_sample, sigma = self.fit.update(t_device, t_arrival)
        data, valid = self.values(frame.payload)
        seq = self._seq(frame.seq)
        return Sample(self.streams[0].name, t_arrival, t_sample, data, sigma, t_device, seq, valid)

    def report(self, last: bool = False) -> None:
        """Frames missing by their numbers, and bytes that arrived damaged."""
        self.losses.update(
            "device.lost_samples", self.parser.lost, "samples lost on the way (gaps in the sequence)", last
        )
        self.losses.update("device.crc_errors", self.parser.crc_errors, "damaged frames refused (CRC)", last)
        self.losses.update(
            "device.restarted", self.parser.restarts, "restarts of the device (sequence began anew)", last
        )


def _device_name(identity: Identity) -> str:
    """``left glove``, ``pedal box`` or, for what this telerig does not know, its number."""
    try:
        name = DeviceType(identity.device).name.lower().replace("_", " ")
        side = Side(identity.side).name.lower()
    except ValueError:
        return f"unknown device (type {identity.device}, side {identity.side})"
    return name if identity.side == Side.NONE else f"{side} {name}"
