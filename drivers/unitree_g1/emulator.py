"""An emulated G1: a world in MuJoCo whose robot is a real DDS participant and speaks nothing else.

The device ``unitree_g1_emulator``: publishes LowState and the hands' states, obeys LowCmd and the hands' commands, as
:mod:`telerig.drivers.unitree_g1.firmware` has it.  The pelvis is held, legs and waist rigid at home; or, with ``hold_pelvis =
false``, the robot hangs in a gantry that lets it down once its legs have been stiff for three seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from telerig.drivers.mujoco.motion_log import MotionLog
from telerig.drivers.mujoco.plant import Plant
from telerig.drivers.mujoco.world import CATCH_UP, MujocoWorld
from telerig.drivers.unitree_g1 import dds
from telerig.drivers.unitree_g1.dds import Bus
from telerig.drivers.unitree_g1.firmware import G1Firmware
from telerig.drivers.unitree_g1.motors import SIDES, hand_joints
from telerig.drivers.unitree_g1.plant import HangingPlant, Motors
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError, DeviceLost
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec
from telerig.hardware.wire.simbus import RobotMode
from telerig.hardware.wire.unitree_hg import MACHINES_29, MACHINES_29_WAIST_LOCKED

HANDS_EVERY = 2  # states of the body for one of the hands
WORLD_HZ = 125.0  # of NAME/state, for renderers, at most


class UnitreeG1Emulator(MujocoWorld):
    """See the module.  Streams as a :class:`MujocoWorld` has them: ``NAME/state`` and ``NAME/truth``.

    :param connect: makes the bus; for tests.
    :ivar firmware: the robot's low-level side.
    """

    @dataclass(frozen=True)
    class Config(MujocoWorld.Config):
        """Rig keys, beside those of ``mujoco_world`` (``socket`` means nothing here).

        :param interface, domain: where it takes part in DDS; the driver's must be the same.
        :param beyond_this_machine: it may be another interface than ``lo``: there its states would be taken for those of a
            real robot on the same domain.
        :param mode_machine: what it says it is.  :param rate_hz: of LowState, 500 to 1000.
        :param watchdog_ms: without a command for so long, every motor is damped.
        :param left_fingers, right_fingers: order of the fingers on the wire, as for ``unitree_g1``.
        """

        interface: str = dds.LOOPBACK
        beyond_this_machine: bool = False
        domain: int = 0
        mode_machine: int = 5
        rate_hz: float = 550.0
        watchdog_ms: float = 100.0
        left_fingers: tuple[str, ...] = ()
        right_fingers: tuple[str, ...] = ()

        def __post_init__(self) -> None:
            super().__post_init__()
            dds.check_interface(self.interface)
            if self.interface != dds.LOOPBACK and not self.beyond_this_machine:
                text = "an emulator stays on lo, where no robot is (beyond_this_machine = true if it has to leave)"
                raise ConfigError(f"interface: {self.interface}; {text}")
            if not 500 <= self.rate_hz <= 1000:
                raise ConfigError(f"rate_hz: {self.rate_hz} is not from 500 to 1000")
            if not 10 <= self.watchdog_ms <= 1000:
                raise ConfigError(f"watchdog_ms: {self.watchdog_ms} is not from 10 to 1000")
            if not 0 <= self.domain <= 230:
                raise ConfigError(f"domain: {self.domain} is not from 0 to 230")
            known = (*MACHINES_29, *MACHINES_29_WAIST_LOCKED)
            if self.mode_machine not in known:
                raise ConfigError(f"mode_machine: {self.mode_machine}, 29-joint robots say one of {sorted(known)}")
            for side, order in (("left", self.left_fingers), ("right", self.right_fingers)):
                hand_joints(side, order)

    def __init__(self, config: Config, context: DeviceContext, connect: Callable[[], Bus] | None = None) -> None:
        super().__init__(config, context)
        self._own = config
        self._robot = load_embodiment(config.embodiment)
        self._connect = connect or self._dds
        self._bus: Bus | None = None
        self._step_ns = round(1e9 / config.rate_hz)
        self._keep = max(1, int(np.ceil(config.rate_hz / WORLD_HZ)))
        self._motors: Motors | None = None
        effort = {j: e for g in self._robot.groups for j, e in zip(g.joints, g.effort, strict=True)}
        fingers = {"left": config.left_fingers, "right": config.right_fingers}
        order = G1Firmware(config.mode_machine, 0, fingers, np.ones(1)).joints
        if missing := [j for j in order if j not in effort]:
            raise ConfigError(f"embodiment {self._robot.name} has no joint {missing[0]}; a G1 has")
        self.firmware = G1Firmware(
            config.mode_machine, round(config.watchdog_ms * 1e6), fingers, np.array([effort[j] for j in order])
        )
        self.sent = 0  # states of the body

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """As a world's, ``NAME/state`` at the rate at which it is published here."""
        state, truth = super().streams
        rate = self._own.rate_hz / self._keep
        return StreamSpec(state.name, state.fields, rate), StreamSpec(truth.name, truth.fields, rate)

    def _dds(self) -> Bus:
        reads = (dds.LOW_CMD, *dds.HAND_CMD.values())
        writes = (dds.LOW_STATE, *dds.HAND_STATE.values())
        return dds.DdsBus(self._own.interface, self._own.domain, reads, writes)

    def open(self) -> None:
        """Build the world, the robot at home and damped, and take part in DDS.

        :raises ConfigError: embodiment, task and model do not fit each other.
        :raises DeviceOpenError: no such interface.
        :raises MissingExtra: mujoco or cyclonedds is not installed.
        """
        self.close()
        held = self.config.hold_pelvis
        plant = Plant(self._scene) if held else HangingPlant(self._scene, self.config.gantry)
        plant.model.opt.timestep = self._step_ns / 1e9
        plant.reset(self.config.seed, 0, robot=True)  # takes a while: time begins afterwards
        self._plant, self._motors = plant, Motors(plant, self._robot, self.firmware.joints)
        self._bus = self._connect()
        now = self.context.clock.now()
        self._t0 = now if self._t0 is None else self._t0
        self._due, self.episode = now + self._step_ns, 0
        if self.config.log:
            self._log = MotionLog(self.config.log)

    def close(self) -> None:
        """Leave DDS."""
        super().close()
        if self._bus is not None:
            self._bus.close()
        self._bus = self._motors = None

    def read(self, timeout_s: float) -> Sequence[Sample]:
        """Step every period that is due: commands, physics, states; samples for renderers."""
        if self._bus is None:
            raise DeviceLost(f"{self.context.name}: the emulator is not open")
        clock, plant = self.context.clock, self._opened()
        end = clock.now() + round(timeout_s * 1e9)
        while (now := clock.now()) < self._due:
            if now >= end or clock.virtual:
                return []
            clock.sleep_until(min(self._due, end))
        if not clock.virtual:
            self._leave_out(max(0, (now - self._due) // self._step_ns - CATCH_UP))
        out: list[Sample] = []
        while self._due <= now:
            self._obey_requests()
            self._turn(plant, self._bus)
            if self._steps % self._keep == 0:
                out += self._samples(plant)
            self._due += self._step_ns
        return out

    def _leave_out(self, periods: int) -> None:
        self._due += periods * self._step_ns
        self.overruns += periods
        text = f"periods of {self._step_ns / 1e6:g} ms left out: the computer was late, the world stood still"
        self._losses.update("world.overrun", self.overruns, text)

    def _turn(self, plant: Plant, bus: Bus) -> None:
        """One period: what came since is obeyed, then the world moves, then it is told."""
        firmware, motors, due = self.firmware, self._motors, self._due
        assert motors is not None
        for data in bus.take(dds.LOW_CMD):
            firmware.low_cmd(due, data)
        for side in SIDES:
            for data in bus.take(dds.HAND_CMD[side]):
                firmware.hand_cmd(due, side, data)
        motion = firmware.motion(due)
        motors.drive(motion)
        if isinstance(plant, HangingPlant):
            plant.carry(motion)
        plant.step()
        firmware.measured(due, *motors.measure(), motors.inertial())
        self._steps += 1
        if (state := firmware.low_state()) is not None:
            bus.publish(dds.LOW_STATE, state)
            self.sent += 1
        if self._steps % HANDS_EVERY == 0:
            for side in SIDES:
                if (hand := firmware.hand_state(side)) is not None:
                    bus.publish(dds.HAND_STATE[side], hand)
        if self._log is not None:
            self._log.add(due, plant.speed, RobotMode.DAMP if firmware.damped else RobotMode.POSITION)
