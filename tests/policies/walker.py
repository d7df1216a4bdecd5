"""The walking rig in virtual time with a policy that needs no learning: a stiff stance, which stands by itself."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.events import Event
from telerig.hardware.kinematics import Chain
from telerig.hardware.legs import Balance, legs_of
from telerig.hardware.samples import Sample
from telerig.teleop.live import COCKPIT
from telerig.teleop.rig import Rig, parse_rig
from telerig.teleop.states import State
from telerig.teleop.virtual import VirtualSession

from . import body_toy

HEIGHTS = (0.66, 0.70, 0.74, 0.76)
RIG = Path(__file__).parents[2] / "rigs" / "homie_g1_walk.toml"


@cache
def level_stances() -> dict[str, Any]:
    """A height table with a level pelvis and feet that stay where they are."""
    robot = load_embodiment("g1_like")
    legs = legs_of(robot)
    home = dict(zip(legs.joints, legs.home, strict=True))
    joints: dict[str, list[float]] = {}
    for side in ("left", "right"):
        chain = Chain.from_mjcf(robot.model_path, "pelvis", f"{side}_foot")
        q = np.array([home[j] for j in chain.joints])
        foot = chain.forward(q)
        for height in HEIGHTS:
            place = np.array([foot[0, 3] - 0.02 - 0.3 * (0.74 - height), foot[1, 3], -height])
            found = chain.solve(q, place, foot[:3, :3], 200)
            for name, value in zip(chain.joints, found.q.tolist(), strict=True):
                joints.setdefault(name, []).append(round(value, 4))
    return {"height": list(HEIGHTS), "joints": joints}


def stiff_policy(folder: Path, heights: bool = True) -> str:
    """A manifest whose policy does nothing, whose stance follows the height, and whose ankles are stiff enough to stand.

    :param heights: whether it takes a height at all.
    """
    tables = body_toy.recipe()
    for joint in tables["joints"]:
        if "ankle" in joint["name"]:
            joint["kp"], joint["kd"] = 500, 8
    tables["reference"] = {"height_table": level_stances()}
    tables["command"]["height"]["range"] = [HEIGHTS[0], HEIGHTS[-1]]
    if not heights:
        stand = HEIGHTS.index(0.74)
        for joint in tables["joints"]:
            joint["default"] = level_stances()["joints"].get(joint["name"], {stand: joint["default"]})[stand]
        del tables["reference"], tables["command"]["height"]
        terms = tables["observation"]["terms"]
        tables["observation"]["terms"] = [t for t in terms if "height" not in t.get("items", ())]
        tables["model"]["inputs"] -= 1
    return body_toy.write(folder, tables, body_toy.onnx(inputs=tables["model"]["inputs"]))


def walking_rig(folder: Path, world: dict[str, Any] | None = None, heights: bool = True, **body: Any) -> Rig:
    """The rig without cameras, with the stiff policy."""
    raw = tomllib.loads(RIG.read_text())
    for name in ("head", "front"):
        raw["devices"].pop(name, None)
    raw["devices"]["world"] |= {"task": ""} | (world or {})
    raw["body"] = {"device": "robot", "policy": stiff_policy(folder, heights), **body}
    return parse_rig(raw, RIG, body_toy.toml(raw))


class Feet:
    """What an operator at the pedals does."""

    def __init__(self) -> None:
        self.enable, self.stop, self.position = False, False, [0.0, 0.0, 0.0]

    def step(self, now: int, readers: Any) -> dict[str, Any]:
        switches = [float(self.enable), 0.0, float(not self.stop)]
        return {"pedals": {"position": self.position, "switches": switches}}


class Walker:
    """A session, and what tests ask of it."""

    def __init__(self, folder: Path, world: dict[str, Any] | None = None, heights: bool = True, **body: Any) -> None:
        self.feet, self.events = Feet(), list[Event]()
        rig = walking_rig(folder, world, heights, **body)
        self.session = VirtualSession(rig, COCKPIT, self.feet.step, on_event=self.events.append)
        self.wishes: list[np.ndarray] = []
        self.gains: list[float] = []

    @property
    def body(self) -> Any:
        return self.session._actuators["robot"].body

    @property
    def plant(self) -> Any:
        return self.session.devices["world"]._plant

    @property
    def state(self) -> Balance:
        return self.body.state

    def run(self, seconds: float, until: State | Balance | None = None) -> State:
        """So long, or until the loop or the legs are in a state."""
        for _ in range(round(200 * seconds)):
            status = self.session.step()
            self.wishes.append(self.body._wish.copy())
            self.gains.append(self.body._gain)
            if until is not None and (status.state is until or self.state is until):
                break
        return status.state

    def engage(self) -> None:
        """Home, press, rise, match."""
        assert self.run(10.0, State.HOMING) is State.HOMING
        assert self.run(30.0, State.IDLE) is State.IDLE
        self.press()
        assert self.run(6.0, State.ENGAGED) is State.ENGAGED
        assert self.state is Balance.BALANCING

    def press(self) -> None:
        self.feet.enable = False
        self.run(0.05)
        self.feet.enable = True

    def happened(self, code: str) -> list[str]:
        return [e.text for e in self.events if e.code == code]

    def mode(self, target: str) -> int:
        """What the actuator's worker did last with a target."""
        sample = self.session.readers[f"robot/{target}/applied"].latest()
        assert sample is not None
        return int(sample.array("action"))

    @property
    def height(self) -> float:
        return float(self.plant.data.qpos[2])


