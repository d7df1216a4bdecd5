"""The emulated G1: what it obeys, when it lets go, and what its MuJoCo body measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from telerig.drivers.unitree_g1.firmware import G1Firmware, Inertial
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError, DeviceLost
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.scene import SCENE, SceneRequest
from telerig.hardware.wire import unitree_cdr as cdr
from telerig.hardware.wire import unitree_hg as hg

from .unitree_pair import MS, End, Pair

N = 43


def firmware() -> G1Firmware:
    made = G1Firmware(5, 100 * MS, {}, np.full(N, 25.0))
    made.measured(MS, np.zeros(N), np.zeros(N), np.zeros(N), Inertial(np.eye(4)[0], np.zeros(3), np.zeros(3)))
    return made


def order(**changed: Any) -> np.ndarray[Any, Any]:
    """A LowCmd for all 29 motors; ``changed``: fields of every motor."""
    cmd = hg.new(hg.LOW_CMD)
    cmd["mode_machine"] = 5
    motors = cmd["motor"][:29]
    motors["mode"], motors["q"], motors["kp"], motors["kd"] = 1, 0.3, 40.0, 1.0
    for key, value in changed.items():
        motors[key] = value
    return hg.seal(cmd)


def hands(**changed: Any) -> np.ndarray[Any, Any]:
    motors = np.zeros(7, hg.MOTOR_CMD)
    motors["mode"] = [hg.hand_mode(k, True) for k in range(7)]
    motors["q"], motors["kp"], motors["kd"] = 0.2, 1.5, 0.1
    for key, value in changed.items():
        motors[key] = value
    return motors


def test_it_is_damped_until_told_and_does_what_it_is_told() -> None:
    robot = firmware()
    assert robot.damped
    assert not robot.motion(MS).kp.any()
    assert (robot.motion(MS).kd > 0).all()
    assert robot.low_cmd(2 * MS, cdr.encode_low_cmd(order(tau=1.5)))
    motion = robot.motion(3 * MS)
    assert (motion.q[0], motion.kp[28], motion.tau[28]) == (pytest.approx(0.3), 40.0, 1.5)
    assert motion.kp[29:].tolist() == [0.0] * 14  # its hands heard nothing


def edited(change: Callable[[np.ndarray[Any, Any]], None]) -> bytes:
    cmd = order()
    change(cmd)
    return cdr.encode_low_cmd(hg.seal(cmd))


def put(key: str, value: Any) -> Callable[[np.ndarray[Any, Any]], None]:
    def change(cmd: np.ndarray[Any, Any]) -> None:
        cmd[key] = value

    return change


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (edited(put("mode_machine", 6)), "machine"),
        (edited(put("mode_pr", 1)), "mode_pr"),
        (cdr.encode_low_cmd(order(q=np.nan)), "values"),
        (cdr.encode_low_cmd(order(kd=-1.0)), "values"),
        (cdr.encode_low_cmd(order())[:-4] + b"\0\0\0\0", "crc"),
        (cdr.encode_low_cmd(order())[:-4], "bytes"),
    ],
)
def test_what_is_wrong_is_not_obeyed(data: bytes, why: str) -> None:
    robot = firmware()
    assert not robot.low_cmd(2 * MS, data)
    assert robot.refused == {why: 1}
    assert robot.damped
    assert robot.low_cmd(3 * MS, cdr.encode_low_cmd(order()))


@pytest.mark.parametrize(
    ("motors", "why"), [(hands(mode=0x10), "hand"), (hands()[:6], "hand"), (hands(kp=np.inf), "values")]
)
def test_a_hand_is_as_strict(motors: np.ndarray[Any, Any], why: str) -> None:
    robot = firmware()
    assert not robot.hand_cmd(2 * MS, "left", cdr.encode_hand_cmd(motors))
    assert robot.refused == {why: 1}


def test_silence_damps_the_body_until_the_next_command() -> None:
    robot = firmware()
    robot.low_cmd(10 * MS, cdr.encode_low_cmd(order()))
    assert robot.motion(110 * MS).kp[0] == 40.0
    motion = robot.motion(111 * MS)
    assert not motion.kp.any()
    assert (motion.kd[:29] > 0).all()
    assert (robot.damped, robot.trips) == (True, 1)
    assert not robot.low_cmd(112 * MS, cdr.encode_low_cmd(order())[:-4] + b"\0\0\0\0")
    assert robot.damped
    robot.low_cmd(113 * MS, cdr.encode_low_cmd(order()))
    assert robot.motion(114 * MS).kp[0] == 40.0
    assert robot.trips == 1


def test_a_hand_lets_go_after_a_second_if_it_was_told_to() -> None:
    robot = firmware()
    robot.hand_cmd(0, "left", cdr.encode_hand_cmd(hands()))
    robot.hand_cmd(0, "right", cdr.encode_hand_cmd(hands(mode=[hg.hand_mode(k, True, False) for k in range(7)])))
    assert (robot.motion(1000 * MS).kp[29:] == 1.5).all()
    motion = robot.motion(1001 * MS)
    assert (motion.kp[29:36] == 0).all()
    assert (motion.kd[29:36] > 0).all()
    assert (motion.kp[36:] == 1.5).all()


def test_motors_that_are_off_push_nothing() -> None:
    robot = firmware()
    robot.low_cmd(MS, cdr.encode_low_cmd(order(mode=0)))
    for t in (2 * MS, 5000 * MS):
        motion = robot.motion(t)
        assert not any(motion.kp[:29]) and not any(motion.kd[:29]) and not any(motion.tau[:29])  # noqa: PT018


def test_an_unknown_fault_is_told() -> None:
    with pytest.raises(ValueError, match="unknown fault 'tired'"):
        firmware().fault("tired")


# --- in MuJoCo -------------------------------------------------------------------------------------------------------


class Body:
    """The emulator where a pair expects its robot."""

    def __init__(self, end: End, clock: VirtualClock, **config: Any) -> None:
        from telerig.drivers.unitree_g1.emulator import UnitreeG1Emulator

        made = UnitreeG1Emulator.Config("g1_like", rate_hz=500.0, **config)
        self.world = UnitreeG1Emulator(made, DeviceContext("world", clock), lambda: end)
        self.world.open()
        self.firmware = self.world.firmware
        self.samples: list[Any] = []

    def step(self, now: int) -> None:
        self.samples += self.world.read(0.0)


@pytest.fixture(scope="module")
def pair() -> Pair:
    pytest.importorskip("mujoco")
    return Pair(robot=Body).open()


def test_the_whole_upper_body_goes_home_and_stays(pair: Pair) -> None:
    home = np.array(pair.target.home)
    samples = pair.run(1200, home)
    state = [s for s in samples if s.stream == "robot/state"][-1]
    np.testing.assert_allclose(state.array("position"), home, atol=0.08)  # soft servos under gravity
    pair.robot.hold()
    pair.run(200)
    before = pair.run(2)[0].array("position")
    after = [s for s in pair.run(500) if s.stream == "robot/state"][-1]
    np.testing.assert_allclose(after.array("position"), before, atol=5e-3)
    assert np.abs(after.array("velocity")).max() < 0.05
    assert pair.events == []
    assert not pair.puppet.firmware.refused


def test_its_inertial_unit_feels_gravity_and_its_legs_are_at_home(pair: Pair) -> None:
    low = [s for s in pair.run(10) if s.stream == "robot/lowstate"][-1]
    np.testing.assert_allclose(low.array("acceleration"), [0, 0, 9.81], atol=0.01)
    np.testing.assert_allclose(low.array("attitude"), [1, 0, 0, 0], atol=1e-6)
    assert low.array("position")[3] == pytest.approx(0.83)
    assert low.array("temperature")[16, 0] >= 30


def test_a_step_in_physics_is_the_gains_own(pair: Pair) -> None:
    """In the state of rest torque = tau + kp (q* − q) − kd dq, by what the motor reports itself."""
    pair.robot.damp()
    pair.run(20)
    goal = np.array(pair.target.home)
    pair.run(800, goal)
    low = [s for s in pair.run(4, goal) if s.stream == "robot/lowstate"][-1]
    sent = pair.last["motor"][:29]
    expected = sent["tau"] + sent["kp"] * (sent["q"] - low.array("position")) - sent["kd"] * low.array("velocity")
    np.testing.assert_allclose(low.array("effort")[15:], expected[15:], atol=0.05)
    assert np.abs(expected[15:]).max() > 1.0


def test_truth_and_state_are_for_others_to_see(pair: Pair) -> None:
    pair.puppet.samples.clear()
    pair.run(400, np.array(pair.target.home))
    names = [s.stream for s in pair.puppet.samples]
    specs = {s.name: s for s in pair.puppet.world.streams}
    assert names.count("world/state") == round(0.4 * specs["world/state"].rate_hz)
    assert names.count("world/truth") == round(0.4 * specs["world/truth"].rate_hz)
    assert specs["world/state"].array("qpos").size == pair.puppet.samples[0].array("qpos").size


def test_when_its_host_dies_the_arms_stop_and_sink() -> None:
    pytest.importorskip("mujoco")
    pair = Pair(robot=Body).open()
    goal = np.array(pair.target.home)
    pair.run(600, goal)
    for _ in range(75):  # nothing is sent any more
        pair.beat()
    assert pair.puppet.firmware.damped
    assert not pair.puppet.firmware.motion(pair.clock.now()).kp[:29].any()
    assert pair.puppet.firmware.fastest < 1.5


def test_a_new_scene_is_placed_when_asked_for() -> None:
    pytest.importorskip("mujoco")
    from telerig.drivers.unitree_g1.emulator import UnitreeG1Emulator

    clock = VirtualClock()

    class Request:
        spec = SCENE
        sample: Any = None

        def latest(self) -> Any:
            return self.sample

        def window(self, t0: int, t1: int) -> list[Any]:
            return []

    request = Request()
    config = UnitreeG1Emulator.Config("g1_like", "pick_place", rate_hz=500.0)
    world = UnitreeG1Emulator(config, DeviceContext("world", clock, inputs={SCENE.name: request}), lambda: End({}))
    world.open()

    def place() -> Any:
        for _ in range(8):
            clock.advance(2 * MS)
            truth = [s for s in world.read(0.0) if s.stream == "world/truth"]
        return truth[-1].array("object")[:2].copy()

    first = place()
    request.sample = SceneRequest(1, 7).to_sample(clock.now())._replace(seq=1)
    assert not np.allclose(first, place())
    world.close()
    with pytest.raises(DeviceLost, match="not open"):
        world.read(0.0)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"hold_pelvis": False, "gantry": "rope"}, "gantry is 'rope'"),
        ({"rate_hz": 200.0}, "not from 500 to 1000"),
        ({"mode_machine": 4}, "29-joint robots say"),
        ({"watchdog_ms": 0.0}, "not from 10 to 1000"),
        ({"right_fingers": ("index",)}, "thumb, middle and index"),
        ({"seed": -1}, "must not be negative"),
        ({"interface": "eth0"}, "stays on lo, where no robot is"),
        ({"interface": "lo'/><x", "beyond_this_machine": True}, "no network interface"),
    ],
)
def test_a_rig_s_mistakes(keys: dict[str, Any], text: str) -> None:
    pytest.importorskip("mujoco")
    from telerig.drivers.unitree_g1.emulator import UnitreeG1Emulator

    with pytest.raises(ConfigError, match=text):
        UnitreeG1Emulator.Config("g1_like", **keys)


def test_who_says_so_may_take_it_beyond_this_machine() -> None:
    pytest.importorskip("mujoco")
    from telerig.drivers.unitree_g1.emulator import UnitreeG1Emulator

    assert UnitreeG1Emulator.Config("g1_like", interface="eth0", beyond_this_machine=True).interface == "eth0"
