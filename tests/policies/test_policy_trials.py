"""Trials in real time and the e-stop: they end whatever is stopped, and reset nothing that a person pressed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.hardware.clock import VirtualClock
from telerig.hardware.samples import Sample
from telerig.hardware.scene import SCENE
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.policies.policy_trials import GRACE_S, PolicyTrials, all_emulated
from telerig.teleop import session_state
from telerig.teleop.control import ControlBlock
from telerig.teleop.plan import plan_devices
from telerig.teleop.rig import load_rig
from telerig.teleop.session_state import SESSION_STATE, SessionState
from telerig.teleop.states import State
from telerig.teleop.stream import LocalReader, LocalStream

TRUTH = StreamSpec("world/truth", (ArraySpec("episode", (), "<i8"), ArraySpec("success", (), "<u1")), 50.0)
POLL_NS = 150_000_000
RIGS = Path(__file__).parents[2] / "rigs"


class Stopped:
    """A session and its steward in one, whose loop stands in ESTOP because of the stop switch."""

    def __init__(self, trials: int = 3, limit_s: float = 8.0, **how: Any) -> None:
        self.clock, self.control, self.enable = VirtualClock(), ControlBlock(), False
        self.streams = {s.name: LocalStream(s) for s in (TRUTH, SESSION_STATE, SCENE)}
        self.trials = PolicyTrials(self, self, "world", list(range(trials)), False, limit_s, **how)  # type: ignore[arg-type]
        self.state, self.asked = State.ESTOP, list[int]()

    def reader(self, name: str) -> LocalReader:
        """As a session's."""
        return LocalReader(self.streams[name])

    def writer(self, name: str) -> LocalStream:
        """As a session's."""
        return self.streams[name]

    def say(self, *_: object, **__: object) -> None:
        """Nobody listens."""

    def poll(self, seconds: float) -> bool:
        """Let time pass; whether all trials are over."""
        for _ in range(round(seconds * 1e9 / POLL_NS)):
            now = self.clock.advance(POLL_NS)
            self.streams[SESSION_STATE.name].write(session_state.to_sample(SessionState(self.state), now))
            resets = self.control.resets
            if self.trials.step():
                return True
            if self.control.resets > resets:
                self.asked.append(now)
        return False


@pytest.mark.parametrize("may_reset", [True, False])
def test_a_stop_switch_that_stays_open_ends_the_trials(may_reset: bool) -> None:
    session = Stopped(may_reset=may_reset)
    assert not session.poll(GRACE_S - 1.0)
    assert bool(session.asked) is may_reset  # asked for again and again, granted never
    assert session.poll(2.0)
    assert [t.success for t in session.trials.results] == [False] * 3
    assert "latched" in session.trials.results[0].reason


@pytest.mark.parametrize("limit_s", [8.0, 45.0])
def test_a_trial_lasts_as_long_as_its_task_may_whatever_the_patience_with_other_phases(limit_s: float) -> None:
    session = Stopped(trials=1, limit_s=limit_s)
    session.state = State.IDLE
    session.poll(1.0)
    truth = {"episode": np.array(1), "success": np.array(0)}
    session.streams[TRUTH.name].write(Sample(TRUTH.name, 0, 0, truth))
    session.poll(3.0)
    session.state = State.ENGAGED
    assert not session.poll(limit_s - 0.5)
    assert session.poll(1.5)
    (trial,) = session.trials.results
    assert not trial.success
    assert not trial.reason
    assert limit_s < trial.seconds < limit_s + 0.5


def test_an_emulated_stop_switch_is_reset_and_the_trials_go_on() -> None:
    session = Stopped(may_reset=True)
    session.poll(2.0)
    assert session.asked
    session.state = State.IDLE  # the loop granted it
    session.poll(0.5)
    assert session.streams[SCENE.name].written == 1


def test_a_pressed_e_stop_ends_the_trials_and_stays() -> None:
    session = Stopped(may_reset=True)
    session.control.press_estop()
    assert session.poll(1.0)
    assert not session.asked
    assert session.trials.results[-1].reason == "the e-stop was pressed"


def test_a_press_between_the_look_and_the_reset_is_not_part_of_what_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Stopped(may_reset=True)
    ask = session.control.reset_estop

    def pressed_meanwhile(press: int | None = None) -> None:
        session.control.press_estop()
        ask(press)

    monkeypatch.setattr(session.control, "reset_estop", pressed_meanwhile)
    assert session.poll(5.0)
    assert session.control.asked_press != session.control.newest_press  # so that the loop refuses it
    assert session.control.estop


def test_only_where_robot_and_pedals_are_emulated_may_a_program_reset() -> None:
    pytest.importorskip("mujoco")
    plans = plan_devices(load_rig(RIGS / "homie_g1.toml"))
    assert all_emulated(plans)
    pedals = plans["pedals"]
    real = dataclasses.replace(pedals.device, rig=pedals.device.rig.model_copy(update={"emulate": False}))
    assert not all_emulated(plans | {"pedals": dataclasses.replace(pedals, device=real)})
    follower = plan_devices(load_rig(RIGS / "follower.toml", emulate=True))
    assert all_emulated(follower)
    arm = follower["robot"]
    moved = dataclasses.replace(arm.device, rig=arm.device.rig.model_copy(update={"emulate": False}))
    assert not all_emulated(follower | {"robot": dataclasses.replace(arm, device=moved)})
