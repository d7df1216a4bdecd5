"""The legs of a G1 in its gantry over real DDS: driver and emulator as two participants in two processes, on loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from telerig.drivers.unitree_g1.humanoid import UnitreeG1Humanoid
from telerig.hardware.legs import LegCommand, LegMode

from .unitree_host import Host, until

pytestmark = pytest.mark.realtime
pytest.importorskip("cyclonedds", reason="cyclonedds is not installed")
pytest.importorskip("mujoco", reason="mujoco is not installed")

from telerig.teleop.bench.g1 import Emulated, emulated  # noqa: E402

DOMAIN = 220 + os.getpid() % 10  # beside those of test_unitree_dds
NEAR = 0.1  # rad: what a stiff leg hangs below its target
RISE = {  # off the floor, each leg in a way of its own
    "left_hip_pitch_joint": -0.9, "left_knee_joint": 1.3, "left_hip_yaw_joint": 0.3, "left_ankle_roll_joint": 0.15,
    "right_hip_pitch_joint": -0.6, "right_knee_joint": 1.1, "right_hip_roll_joint": -0.3, "waist_yaw_joint": 0.4,
}  # fmt: skip


@pytest.fixture(scope="module")
def other() -> Iterator[Emulated]:
    with emulated(domain=DOMAIN, hold_pelvis=False, gantry="always") as process:
        yield process


@pytest.fixture
def host(other: Emulated) -> Iterator[Host]:
    """Arms and legs follow."""
    other.ask(do="fault", kind="none")
    with Host(DOMAIN, UnitreeG1Humanoid) as host:
        host.goal = np.array(host.target.home)
        host.legs = aim(host, {})
        until(lambda: min(stiff(other, host)) > 0 and min(stiff(other, host, arms=True)) > 0, "arms and legs follow")
        yield host
    until(lambda: bool(other.ask(do="count")["damped"]), "the emulator lets go")


def aim(host: Host, where: dict[str, float]) -> LegCommand:
    """A target for the legs: home but for some."""
    legs = host.robot.legs
    position = np.array([where.get(j, h) for j, h in zip(legs.joints, legs.home, strict=True)])
    return LegCommand(position, np.full(position.size, 150.0), np.full(position.size, 4.0), True)


def joints(other: Emulated) -> dict[str, Any]:
    """Of the emulator: where every joint is, and how stiff its motor."""
    found: dict[str, Any] = other.ask(do="joints")["joints"]
    return found


def stiff(other: Emulated, host: Host, arms: bool = False) -> list[float]:
    """Stiffness of the motors, as the emulator drives them, N m/rad."""
    names = [j for j in host.target.names if "_hand_" not in j] if arms else host.robot.legs.joints
    now = joints(other)
    return [now[j][1] for j in names]


def off_target(other: Emulated, host: Host, command: LegCommand) -> float:
    """How far the emulator's farthest leg joint is from its target, rad."""
    now = joints(other)
    there = np.array([now[j][0] for j in host.robot.legs.joints])
    return float(np.abs(there - command.position).max())


def told(host: Host, what: str) -> bool:
    return any(what in e.text for e in host.events)


def test_the_legs_go_where_they_are_sent(other: Emulated, host: Host) -> None:
    for where in (RISE, {}):
        command = aim(host, where)
        host.legs = command
        until(lambda c=command: off_target(other, host, c) < NEAR, f"the legs get to {where or 'home'}")  # type: ignore[misc]
    assert other.ask(do="count")["refused"] == {}


def test_when_the_driver_is_silent_the_emulator_damps_the_legs(other: Emulated, host: Host) -> None:
    """Its threads end as with the process: no farewell."""
    trips = other.ask(do="count")["trips"]
    host.robot.link._stop_threads()
    until(lambda: not any(stiff(other, host)), "the legs are limp")
    count = other.ask(do="count")
    assert count["damped"]
    assert count["trips"] > trips


def test_when_targets_for_the_legs_stop_the_driver_damps_them_and_nothing_else(other: Emulated, host: Host) -> None:
    host.legs = None
    until(lambda: host.robot.link.legs.mode is LegMode.DAMP, "the driver damps the legs")
    until(lambda: told(host, "damped"), "it says so")
    until(lambda: not any(stiff(other, host)) and min(stiff(other, host, arms=True)) > 0, "legs limp, arms follow")
    host.legs = aim(host, {})
    until(lambda: min(stiff(other, host)) > 0, "the legs follow again")


def test_when_the_program_around_it_hangs_the_driver_damps_all(other: Emulated, host: Host) -> None:
    host.works.clear()
    until(lambda: host.robot.link.legs.mode is LegMode.DAMP, "the driver damps the legs")
    until(lambda: not any(stiff(other, host) + stiff(other, host, arms=True)), "legs and arms are limp")
    taken = other.ask(do="count")["taken"]
    until(lambda: other.ask(do="count")["taken"] > taken + 50, "it is told to damp, and does not have to by itself")


def test_a_robot_that_is_not_heard_is_damped_legs_and_all(other: Emulated, host: Host) -> None:
    """It still hears: what it is told is to damp, and goes on to be."""
    other.ask(do="fault", kind="silent")
    until(lambda: host.lost is not None, "it is lost")
    assert host.robot.link.legs.mode is LegMode.DAMP
    until(lambda: not any(stiff(other, host) + stiff(other, host, arms=True)), "legs and arms are limp")
