"""Rigs whose robot is walked by a gamepad, the keyboard or pedals: cockpit, loop and guard in virtual time."""

from __future__ import annotations

import threading
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.hardware.clock import VirtualClock
from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.legs import balance_stream, legs_of
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample
from telerig.hardware.wire.joystick import JoystickEvent, encode
from telerig.teleop.cockpit_build import build
from telerig.teleop.control import ControlBlock
from telerig.teleop.keyboard_drive import DRIVE, KEYS, KeyDrive
from telerig.teleop.live import LiveOptions
from telerig.teleop.loop import LoopCore, LoopOptions
from telerig.teleop.operate import Keys, key_drive
from telerig.teleop.operator_input import OperatorInput, operator_sample
from telerig.teleop.plan import all_streams, plan_devices
from telerig.teleop.rig import Rig, parse_rig
from telerig.teleop.states import State
from telerig.teleop.stream import LocalReader, LocalStream

G1 = load_embodiment("g1_like")
BASE = G1.target("robot", "base")
BALANCE = balance_stream("robot", legs_of(G1))
HIGH, HOME = np.array(BASE.high), np.array(BASE.home)
TICK = 5_000_000
RIG = """
name = "test"
[devices.robot]
driver = "mujoco_robot"
embodiment = "g1_like"
{device}
[cockpit.{key}]
target = "robot/base"
"""
DEVICES = {
    "sticks": '[devices.pad]\ndriver = "gamepad"\nport = "/dev/input/js0"',
    "keyboard": "",
    "pedals": '[devices.pedals]\ndriver = "pedal_box"\nemulate = true',
}
LINES = {"sticks": 'device = "pad"\ndead_band = 0.2', "keyboard": "", "pedals": 'device = "pedals"'}


def rig_with(key: str, lines: str | None = None, target: str = "robot/base") -> Rig:
    text = RIG.format(key=key, device=DEVICES[key]).replace("robot/base", target)
    text += LINES[key] if lines is None else lines
    return parse_rig(tomllib.loads(text), Path("test.toml"), text)


class Kernel:
    """The port of a gamepad: tells everything when it is opened, then what changed.  Numbers as in ``GamepadConfig``."""

    def __init__(self) -> None:
        self._told: dict[tuple[bool, int], float] = {}
        self._bytes = b""

    def press(self, axes: list[float], enable: bool, stop: bool) -> None:
        """Axes forward, left, turn, height; what the pad has is down and right."""
        values = {(True, n): -v for n, v in zip((1, 0, 3, 4), axes, strict=True)}
        values |= {(False, 4): float(enable), (False, 0): 0.0, (False, 1): float(stop)}
        for key, value in values.items():
            if self._told.get(key) != value:
                self._bytes += encode(JoystickEvent(0, *key, value, key not in self._told))
        self._told = values

    def read(self, timeout_s: float, max_bytes: int = 4096) -> bytes:
        found, self._bytes = self._bytes, b""
        return found

    def write(self, data: bytes) -> None:
        raise AssertionError("nobody writes to a gamepad")

    def close(self) -> None: ...


