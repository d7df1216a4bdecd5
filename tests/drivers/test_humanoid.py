"""The simulated humanoid's legs: what travels on the bus, its drives and their watchdog, the gantry, a body that falls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerig.drivers.mujoco.humanoid import MujocoHumanoid
from telerig.drivers.mujoco.legged_firmware import LeggedFirmware
from telerig.drivers.mujoco.robot import MujocoRobot
from telerig.drivers.mujoco.world import PERIOD_NS, MujocoWorld
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError, DeviceIdentityError
from telerig.hardware.events import Event
from telerig.hardware.legs import LegCommand, LegMode, legs_of
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.stance import Stance, angle, up_of
from telerig.hardware.wire import simbus
from telerig.hardware.wire import simbus_legs as wire
from telerig.hardware.wire.simbus import Kind, Message, Status
from telerig.hardware.wire.simbus_legs import LegKind

G1 = load_embodiment("g1_like")
LEGS = legs_of(G1)
N = len(LEGS.joints)
HOME = np.array(LEGS.home)
KP = np.array([150, 150, 150, 300, 500, 500] * 2 + [300.0])
KD = np.array([4, 4, 4, 6, 8, 8] * 2 + [10.0])
MS = 1_000_000


class Robot:
    """A world without surroundings and its humanoid, in one process."""

    def __init__(self, **world: object) -> None:
        self.clock, self.events = VirtualClock(), list[Event]()
        config = MujocoWorld.Config("g1_like", **{"hold_pelvis": False, **world})  # type: ignore[arg-type]
        self.world = MujocoWorld(config, DeviceContext("world", self.clock))
        context = DeviceContext("robot", self.clock, self.port, {}, self.events.append)
        self.robot = MujocoHumanoid(MujocoHumanoid.Config("g1_like"), context)
        self.body: Sample | None = None

    def port(self) -> LoopbackPort:
        return LoopbackPort(self.world.robot_emulator, self.clock)

    def open(self) -> Robot:
        self.world.open()
        self.robot.open()
        return self

    @property
    def plant(self):
        return self.world._plant

    def run(self, seconds: float, legs: Callable[[float], LegCommand] | None = None) -> Sample:
        for k in range(round(seconds * 200)):
            self.clock.advance(PERIOD_NS)
            self.world.read(0)
            for sample in self.robot.read(0):
                self.body = sample if sample.stream == "robot/body" else self.body
            if legs is not None:
                self.robot.send_legs(legs(k / 200))
        assert self.body is not None
        return self.body

    def stand(self, seconds: float = 1.0) -> Sample:
        return self.run(seconds, lambda t: LegCommand(HOME, KP, KD, True))


@pytest.fixture
def robot() -> Robot:
    return Robot().open()


numbers = st.lists(st.floats(-1e3, 1e3, width=32), min_size=N, max_size=N).map(np.array)


@given(numbers, numbers, numbers, st.booleans())
def test_leg_commands_travel_exactly(position, kp, kd, balancing) -> None:
    (message,) = simbus.Decoder().feed(wire.follow_request(7, LegCommand(position, kp, kd, balancing)))
    got = wire.parse_follow(message.payload, N)
    assert (message.kind, message.seq, got.balancing) == (LegKind.FOLLOW, 7, balancing)
    for a, b in zip(got[:3], (position, kp, kd), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(simbus.BusError):
        wire.parse_follow(message.payload[:-1], N)


def test_leg_states_travel() -> None:
    rng = np.random.default_rng(0)
    values = [rng.normal(size=n).astype("<f4").astype(float) for n in (N, N, N, 4, 3)]
    state = wire.LegState(12, 34, 56, LegMode.FOLLOW, *values)
    (message,) = simbus.Decoder().feed(wire.state_reply(9, state))
    got = wire.parse_state(message.payload)
    assert (got.t_us, got.now_us, got.steps, got.mode) == (12, 34, 56, LegMode.FOLLOW)
    for name in ("position", "velocity", "effort", "attitude", "angular_velocity"):
        np.testing.assert_array_equal(getattr(got, name), getattr(state, name))
    for bad in (message.payload[:-4], message.payload[:10], b"\xff" * len(message.payload)):
        with pytest.raises(simbus.BusError):
            wire.parse_state(bad)


def say(firmware: LeggedFirmware, kind: int, payload: bytes = b"", now: int = 0) -> Status:
    (reply,) = simbus.Decoder().feed(firmware.step(now, simbus.encode(Message(kind, 1, payload))))
    return wire.parse_ack(reply.payload)[0]


def test_the_drives_refuse_and_clamp() -> None:
    firmware = LeggedFirmware(G1, "upper")
    firmware.power_up(0, np.zeros(28), np.zeros(28))
    assert say(firmware, LegKind.FOLLOW, b"\0" * 7) is Status.BAD_LENGTH
    assert say(firmware, LegKind.FOLLOW) is Status.BAD_LENGTH
    nan = LegCommand(np.full(N, np.nan), KP, KD, False)
    assert say(firmware, LegKind.FOLLOW, wire.follow_request(1, nan)[simbus.HEADER.size :]) is Status.BAD_VALUE
    assert firmware.leg_mode is LegMode.DAMP
    far = LegCommand(np.full(N, 9.0), np.full(N, 1e6), np.full(N, -1.0), True)
    assert say(firmware, LegKind.FOLLOW, wire.follow_request(1, far)[simbus.HEADER.size :]) is Status.OK
    np.testing.assert_array_equal(firmware.leg_command.position, LEGS.high)
    np.testing.assert_array_equal(firmware.leg_command.kp, 500.0)
    np.testing.assert_array_equal(firmware.leg_command.kd, 0.0)
    assert firmware.balancing
    assert say(firmware, LegKind.DAMP) is Status.OK
    assert not firmware.balancing
    assert say(firmware, Kind.TORQUE_OFF) is Status.OK
    assert firmware.leg_mode is LegMode.OFF


def test_silent_legs_keep_their_target_for_a_second_then_damp() -> None:
    firmware = LeggedFirmware(G1, "upper")
    firmware.power_up(0, np.zeros(28), np.zeros(28))
    say(firmware, LegKind.FOLLOW, wire.follow_request(1, LegCommand(HOME, KP, KD, True))[simbus.HEADER.size :])
    firmware.tick(1000 * MS)
    assert firmware.leg_mode is LegMode.FOLLOW
    firmware.tick(1001 * MS)
    assert firmware.leg_mode is LegMode.DAMP
    assert firmware.watchdog_trips == 1


def test_it_hangs_limp_then_stands_by_itself(robot: Robot) -> None:
    hanging = robot.run(1.0)
    assert LegMode(int(hanging.array("mode"))) is LegMode.DAMP
    assert robot.plant.rope == 1.0
    assert abs(robot.plant.data.qpos[2] - 0.74) < 0.03
    start = hanging.array("position").copy()

    def rise(t: float) -> LegCommand:
        part = min(1.0, t / 1.5)
        return LegCommand(start + part * (HOME - start), part * KP, KD, False)

    robot.run(2.0, rise)
    assert robot.plant.rope == 1.0  # a stiff pose is no balance
    robot.stand(1.5)
    assert robot.plant.rope == 0.0
    standing = robot.stand(2.0)
    assert angle(up_of(standing.array("attitude")), np.array([0.0, 0.0, 1.0])) < 0.15
    assert not robot.plant.data.xfrc_applied.any()


def test_what_it_measures_is_what_the_simulator_has(robot: Robot) -> None:
    body = robot.stand(0.5)
    data, index = robot.plant.data, robot.plant.scene.legs
    np.testing.assert_allclose(body.array("position"), data.qpos[index.qpos], atol=1e-6)
    np.testing.assert_allclose(body.array("velocity"), data.qvel[index.dofs], atol=1e-5)
    np.testing.assert_allclose(body.array("attitude"), data.qpos[3:7], atol=1e-6)
    np.testing.assert_allclose(body.array("angular_velocity"), data.qvel[3:6], atol=1e-5)
    stance, up = Stance(G1), up_of(body.array("attitude"))
    soles = [data.site(s).xpos[2] for s in ("left_foot", "right_foot")]
    # the lower sole, from joints and attitude alone
    assert stance.height(body.array("position"), up) == pytest.approx(data.qpos[2] - min(soles), abs=2e-3)
    assert np.diff([s.t_sample for s in (body, robot.run(0.005))]).tolist() == [5_000_000]


def test_damped_legs_fall_onto_the_floor_and_nothing_flies(robot: Robot) -> None:
    robot.stand(1.5)
    robot.robot.damp_legs()
    robot.run(3.0)
    data = robot.plant.data
    assert 0.03 < data.qpos[2] < 0.4
    assert np.abs(data.qvel).max() < 3.0
    heights = [data.xpos[b][2] for b in range(1, robot.plant.model.nbody)]
    assert min(heights) > -0.05


def test_closing_lets_go_of_the_legs(robot: Robot) -> None:
    robot.stand(0.2)
    robot.robot.close()
    assert robot.world.robot_emulator.leg_mode is LegMode.OFF


def test_a_reset_hangs_it_up_again_exactly(robot: Robot) -> None:
    robot.stand(1.5)
    robot.robot.damp_legs()
    robot.run(1.0)
    robot.world.reset(0, 1, reset_robot=True)
    again, fresh = robot.plant.data, Robot().open().plant.data
    np.testing.assert_array_equal(again.qpos, fresh.qpos)
    assert robot.plant.rope == 1.0
    assert robot.world.robot_emulator.leg_mode is LegMode.DAMP


@pytest.mark.parametrize(("gantry", "rope"), [("always", 1.0), ("none", 0.0)])
def test_other_gantries(gantry: str, rope: float) -> None:
    robot = Robot(gantry=gantry).open()
    robot.stand(1.5)
    assert robot.plant.rope == rope


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="gantry"):
        MujocoWorld.Config("g1_like", gantry="crane")
    held = Robot(hold_pelvis=True)
    held.world.open()
    with pytest.raises(DeviceIdentityError, match="hold_pelvis = false"):
        held.robot.open()
    with pytest.raises(ConfigError, match="no 'body' groups"):
        legs_of(load_embodiment("follower_arm"))
    with pytest.raises(ConfigError, match="no 'feet'"):
        Stance(load_embodiment("follower_arm"))


def test_arms_alone_are_driven_as_ever_in_such_a_world() -> None:
    robot = Robot()
    arms = MujocoRobot(MujocoRobot.Config("g1_like"), DeviceContext("robot", robot.clock, robot.port))
    robot.world.open()
    arms.open()
    assert [s.name for s in arms.streams] == ["robot/state"]


def test_stance_of_the_home_pose_is_upright_and_leaning_is_told() -> None:
    stance = Stance(G1)
    np.testing.assert_allclose(stance.upright(HOME), (0.0, 0.0, 1.0), atol=1e-9)
    leaning = HOME.copy()
    leaning[[LEGS.joints.index(f"{s}_hip_pitch_joint") for s in ("left", "right")]] -= 0.3
    np.testing.assert_allclose(stance.upright(leaning), (-np.sin(0.3), 0.0, np.cos(0.3)), atol=1e-9)
    assert np.isnan(angle(up_of(np.full(4, np.nan)), np.array([0.0, 0.0, 1.0])))
