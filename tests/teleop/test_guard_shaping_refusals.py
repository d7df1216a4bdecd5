"""The guard's shaping half: commands that are refused, agents that fall silent, and what cannot be guarded at all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from telerig.hardware.commands import Mode, TargetSpec
from telerig.hardware.errors import ConfigError
from telerig.teleop.guard_shaping import Shaper
from telerig.teleop.states import State

from .guard_shaper import ARM, BASE, T0, TICK, Rig, command


def test_without_a_measurement_nothing_moves() -> None:
    rig = Rig()
    for unknown in (None, np.array((0.0, math.nan, 0.0)), np.zeros(2)):
        rig.measured[ARM.name] = unknown
        out = rig.tick(State.MATCHING, {ARM: (0.5, 0.2, 0.1)}, 3)
        assert out[ARM.name].mode is Mode.HOLD
        assert np.isfinite(out[ARM.name].data).all()
        assert rig.verdict.mismatch == math.inf
    assert [e.code for e in rig.shaper.drain()] == ["guard.refused.unmeasured"]  # said once, not nine times
    rig.measured[ARM.name] = np.array((0.4, 0.2, 0.1))
    assert rig.tick(State.MATCHING, {ARM: (0.5, 0.2, 0.1)})[ARM.name].mode is Mode.JOINT_POSITION


BAD = {
    "nan": ("not_finite", lambda now: command(ARM, (0.0, math.nan, 0.0), now)),
    "inf": ("not_finite", lambda now: command(ARM, (math.inf, 0.0, 0.0), now)),
    "size": ("size", lambda now: command(ARM, (0.0, 0.0), now)),
    "scalar": ("size", lambda now: command(ARM, 0.0, now)),
    "mode": ("mode", lambda now: command(ARM, (0.0, 0.0, 0.0), now, mode=Mode.JOINT_TORQUE)),
    "damp": ("mode", lambda now: command(ARM, (0.0, 0.0, 0.0), now, mode=Mode.DAMP)),
    "expired": ("expired", lambda now: command(ARM, (0.0, 0.0, 0.0), now - 101_000_000)),
    "future": ("future", lambda now: command(ARM, (0.0, 0.0, 0.0), now + 11_000_000)),
    "jump": ("jump", lambda now: command(ARM, (1.5, 0.2, 0.1), now)),
    "nothing": ("type", lambda now: "not a command"),
}


@pytest.mark.parametrize("kind", BAD)
def test_refusals_have_a_reason_an_event_and_no_effect(kind: str) -> None:
    code, make = BAD[kind]
    rig = Rig()
    rig.tick(State.MATCHING, {ARM: (0.1, 0.2, 0.1)}, 100)
    rig.tick(State.ENGAGED, {ARM: (0.1, 0.2, 0.1)}, 100)
    assert rig.verdict.refused is None
    assert rig.shaper.drain() == []
    rig.now += TICK
    rig.verdict = rig.shaper.judge(rig.now, {ARM.name: make(rig.now)}, rig.measured)
    assert rig.verdict.refused is not None
    assert ARM.name in rig.verdict.refused
    (event,) = rig.shaper.drain()
    assert event.code == f"guard.refused.{code}"
    out = rig.shaper.move(rig.now, State.ENGAGED)[0]
    np.testing.assert_allclose(out.data, (0.1, 0.2, 0.1), atol=1e-9)


def test_a_storm_of_refusals_is_counted_not_shouted() -> None:
    rig = Rig()
    for _ in range(401):
        rig.tick(State.ENGAGED, {ARM: (math.nan, 0.0, 0.0)})
    events = rig.shaper.drain()
    assert [e.data["more"] for e in events if e.code == "guard.refused.not_finite"] == [0, 199, 199]


def test_after_a_stalled_stream_a_longer_way_is_plausible() -> None:
    for stalled, refused in ((0, True), (200_000_000, False)):
        rig = Rig()
        rig.tick(State.MATCHING, {ARM: command(ARM, (0.0, 0.2, 0.1), T0 + TICK, t_inputs=(T0, T0))})
        rig.tick(State.ENGAGED, {ARM: command(ARM, (1.2, 0.2, 0.1), rig.now + TICK, t_inputs=(T0 + stalled, T0))})
        assert (rig.verdict.refused is not None) is refused


def test_a_silent_agent_is_named_after_its_ttl_and_the_arm_comes_to_rest() -> None:
    rig = Rig()
    rig.tick(State.MATCHING, {ARM: (0.2, 0.2, 0.1)}, 5)
    rig.tick(State.MATCHING, n=20)
    assert rig.verdict.silent is None
    rig.tick(State.MATCHING)
    assert rig.verdict.silent == ARM.name
    assert rig.verdict.mismatch == math.inf
    rig.tick(State.MATCHING, n=10)
    assert rig.path()[-1] == pytest.approx(rig.path()[-2])


def test_all_driven_targets_have_to_be_commanded_and_no_others() -> None:
    rig = Rig(ARM, BASE, driven=(ARM.name,))
    rig.tick(State.MATCHING, {ARM: (0.0, 0.2, 0.1)})
    assert (rig.verdict.silent, rig.verdict.refused) == (None, None)
    rig.tick(State.MATCHING, {ARM: (0.0, 0.2, 0.1), BASE: (1.0, 0.0, 0.0, 0.74)})
    assert rig.verdict.refused is not None
    rig = Rig(ARM, BASE)
    rig.tick(State.MATCHING, {ARM: (0.0, 0.2, 0.1)})
    assert rig.verdict.silent == BASE.name
    verdict = rig.shaper.judge(rig.now, {"robot/tail": command(ARM, (0, 0, 0), rig.now)}, rig.measured)
    assert verdict.refused is not None
    assert "robot/tail" in verdict.refused


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"mode": Mode.EE_POSE}, "EE_POSE"),
        ({"velocity": (0.0, 1.0, 1.0)}, "limits of a"),
        ({"high": (math.inf, 1.0, 1.5)}, "limits of a"),
    ],
)
def test_what_cannot_be_guarded_is_said_before_anything_moves(change: dict[str, object], text: str) -> None:
    keys = ("name", "mode", "names", "low", "high", "velocity", "acceleration", "home")
    spec = TargetSpec(**{**{k: getattr(ARM, k) for k in keys}, **change})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=text):
        Shaper((spec,), 200.0)
    with pytest.raises(ConfigError, match="no actuator offers"):
        Shaper((ARM,), 200.0, driven=("robot/leg",))
    with pytest.raises(ConfigError, match="speed"):
        Shaper((ARM,), 200.0, speed=0.0)