class Drive:
    """A base and who drives it: what the driver reads, cockpit, loop, guard.

    :ivar axes: the pad's;  ``feet``: the pedals';  ``keys``: the keyboard's drive.
    :ivar enable: of the pad, the pedal box or the space bar, whichever the rig has;  ``stop``: the pad's;  ``silent``: it is.
    :ivar height: as the worker of a robot on its own feet has it;  ``sent``: every command since the start.
    """

    def __init__(self, key: str, legged: bool = False) -> None:
        rig, self.clock = rig_with(key), VirtualClock()
        self.enable = self.stop = self.silent = False
        self.axes, self.feet, self.keys, self._kernel = [0.0] * 4, [0.0] * 3, KeyDrive(BASE), Kernel()
        self.height = HOME[3] if legged else None
        plans = plan_devices(rig)
        specs = [*all_streams(rig, plans), *([BALANCE] if legged else [])]
        self.streams = {s.name: LocalStream(s) for s in specs}
        readers = {name: LocalReader(stream) for name, stream in self.streams.items()}
        self.pedals = next((p.pedals for p in plans.values() if p.pedals), "")
        operator = OperatorInput({"pedals": self.pedals, "unattended": False}, readers, ControlBlock())
        self.cockpit = build(rig, (BASE,), {})
        self.loop = LoopCore(
            self.cockpit, (BASE,), 200.0, readers, self.write, lambda event: None, operator, self.clock,
            LoopOptions(home=False),
        )  # fmt: skip
        self.pad: Any = None
        if key == "sticks":
            device = rig.devices["pad"]
            self.pad = device.driver(device.config, DeviceContext("pad", self.clock, lambda: self._kernel))
            self.pad.open()
        self.sent: list[np.ndarray] = []

    def write(self, sample: Sample) -> int:
        if sample.stream == "robot/base/sent":
            self.sent.append(sample.array("data").copy())
        return self.streams[sample.stream].write(sample)

    def _operate(self, now: int) -> None:
        if self.pad is not None:
            self._kernel.press(self.axes, self.enable, self.stop)
            for sample in [] if self.silent else self.pad.read(0.0):
                self.write(sample)
        elif self.pedals:
            data = {"position": np.array(self.feet), "switches": np.array([self.enable, 0, 1], np.uint8)}
            self.write(Sample(self.pedals, now, now, data))
        else:
            self.write(self.keys.sample(now))
        self.write(operator_sample(self.enable, 0, now))

    def run(self, seconds: float, until: State | None = None) -> State:
        for _ in range(round(seconds * 200)):
            now = self.clock.advance(TICK)
            self._operate(now)
            if self.height is not None:
                data = {a.name: np.zeros(a.shape, a.dtype) for a in BALANCE.arrays}
                self.write(Sample(BALANCE.name, now, now, data | {"wish": np.array([0.0, 0.0, 0.0, self.height])}))
            state = self.loop.tick(now).state
            if state is until:
                break
        return state

    def engage(self) -> None:
        self.enable = False
        self.run(0.2)
        self.enable = True
        assert self.run(10.0, State.ENGAGED) is State.ENGAGED

    def squat(self) -> float:
        """Engaged, and well below its home; the height that was sent last."""
        self.engage()
        self.axes, self.feet = [0.0, 0.0, 0.0, -1.0], [0.0, 0.0, 0.5]
        for _ in range(4):
            self.keys.press("b")
        self.run(0.8)
        self.axes = [0.0] * 4
        self.run(1.0)
        assert self.sent[-1][3] < HOME[3] - 0.15
        return float(self.sent[-1][3])


@pytest.mark.parametrize("key", ["sticks", "keyboard", "pedals"])
@pytest.mark.parametrize("released_s", [0.3, 3.0])
def test_a_robot_that_squats_stays_so_when_it_is_engaged_again(key: str, released_s: float) -> None:
    drive = Drive(key)
    height = drive.squat()
    began = len(drive.sent)
    drive.enable = False
    assert drive.run(released_s) is (State.HOLD if released_s < 0.9 else State.DAMPED)
    drive.engage()
    drive.run(1.0)
    np.testing.assert_allclose([s[3] for s in drive.sent[began:]], height, atol=1e-3)


def test_an_axis_that_is_pushed_while_nobody_enables_moves_nothing_later() -> None:
    drive = Drive("sticks")
    height = drive.squat()
    drive.enable = False
    drive.axes = [0.0, 0.0, 0.0, 1.0]
    drive.run(1.0)
    drive.axes = [0.0] * 4
    drive.engage()
    drive.run(1.0)
    assert drive.sent[-1][3] == pytest.approx(height, abs=1e-3)


def test_a_pad_that_falls_silent_while_its_height_is_pushed_moves_nothing_later() -> None:
    drive = Drive("sticks")
    drive.squat()
    drive.axes = [0.0, 0.0, 0.0, 1.0]
    drive.run(0.3)
    drive.silent = True
    assert drive.run(0.35) is State.HOLD
    height = drive.sent[-1][3]
    drive.axes, drive.silent = [0.0] * 4, False
    drive.engage()
    drive.run(1.0)
    assert drive.sent[-1][3] == pytest.approx(height, abs=1e-3)


