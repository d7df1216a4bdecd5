"""Exoskeleton arm: seven Dynamixel servos used as joint encoders, torque off, worn by the operator.

``NAME/joints``: ``position`` (7,) rad and ``velocity`` (7,) rad/s of the servo shafts, 0 = servo centre (register
2048); signs and offsets belong to calibration.  A servo that does not answer is NaN with its ``valid`` bits off,
never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from telerig.drivers.dynamixel_chain import Block, Chain, Pacer, gather, identify, set_return_delay, timing
from telerig.hardware.errors import ConfigError, DeviceOpenError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire import dynamixel_table as table

if TYPE_CHECKING:  # it imports the vendor's SDK
    from telerig.drivers.dynamixel_bus import Bus

BLOCK = Block(table.PRESENT_VELOCITY, table.PRESENT_POSITION)
JOINTS = ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw")


def check_chain(ids: Sequence[int], names: Sequence[str], rate_hz: float, baud: int, model: str) -> None:
    """What every chain's configuration must satisfy.  :raises ConfigError: one line saying what does not."""
    if len(ids) != len(names):
        raise ConfigError(f"ids: {len(ids)} servos for {len(names)} joints ({', '.join(names)})")
    if len(set(ids)) != len(ids) or not all(0 <= i <= 252 for i in ids):
        raise ConfigError(f"ids: {list(ids)} must be different numbers from 0 to 252")
    if rate_hz <= 0:
        raise ConfigError(f"rate_hz: {rate_hz} must be positive")
    if baud not in table.BAUD_CODES:
        raise ConfigError(f"baud: {baud} is none of {', '.join(map(str, table.BAUD_CODES))}")
    if model and model not in table.MODEL_NAMES:
        raise ConfigError(f"model: '{model}' is none of {', '.join(table.MODEL_NAMES)}")


@dataclass(frozen=True, slots=True)
class ExoArmConfig:
    """An exoskeleton arm in the rig file.

    :param port: ``/dev/serial/by-id/…`` of its USB adapter (opened by the session).
    :param baud: the servos' Baud Rate register; 4 Mbit/s carries a cycle of seven in 0.4 ms, 1 Mbit/s in 1.6 ms.
    :param ids: servo numbers, in the order of ``joint_names``.
    :param model: what all servos must be ("XL330-M077"); "" for any X-series servo.
    :param min_firmware: older firmware is refused.
    :param reply_timeout_ms: how long a cycle waits for the first reply; longer than a busy host is ever late, since a reply
        that is late is lost.  For those that follow it waits 20 ms at most.
    :param return_delay_us: written to the servos' Return Delay Time.
    :param wire_time: emulator only: replies take the time that the bus would.
    """

    port: str = ""
    baud: int = 4_000_000
    ids: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    joint_names: tuple[str, ...] = JOINTS
    rate_hz: float = 250.0
    model: str = ""
    min_firmware: int = 38
    reply_timeout_ms: float = 40.0
    return_delay_us: int = 0
    wire_time: bool = False

    def __post_init__(self) -> None:
        check_chain(self.ids, self.joint_names, self.rate_hz, self.baud, self.model)


class ExoArm:
    """The driver.  See :class:`telerig.hardware.protocols.Device`."""

    Config = ExoArmConfig

    def __init__(self, config: ExoArmConfig, context: DeviceContext) -> None:
        self._config, self._context = config, context
        n, names = len(config.ids), config.joint_names
        fields = (
            ArraySpec("position", (n,), "<f8", "rad", names),
            ArraySpec("velocity", (n,), "<f8", "rad/s", names),
        )
        self._spec = StreamSpec(f"{context.name}/joints", fields, config.rate_hz)
        self._chain: Chain | None = None

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """``NAME/joints``."""
        return (self._spec,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """None."""
        return ()

    def open(self) -> None:
        """Identify the servos and switch their torque off.

        One that does not answer is reported and left out.

        :raises DeviceOpenError: no servo answers.
        :raises DeviceIdentityError: wrong model or firmware.
        :raises DeviceLost: unplugged meanwhile.
        """
        from telerig.drivers.dynamixel_bus import Bus, servo_names

        config, context = self._config, self._context
        if context.open_port is None:
            raise DeviceOpenError(f"{context.name}: an exo_arm needs a port")
        name_of = servo_names(config.ids, config.joint_names)
        bus = Bus(context.open_port(), context.clock, config.baud, config.reply_timeout_ms * 1e-3, name_of)
        try:
            found = identify(bus, config.ids, config.model, config.min_firmware, context.name)
            for ident in found:
                self._prepare(bus, ident)
            chain = Chain(bus, config.ids, BLOCK, context, lambda i: self._prepare(bus, i))
        except BaseException:
            bus.close()
            raise
        for ident in config.ids:
            if ident not in found:
                chain.leave_out(ident)
        self._chain, self._pacer = chain, Pacer(context.clock, config.rate_hz, context.phase)

    def _prepare(self, bus: Bus, ident: int) -> None:
        """Torque off (also after a servo has come back), quick replies."""
        bus.write(ident, table.TORQUE_ENABLE, 0)
        set_return_delay(bus, ident, self._config.return_delay_us)

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """One sample a period; none if nobody answered.  :raises DeviceLost: unplugged, or no answers for 0.5 s."""
        if self._chain is None:
            raise DeviceOpenError(f"{self._context.name}: not open")
        if not self._pacer.wait(timeout_s):
            return []
        reading = self._chain.cycle()
        if not reading.errors:
            return []
        (velocity, position), valid = gather(reading, self._config.ids, BLOCK)
        t_sample, sigma = timing(reading, self._config.return_delay_us)
        data = {
            "position": (position - table.CENTRE) * table.RAD_PER_TICK,
            "velocity": velocity * table.RAD_S_PER_UNIT,
        }
        return [Sample(self._spec.name, reading.t1, t_sample, data, sigma, valid=np.concatenate((valid, valid)))]

    def close(self) -> None:
        """Close the port; the arm stays limp."""
        if self._chain is not None:
            self._chain.bus.close()
            self._chain = None