@contextmanager
def standing(folder: Path) -> Iterator[Walker]:
    """On its own feet, the rope let down."""
    walker = Walker(folder, rise_s=0.5, settle_s=0.2)
    with walker.session:
        walker.engage()
        walker.run(1.2)
        assert walker.plant.rope == 0.0
        yield walker


def firmware(walker: Walker) -> Any:
    return walker.session.devices["world"].robot_emulator


def at_speed(walker: Walker) -> None:
    """Walking and turning as fast as asked."""
    walker.feet.position = [1.0, 0.6, 0.15]
    walker.run(1.8)
    assert walker.body._wish[0] > 0.85
    assert walker.body._wish[2] > 0.2
    assert walker.state is Balance.BALANCING


def rest_within(walker: Walker, seconds: float) -> None:
    """Velocities asked of the policy are 0 within that time, and stay so."""
    walker.wishes.clear()
    walker.run(seconds)
    speeds = np.abs(np.array(walker.wishes)[:, :3]).max(axis=1)
    assert speeds[0] > 0.3
    assert speeds[-1] == 0.0
    walker.run(0.3)
    assert np.abs(walker.body._wish[:3]).max() == 0.0


def heard(walker: Walker, change: Callable[[Sample], Sample | None]) -> None:
    """What the supervisor of the legs is told of the robot from now on: every sample changed, or lost (None)."""
    see = type(walker.body).see

    def told(sample: Sample) -> None:
        if (changed := change(sample)) is not None:
            see(walker.body, changed)

    walker.body.see = told


def lost(stream: str) -> Callable[[Sample], Sample | None]:
    """For :func:`heard`: this stream does not arrive any more."""
    return lambda sample: None if sample.stream == stream else sample


def measured(name: str, index: Any, value: Any) -> Callable[[Sample], Sample]:
    """For :func:`heard`: elements of a field of ``robot/body`` are measured as these values."""

    def change(sample: Sample) -> Sample:
        if sample.stream != "robot/body":
            return sample
        field = sample.array(name).copy()
        field[index] = value
        return sample._replace(data={**sample.data, name: field})

    return change


def folded(walker: Walker, hip: float) -> tuple[list[int], list[float]]:
    """Legs' indices and angles of a robot that crouches, rad; with the hip at -2.2 its pelvis is 0.21 m above its soles."""
    parts = {"hip_pitch": hip, "knee": 2.8, "ankle_pitch": -0.4}
    joints = walker.session.devices["robot"].legs.joints
    at = {i: angle for i, joint in enumerate(joints) for part, angle in parts.items() if part in joint}
    return list(at), list(at.values())