def test_a_pad_s_buttons_enable_and_stop() -> None:
    drive = Drive("sticks")
    assert drive.cockpit.requires == ("pad/pedals",)
    drive.axes = [1.0, 0.0, 0.0, 0.0]
    assert drive.run(1.0) is State.IDLE
    assert not np.array(drive.sent)[:, :3].any()
    drive.axes = [0.0] * 4
    drive.engage()
    drive.axes = [1.0, 0.0, 0.0, 0.0]
    drive.run(1.0)
    assert drive.sent[-1][0] > 0.5
    drive.stop = True
    assert drive.run(0.05) is State.ESTOP
    assert not drive.sent[-1][:3].any()


def test_legs_that_were_limp_in_between_stand_where_their_worker_made_them_stand() -> None:
    drive = Drive("sticks", legged=True)
    drive.height = drive.squat()
    drive.engage()
    drive.run(1.0)
    assert drive.sent[-1][3] == pytest.approx(drive.height, abs=1e-3)
    drive.height = HOME[3]
    drive.engage()
    drive.run(4.0)
    assert drive.sent[-1][3] == pytest.approx(HOME[3], abs=1e-3)


@pytest.mark.parametrize("key", ["sticks", "keyboard", "pedals"])
def test_a_released_robot_comes_to_rest_and_goes_on_only_as_it_is_asked(key: str) -> None:
    drive = Drive(key)
    drive.engage()
    drive.axes, drive.feet = [1.0, 0.1, 0.0, 0.0], [1.0, 0.0, 0.0]
    for _ in range(5):
        drive.keys.press("u")
    drive.run(3.0)
    np.testing.assert_allclose(drive.sent[-1], (HIGH[0], 0.0, 0.0, HOME[3]), atol=1e-6)
    drive.enable = False
    drive.axes, drive.feet = [0.0] * 4, [0.0] * 3
    drive.keys.still()
    drive.run(1.5)
    assert not drive.sent[-1][:3].any()
    drive.engage()
    drive.run(0.5)
    assert not drive.sent[-1][:3].any()


class Person:
    """Who holds enable, and what the keyboard drives."""

    def __init__(self, drive: KeyDrive | None) -> None:
        self.enable, self.drive = False, drive

    def keys(self) -> Keys:
        me: Any = self
        return Keys(me, me, threading.Event())


def test_keys_drive_and_whatever_releases_enable_stands_still() -> None:
    drive = Drive("keyboard")
    assert drive.cockpit.requires == (DRIVE.name,)
    made = key_drive(rig_with("keyboard"), LiveOptions())
    assert made is not None
    person = Person(made)
    drive.keys, keys = made, person.keys()
    drive.engage()
    for key in " uu":
        keys.press(key)
    assert person.enable
    assert made.wish[0] == pytest.approx(0.4 * HIGH[0])
    drive.run(2.0)
    assert drive.sent[-1][0] == pytest.approx(0.4 * HIGH[0])
    keys.press("?")
    assert not person.enable
    assert not made.wish[:3].any()


@pytest.mark.parametrize("target", ["robot/base", "robot/legs", ""])
def test_the_keyboard_drives_nothing_where_the_agent_is_not_the_cockpit(target: str) -> None:
    rig = rig_with("keyboard", target=target)
    for factory in ("telerig.teleop.replay:build", "telerig.policies.rigs:build_agent"):
        made = key_drive(rig, LiveOptions(agent={"factory": factory}))
        assert made is None
        for key in KEYS:
            person = Person(made)
            keys = person.keys()
            keys.press(" ")
            assert person.enable
            keys.press(key)
            assert not person.enable


@pytest.mark.parametrize(
    ("key", "lines", "words"),
    [
        ("sticks", 'device = "pod"', "cockpit.sticks: device 'pod' is not in this rig"),
        ("sticks", 'device = "robot"', "has no axes of a gamepad"),
        ("sticks", 'device = "pad"\ncurve = 9.0', "curve"),
        ("sticks", 'device = "pad"\n[cockpit.keyboard]\ntarget = "robot/base"', "driven twice"),
        ("pedals", 'device = "robot"', "has no position of pedals"),
        ("keyboard", 'device = "pad"', "cockpit.keyboard: device: unknown key"),
        ("keyboard", '[[cockpit.sticks]]\ndevice = "pad"\ntarget = "robot/base"', r"must be \[cockpit.sticks\]"),
    ],
)
def test_mistakes_are_one_line(key: str, lines: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as told:
        build(rig_with(key, lines), (BASE,), {})
    assert "\n" not in str(told.value)
