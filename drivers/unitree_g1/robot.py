"""Unitree G1 with three-finger hands, low-level over DDS: the actuator ``unitree_g1``.

Low-level means that nobody else keeps the robot up: its motion service has to be released, and it hangs in a gantry
(docs/robots/g1.md).  Position targets of arms and hands come from telerig; legs and waist are held where they were found,
or left damped.  A thread of the driver's own sends the newest command ``rate_hz`` times a second, another takes states as
they arrive; what is sent, and when the robot is let down, is :mod:`telerig.drivers.unitree_g1.commander`'s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from telerig.drivers.unitree_g1 import dds
from telerig.drivers.unitree_g1.commander import Commander, Limits
from telerig.drivers.unitree_g1.dds import Bus
from telerig.drivers.unitree_g1.legs import LegDrive
from telerig.drivers.unitree_g1.link import Link
from telerig.drivers.unitree_g1.motors import BODY, LOWER, SIDES, gains, hand_joints
from telerig.drivers.unitree_g1.samples import Reading, Sampler
from telerig.drivers.unitree_g1.state import BUTTONS
from telerig.hardware.commands import Command, Mode, TargetSpec
from telerig.hardware.embodiment import Embodiment, load_embodiment
from telerig.hardware.errors import CommandRefused, ConfigError, DeviceError, DeviceLost
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec
from telerig.hardware.wire.unitree_hg import MACHINES_29, MACHINES_29_WAIST_LOCKED

LEGS = ("hold", "damp")
REST = 0.05  # rad/s: at rest
LONGEST_SETTLE_S = 2.5  # a worker that closes for more than 3 s is killed


@dataclass(frozen=True, slots=True)
class UnitreeG1Config:
    """A G1 in the rig file.

    :param interface: network interface to the robot (``ip link``); ``lo``, where only emulators are, unless said.
    :param domain: DDS domain; the robot's is 0.
    :param emulated: only telerig's emulator will do, a robot is refused; the rig then counts as simulated.
    :param mode_machine: what the robot may say it is (docs/robots/g1.md); 5: 29 joints, waist not locked.
    :param target: of the embodiment; joints that the robot does not have (hands, without ``hands``) are left out.
    :param legs: what legs and waist do meanwhile: ``hold`` where they were found, or ``damp``.
    :param hands: whether it has three-finger hands.
    :param left_fingers, right_fingers: order of the fingers on the wire; empty: thumb, middle, index; thumb, index, middle.
    :param rate_hz: how often commands are sent: 500 are usual, more leave room for a late one.
    :param gains: ``{ shoulder = [kp, kd] }``, by part of the joints' names, where they are not those of ``motors.py``.
    :param watchdog_hold_s, watchdog_damp_s: no goals for so long: hold; damp.
    :param state_timeout_s: nothing heard of the robot for so long: damp.
    :param stop_buttons: all of these held down on the robot's remote control: damp; empty for none.
    :param open_timeout_s: how long to wait for the robot's first state.
    :param settle_s: how long to wait for it to rest when closing, at most 2.5 s.
    """

    embodiment: str = "g1_like"
    interface: str = dds.LOOPBACK
    domain: int = 0
    emulated: bool = False
    mode_machine: tuple[int, ...] = (5,)
    target: str = "upper"
    legs: str = "hold"
    hands: bool = True
    left_fingers: tuple[str, ...] = ()
    right_fingers: tuple[str, ...] = ()
    rate_hz: float = 550.0
    gains: dict[str, tuple[float, ...]] = field(default_factory=dict)
    watchdog_hold_s: float = 0.15
    watchdog_damp_s: float = 1.0
    state_timeout_s: float = 0.1
    stop_buttons: tuple[str, ...] = ("L2", "B")
    open_timeout_s: float = 3.0
    settle_s: float = 1.0

    def __post_init__(self) -> None:
        dds.check_interface(self.interface)
        if self.emulated and self.interface != dds.LOOPBACK:
            raise ConfigError(f"interface: an emulated robot is reached over lo, not over {self.interface}")
        if not 0 <= self.domain <= 230:
            raise ConfigError(f"domain: {self.domain} is not from 0 to 230")
        if self.legs not in LEGS:
            raise ConfigError(f"legs: '{self.legs}' is not one of {', '.join(LEGS)}")
        if not 200 <= self.rate_hz <= 1000:
            raise ConfigError(f"rate_hz: {self.rate_hz} is not from 200 to 1000")
        known = (*MACHINES_29, *MACHINES_29_WAIST_LOCKED)
        if not self.mode_machine or any(m not in known for m in self.mode_machine):
            raise ConfigError(f"mode_machine: {list(self.mode_machine)}, 29-joint robots say one of {sorted(known)}")
        if unknown := [b for b in self.stop_buttons if b not in BUTTONS]:
            raise ConfigError(f"stop_buttons: no button '{unknown[0]}' (there are {', '.join(BUTTONS)})")
        for key, low, high in (("watchdog_hold_s", 0.01, 1.0), ("watchdog_damp_s", 0.02, 5.0),
                               ("state_timeout_s", 0.02, 0.5), ("open_timeout_s", 0.1, 10.0),
                               ("settle_s", 0.0, LONGEST_SETTLE_S)):  # fmt: skip
            if not low <= getattr(self, key) <= high:
                raise ConfigError(f"{key}: {getattr(self, key)} is not from {low} to {high}")
        gains(BODY, self.gains)
        for side in SIDES:
            hand_joints(side, self.fingers(side))

    @property
    def simulated(self) -> bool:
        """Whether only an emulator will do."""
        return self.emulated

    def fingers(self, side: str) -> tuple[str, ...]:
        """Order of a hand's fingers; empty for the published one."""
        return self.left_fingers if side == "left" else self.right_fingers

    @property
    def joints(self) -> tuple[str, ...]:
        """Every motor's joint: the body's slots, then the hands'."""
        hands = [hand_joints(side, self.fingers(side)) for side in SIDES] if self.hands else []
        return BODY + tuple(j for hand in hands for j in hand)


