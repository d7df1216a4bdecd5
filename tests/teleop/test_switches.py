"""Debounced switches: the safe direction at once, the other after 8 ms, nothing from a switch that is stuck."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.teleop.switches import Press, Switches

T0 = 1_700_000_000_000_000_000
MS = 1_000_000


def feed(
    switches: Switches, t: int, text: str, step_ms: int = 10, which: int = 0, rest: tuple[int, ...] = (0, 0, 1)
) -> list:
    """A digit a sample for one switch; the Presses (or None) that come back."""
    out = []
    for k, c in enumerate(text):
        values = [0, 0, 1]
        values[which] = int(c)
        out.append(switches.update(t + k * step_ms * MS, values))
    return out


def test_enable_needs_two_samples_to_close_and_one_to_open() -> None:
    s = Switches()
    feed(s, T0, "01")
    assert not s.enable
    feed(s, T0 + 20 * MS, "1")
    assert s.enable
    feed(s, T0 + 30 * MS, "0")
    assert not s.enable


def test_a_bouncing_contact_never_closes() -> None:
    s = Switches()
    for k in range(100):
        s.update(T0 + k * 4 * MS, (k % 2, 0, 1))
        assert not s.enable


def test_a_switch_held_from_the_start_or_through_a_gap_does_not_count() -> None:
    s = Switches()
    feed(s, T0, "1" * 50)
    assert not s.enable
    feed(s, T0 + 500 * MS, "011")
    assert s.enable
    feed(s, T0 + 530 * MS + 101 * MS, "1" * 50)
    assert not s.enable
    feed(s, T0 + 2000 * MS, "011")
    assert s.enable


def test_stop_counts_at_once_and_ends_after_a_steady_contact() -> None:
    s = Switches()
    feed(s, T0, "1", which=2)
    assert not s.stop
    feed(s, T0 + 10 * MS, "0", which=2)
    assert s.stop
    feed(s, T0 + 20 * MS, "1", which=2)
    assert s.stop
    feed(s, T0 + 30 * MS, "1", which=2)
    assert not s.stop
    assert Switches().stop is False
    s = Switches()
    feed(s, T0, "0", which=2)
    assert s.stop


def test_episode_short_and_long() -> None:
    s = Switches()
    short = feed(s, T0, "0" + "1" * 70 + "0" * 5, which=1)
    assert [p for p in short if p] == [Press.SHORT]
    long = feed(s, T0 + 1000 * MS, "0" + "1" * 200 + "0" * 5, which=1)
    assert [k for k, p in enumerate(long) if p is Press.LONG] == [82]  # while held, 0.8 s after the press was believed
    assert [p for p in long if p] == [Press.LONG]
    held = feed(Switches(), T0, "1" * 200 + "0", which=1)
    assert not any(held)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 15), st.tuples(*[st.integers(0, 1)] * 3)), max_size=80))
def test_whatever_comes_enable_and_stop_are_never_more_permissive_than_the_raw_contact(samples: list) -> None:
    s, t = Switches(), T0
    for dt, raw in samples:
        t += dt * MS
        s.update(t, raw)
        assert not (s.enable and not raw[0])
        assert s.stop or raw[2]
