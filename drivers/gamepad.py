"""A gamepad, or pedals that are one (``/dev/input/js0``): four axes and three buttons instead of the pedal box.

The kernel sends events when something changes, and everything once when the device is opened; the driver gives the
present state a hundred times a second.  Until every control it was told of has been heard, it gives nothing: what nobody
knows can neither enable nor stop.  A radio pad that the kernel still believes in although it is out of reach looks like
one that nobody touches: use a wired one where that matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from telerig.hardware.errors import ConfigError, DeviceOpenError
from telerig.hardware.protocols import DeviceContext, Port
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire.joystick import Decoder

AXES = ("forward", "left", "turn", "height")
SWITCHES = ("enable", "episode", "stop")


@dataclass(frozen=True, slots=True)
class GamepadConfig:
    """Rig keys.  Numbers are the kernel's; ``jstest`` shows them.

    :param port: ``/dev/input/js0``, better a name below ``/dev/input/by-id/``.
    :param axes: which of its axes are forward, left, turn (left) and height (up); −1 for none.
    :param invert: which of them are turned round: sticks count down and right as positive.
    :param buttons: enable (held to drive), episode, stop (pressed: e-stop); −1 for none, but not for enable or stop.
    """

    port: str = ""
    axes: tuple[int, int, int, int] = (1, 0, 3, 4)
    invert: tuple[bool, bool, bool, bool] = (True, True, True, True)
    buttons: tuple[int, int, int] = (4, 0, 1)
    rate_hz: float = 100.0

    def __post_init__(self) -> None:
        used = [a for a in self.axes if a >= 0]
        if len(set(used)) != len(used) or min(self.axes) < -1:
            raise ConfigError(f"axes are {list(self.axes)}; different numbers from 0 on, or -1, are right")
        pressed = [b for b in self.buttons if b >= 0]
        if self.buttons[0] < 0 or self.buttons[2] < 0 or len(set(pressed)) != len(pressed) or min(self.buttons) < -1:
            raise ConfigError(f"buttons are {list(self.buttons)}; enable and stop are needed, each another button")
        if not 20 <= self.rate_hz <= 500:
            raise ConfigError(f"rate_hz is {self.rate_hz}; 20 to 500 is right")


def gamepad_stream(name: str, rate_hz: float) -> StreamSpec:
    """``NAME/pedals``: ``axes`` −1…1; switches as a pedal box has them, 1 = closed, *stop* normally closed."""
    axes = ArraySpec("axes", (len(AXES),), "<f8", "", AXES, low=-1.0, high=1.0)
    switches = ArraySpec("switches", (len(SWITCHES),), "<u1", "", SWITCHES, low=0.0, high=1.0)
    return StreamSpec(f"{name}/pedals", (axes, switches), rate_hz)


class Gamepad:
    """Streams ``NAME/pedals``."""

    Config = GamepadConfig
    reads_file = True  # its port is no serial one
    inputs: tuple[str, ...] = ()

    def __init__(self, config: GamepadConfig, context: DeviceContext) -> None:
        self.config, self.context = config, context
        self.streams = (gamepad_stream(context.name, config.rate_hz),)
        self._period = round(1e9 / config.rate_hz)
        self._port: Port | None = None
        self._forget()

    def _forget(self) -> None:
        self._decoder = Decoder()
        self._axes: dict[int, float] = {}
        self._buttons: dict[int, float] = {}
        self._due: int | None = None

    def open(self) -> None:
        """:raises DeviceOpenError: not there, or no permission."""
        if self.context.open_port is None:
            raise DeviceOpenError(f"{self.context.name}: no port; give devices.{self.context.name}.port")
        self.close()
        self._port = self.context.open_port()

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """The present state when it is due.  :raises DeviceLost: unplugged."""
        if self._port is None:
            raise DeviceOpenError(f"{self.context.name}: read before open")
        clock = self.context.clock
        now = clock.now()
        due = self._due = now if self._due is None else self._due
        end = min(due, now + round(timeout_s * 1e9))
        while True:
            for event in self._decoder.feed(self._port.read(max(0.0, (end - clock.now()) / 1e9))):
                (self._axes if event.axis else self._buttons)[event.number] = event.value
            if clock.virtual or clock.now() >= end:
                break
        now = clock.now()
        if now < due:
            return []
        self._due = due + (1 + (now - due) // self._period) * self._period
        return self._sample(now)

    def _sample(self, now: int) -> list[Sample]:
        c = self.config
        if any(a >= 0 and a not in self._axes for a in c.axes):
            return []
        if any(b >= 0 and b not in self._buttons for b in c.buttons):
            return []
        values = [0.0 if a < 0 else self._axes[a] * (-1.0 if turned else 1.0)
                  for a, turned in zip(c.axes, c.invert, strict=True)]  # fmt: skip
        enable, episode, stop = (self._buttons.get(b, 0.0) for b in c.buttons)
        switches = np.array([enable, episode, 1.0 - stop], np.uint8)
        data = {"axes": np.array(values), "switches": switches}
        return [Sample(self.streams[0].name, now, now, data, self._period // 2)]

    def close(self) -> None:
        """Close the port; what was known is forgotten."""
        if self._port is not None:
            self._port.close()
            self._port = None
        self._forget()
