"""The state machine: every transition of the table, and what no sequence of inputs may bring about."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.errors import ConfigError
from telerig.teleop import session_state
from telerig.teleop.freshness import Freshness, Stale
from telerig.teleop.session_state import SESSION_STATE, SessionState
from telerig.teleop.states import Inputs, Machine, Reason, State, state_event

TICK = 5_000_000
T0 = 1_700_000_000_000_000_000
MOVING = (State.HOMING, State.MATCHING, State.ENGAGED)


class Rig:
    """A machine with a clock."""

    def __init__(self) -> None:
        self.now = T0
        self.machine = Machine(self.now)

    def tick(self, n: int = 1, **inputs: object) -> State:
        for _ in range(n):
            self.now += TICK
            self.machine.step(self.now, Inputs(**inputs))  # type: ignore[arg-type]
        return self.machine.state

    def engage(self) -> None:
        self.tick()
        assert self.tick(enable=True) is State.MATCHING
        assert self.tick(61, enable=True, mismatch=0.1) is State.ENGAGED


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_the_whole_way_up_and_down(rig: Rig) -> None:
    assert rig.tick(home=True) is State.HOMING
    assert rig.tick(homed=True) is State.IDLE
    rig.engage()
    assert rig.machine.status.previous is State.MATCHING
    assert rig.tick() is State.HOLD
    assert rig.machine.status.reason is Reason.RELEASED
    assert rig.tick(179) is State.HOLD
    assert rig.tick() is State.DAMPED
    assert rig.tick(enable=True) is State.MATCHING


def test_matching_takes_all_joints_for_300_ms_without_a_break(rig: Rig) -> None:
    rig.tick()
    rig.tick(enable=True)
    assert rig.tick(60, enable=True, mismatch=0.15) is State.MATCHING
    assert rig.machine.status.matched == pytest.approx(59 / 60)
    for bad in (0.151, math.nan, math.inf):
        assert rig.tick(enable=True, mismatch=bad) is State.MATCHING
        assert rig.machine.status.matched == 0.0
        assert rig.tick(60, enable=True, mismatch=0.0) is State.MATCHING
    assert rig.tick(enable=True, mismatch=0.0) is State.ENGAGED


@pytest.mark.parametrize(
    ("inputs", "reason", "detail"),
    [
        ({"enable": False}, Reason.RELEASED, ""),
        ({"stale": "exo/joints"}, Reason.STALE, "exo/joints"),
        ({"refused": "NaN"}, Reason.REFUSED, "NaN"),
        ({"tripped": "robot/upper"}, Reason.TRIPPED, "robot/upper"),
        ({"silent": "robot/upper"}, Reason.SILENT, "robot/upper"),
    ],
)
def test_engaged_holds_and_damps_and_never_goes_on_by_itself(
    rig: Rig, inputs: dict[str, object], reason: Reason, detail: str
) -> None:
    rig.engage()
    assert rig.tick(**{"enable": True, "mismatch": 0.0, **inputs}) is State.HOLD
    status = rig.machine.status
    assert (status.reason, status.detail) == (reason, detail)
    event = state_event(status, rig.now)
    assert event is not None
    assert event.code == "state.hold"
    assert detail in event.text
    held = inputs.get("enable", True)
    assert rig.tick(1000, enable=held, mismatch=0.0) is State.DAMPED  # all is well again, enable is still held
    rig.tick(mismatch=0.0)
    assert rig.tick(enable=True, mismatch=0.0) is State.MATCHING


def test_enable_held_at_the_start_is_no_press(rig: Rig) -> None:
    assert rig.tick(500, enable=True, mismatch=0.0) is State.IDLE
    rig.tick()
    assert rig.tick(enable=True) is State.MATCHING


def test_a_press_while_a_stream_is_stale_is_told_and_lost(rig: Rig) -> None:
    rig.tick()
    assert rig.tick(enable=True, stale="glove/joints") is State.IDLE
    event = state_event(rig.machine.status, rig.now)
    assert event is not None
    assert "glove/joints" in event.text
    assert rig.tick(200, enable=True, mismatch=0.0) is State.IDLE
    assert state_event(rig.machine.status, rig.now) is None


def test_silence_does_not_end_matching_but_refusal_does(rig: Rig) -> None:
    rig.tick()
    rig.tick(enable=True)
    assert rig.tick(100, enable=True, silent="robot/upper") is State.MATCHING
    assert rig.tick(enable=True, refused="size") is State.HOLD


@pytest.mark.parametrize("cause", [{"stop": True}, {"estop": True}])
def test_estop_is_latched_until_a_reset_with_stop_closed_and_enable_released(rig: Rig, cause: dict[str, bool]) -> None:
    rig.engage()
    assert rig.tick(enable=True, mismatch=0.0, **cause) is State.ESTOP
    assert rig.tick(400, mismatch=0.0) is State.ESTOP
    assert rig.tick(enable=True, mismatch=0.0) is State.ESTOP
    assert "latched" in rig.machine.status.ignored
    assert rig.tick(enable=True, reset=True) is State.ESTOP
    assert rig.tick(stop=True, reset=True) is State.ESTOP
    assert "stop switch" in rig.machine.status.ignored
    assert rig.tick(reset=True, again=True) is State.ESTOP
    assert "pressed again" in rig.machine.status.ignored
    assert rig.tick(reset=True) is State.IDLE
    assert rig.tick(10) is State.IDLE


def test_a_loop_that_stood_still_holds(rig: Rig) -> None:
    rig.engage()
    rig.now += 101_000_000
    assert rig.tick(enable=True, mismatch=0.0) is State.HOLD
    assert rig.machine.status.reason is Reason.LATE


def test_homing_stops_for_a_stale_stream_and_yields_to_the_operator(rig: Rig) -> None:
    assert rig.tick(home=True, stale="pedals/pedals") is State.IDLE
    assert rig.tick(home=True) is State.HOMING
    assert rig.tick(stale="pedals/pedals") is State.HOLD
    assert rig.tick(500, home=True) is State.DAMPED
    rig = Rig()
    rig.tick(home=True)
    assert rig.tick(enable=True) is State.MATCHING


NEAR = st.sampled_from([0.0, 0.1, 0.2, math.nan, math.inf])
RARE = st.sampled_from([False] * 19 + [True])
NAMES = st.sampled_from([None] * 19 + ["x"])
OFTEN = st.sampled_from([True] * 9 + [False])
INPUTS = st.builds(
    Inputs, enable=OFTEN, stop=RARE, estop=RARE, stale=NAMES, refused=NAMES, tripped=NAMES, silent=NAMES,
    mismatch=st.sampled_from([0.0] * 8 + [0.1, 0.2, math.nan, math.inf]), home=RARE, homed=RARE, reset=OFTEN, again=RARE,
)  # fmt: skip
STEPS = st.lists(st.tuples(INPUTS, st.integers(1, 80), st.sampled_from([TICK] * 20 + [50 * TICK])), max_size=40)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_no_path_reaches_motion_by_a_forbidden_way(steps: list[tuple[Inputs, int, int]]) -> None:
    machine, now, enable, near = Machine(T0), T0, True, 0
    released_since_moving = False
    for inputs, repeat, tick in steps:
        for _ in range(repeat):
            now += tick
            before = machine.state
            status = machine.step(now, inputs)
            pressed, enable = inputs.enable and not enable, inputs.enable
            near = near + tick if inputs.mismatch <= 0.15 else 0
            released_since_moving = released_since_moving or not inputs.enable
            if status.state is not before:
                if status.state is State.ENGAGED:
                    assert before is State.MATCHING
                    assert near >= 300_000_000
                if status.state is State.MATCHING:
                    assert pressed
                    assert released_since_moving
                    assert before in (State.IDLE, State.HOMING, State.HOLD, State.DAMPED)
                if before is State.ESTOP:
                    assert status.state is State.IDLE
                    assert inputs.reset
                    assert not inputs.again
                    assert not inputs.stop
                    assert not inputs.enable
                if before in (State.HOLD, State.DAMPED):
                    assert status.state in (State.MATCHING, State.ESTOP, State.DAMPED)
            if status.state in (State.MATCHING, State.ENGAGED):
                released_since_moving = False
                assert inputs.enable
            if status.state in MOVING:
                assert inputs.stale is None
            if inputs.stop or inputs.estop:
                assert status.state is State.ESTOP or before is State.ESTOP
            if before is State.ESTOP and not inputs.reset:
                assert status.state is State.ESTOP


def test_freshness_limits_and_the_worst_stream() -> None:
    fresh = Freshness({"a": 250.0, "b": 20.0, "c": 250.0}, {"c": 0.5})
    assert fresh.limits_ns == {"a": 100_000_000, "b": 200_000_000, "c": 500_000_000}
    now = T0
    good = {"a": now - 100_000_000, "b": now - 200_000_000, "c": now}
    assert fresh.check(now, good) is None
    assert fresh.check(now, {**good, "a": now - 100_000_001}) == Stale("a", 100_000_001)
    assert fresh.check(now, {**good, "a": now - 150_000_000, "b": now - 400_000_000}) == Stale("b", 400_000_000)
    assert fresh.check(now, {**good, "a": now - 400_000_000, "b": now - 300_000_000}) == Stale("a", 400_000_000)
    found = fresh.check(now, {"a": now, "c": now})
    assert found == Stale("b", None)
    assert found.text == "b, no sample yet"
    with pytest.raises(ConfigError, match="not a required stream"):
        Freshness({"a": 250.0}, {"d": 1.0})
    with pytest.raises(ConfigError, match="above 0"):
        Freshness({"a": 250.0}, {"a": 0.0})


def test_a_device_that_is_known_to_be_gone_is_stale_at_once_unless_the_rig_says_otherwise() -> None:
    away: set[str] = set()
    fresh = Freshness({"a": 250.0, "b": 30.0, "c": 30.0}, {"a": 0.05, "c": 0.5}, away.__contains__)
    young = {"a": T0 - 40_000_000, "b": T0 - 1_000_000, "c": T0 - 1_000_000}
    assert fresh.check(T0, young) is None
    away.add("b")
    found = fresh.check(T0, young)
    assert found == Stale("b", 1_000_000, away=True)
    assert found.text == "b, its device is gone"
    assert fresh.check(T0, {"a": T0, "c": T0}).text == "b, no sample yet"  # type: ignore[union-attr]
    away.clear()
    away.add("a")  # a tighter limit of its own takes nothing away
    assert fresh.check(T0, young) == Stale("a", 40_000_000, away=True)
    away.clear()
    away.add("c")  # a longer one alone decides
    assert fresh.check(T0, young) is None
    assert fresh.check(T0, {**young, "c": T0 - 500_000_001}) == Stale("c", 500_000_001)


def test_session_state_survives_its_stream() -> None:
    state = SessionState(State.HOLD, State.ENGAGED, Reason.STALE, T0, 0.25, 0.5, 3, True, True, 7, 5, 1, 2, -4)
    sample = session_state.to_sample(state, T0 + 1)
    assert set(sample.data) == {a.name for a in SESSION_STATE.arrays}
    assert session_state.from_sample(sample) == state