class UnitreeG1:
    """The driver; an :class:`~telerig.hardware.protocols.Actuator`.

    ``NAME/state``: ``position``, ``velocity``, ``effort`` of the target's joints, in its order.  ``NAME/lowstate``: all
    29 body motors in the order of the slots, their temperatures and faults, the inertial unit, the remote control.

    :param connect: makes the bus; for tests.
    """

    Config = UnitreeG1Config

    def __init__(
        self, config: UnitreeG1Config, context: DeviceContext, connect: Callable[[], Bus] | None = None
    ) -> None:
        self.config, self.context = config, context
        self._connect = connect or self._dds
        self._robot = robot = load_embodiment(config.embodiment)
        joints = config.joints
        self._target = _without(robot.target(context.name, config.target), joints)
        self._which = np.array([joints.index(j) for j in self._target.names], np.intp)
        self._low, self._high = np.array(self._target.low), np.array(self._target.high)
        self._gains, self._effort = gains(joints, config.gains), _effort(robot, joints)
        self._slack = np.array([config.legs == "damp" and j in LOWER for j in joints])
        self._sampler = Sampler(context.name, self._target, joints, config.rate_hz)
        self._link: Link | None = None

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """``NAME/state`` and ``NAME/lowstate``."""
        return self._sampler.streams

    @property
    def inputs(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def targets(self) -> tuple[TargetSpec, ...]:
        """Arms, and hands where there are some."""
        return (self._target,)

    @property
    def link(self) -> Link:
        """The open connection.  :raises DeviceLost: there is none."""
        if self._link is None:
            raise DeviceLost(f"{self.context.name}: not open")
        return self._link

    def _dds(self) -> Bus:
        reads, writes = [dds.LOW_STATE], [dds.LOW_CMD]
        if self.config.hands:
            reads += dds.HAND_STATE.values()
            writes += dds.HAND_CMD.values()
        return dds.DdsBus(self.config.interface, self.config.domain, tuple(reads), tuple(writes))

    def open(self) -> None:
        """Wait for the robot's state; send nothing.

        :raises DeviceOpenError: no interface, no robot, a hand that is silent, or somebody else commands it.
        :raises DeviceIdentityError: another kind of robot, or a real one where the rig says emulator.
        :raises MissingExtra: cyclonedds is not installed.
        """
        self.close()
        c = self.config
        seconds = (c.watchdog_hold_s, c.watchdog_damp_s, c.state_timeout_s, min(c.watchdog_hold_s, 0.1))
        limits = Limits(*(round(s * 1e9) for s in seconds))
        commander = Commander(self._gains, self._effort, limits, self._slack)
        link = Link(self._connect(), c, self.context, commander, self._leg_drive())
        try:
            link.meet()
            link.start()
        except BaseException:
            link.close()
            raise
        self._link = link

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """Samples of every state since, oldest first.  :raises DeviceLost: robot or a hand is silent for 0.5 s."""
        return [sample for reading in self.link.read(timeout_s) for sample in self._samples(reading)]

    def _samples(self, reading: Reading) -> list[Sample]:
        return self._sampler.samples(reading)

    def _leg_drive(self) -> LegDrive | None:
        return None

    def send(self, command: Command) -> None:
        """New goals, from the next message on.

        :raises CommandRefused: unknown target, mode or size, not finite, or something has tripped.
        :raises DeviceLost: not open.
        """
        link, target = self.link, self._target
        if command.target != target.name:
            raise CommandRefused(f"{self.context.name}: no target '{command.target}' (it has {target.name})")
        if command.mode in (Mode.HOLD, Mode.DAMP):
            return self.hold() if command.mode is Mode.HOLD else self.damp()
        if command.mode is not Mode.JOINT_POSITION:
            raise CommandRefused(f"{target.name}: takes joint_position, hold and damp, not {command.mode.name.lower()}")
        goal = np.asarray(command.data, np.float64)
        if goal.shape != (target.size,) or not np.isfinite(goal).all():
            raise CommandRefused(f"{target.name}: {target.size} finite values expected, got {goal.tolist()}")
        if why := link.follow(self._which, np.clip(goal, self._low, self._high)):
            raise CommandRefused(f"{target.name}: {why}")
        return None

    def hold(self) -> None:
        """Every motor brakes and stays where it is (legs only if they are not left damped).  :raises DeviceLost: gone."""
        self.link.hold()

    def damp(self) -> None:
        """Every motor lets go, damped.  :raises DeviceLost: not open."""
        self.link.damp()

    def close(self) -> None:
        """Damp, let the robot come to rest, torque off, leave.  Never raises for a robot that is gone."""
        link, self._link = self._link, None
        if link is None:
            return
        with contextlib.suppress(DeviceError):
            link.let_down(round(self.config.settle_s * 1e9), REST)
        link.close()


def _without(target: TargetSpec, joints: Sequence[str]) -> TargetSpec:
    """A target without the joints that the robot does not have."""
    keep = [k for k, name in enumerate(target.names) if name in joints]
    if not keep:
        raise ConfigError(f"{target.name}: none of its joints is one of the robot's")

    def cut(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(values[k] for k in keep)

    return replace(
        target, names=tuple(target.names[k] for k in keep), low=cut(target.low), high=cut(target.high),
        velocity=cut(target.velocity), acceleration=cut(target.acceleration), home=cut(target.home),
        gripping=tuple(name for name in target.gripping if name in joints),
    )  # fmt: skip


def _effort(robot: Embodiment, joints: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    known = {j: e for g in robot.groups for j, e in zip(g.joints, g.effort, strict=True)}
    if missing := [j for j in joints if j not in known]:
        raise ConfigError(f"embodiment {robot.name} has no joint {missing[0]}; a G1 has")
    return np.array([known[j] for j in joints])
