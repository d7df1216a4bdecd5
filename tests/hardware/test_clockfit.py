"""The clock fit: right within a millisecond whatever the jitter, never late, never backwards."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.clockfit import ClockFit

MS = 1_000_000
PERIOD = 4 * MS
Delay = Callable[[random.Random], float]
DELAYS: dict[str, Delay] = {
    "exponential": lambda r: r.expovariate(1 / (1.0 * MS)),
    "uniform": lambda r: r.uniform(0, 4 * MS),
    "usb polls": lambda r: r.randrange(4) * 1.0 * MS + r.uniform(0, 0.1 * MS),
    "busy host": lambda r: r.expovariate(1 / (0.2 * MS)) + (r.uniform(0, 60 * MS) if r.random() < 0.05 else 0),
}
T0 = 1_700_000_000 * 1_000 * MS


def run(fit: ClockFit, delay: Delay, ppm: float, seed: int, n: int, offset: int = 0) -> list[tuple[int, int, int, int]]:
    """(true instant, estimate, sigma, arrival) of ``n`` samples, measured 4 ms apart, from a clock ``ppm`` too fast."""
    rng, found, arrival = random.Random(seed), [], 0
    for k in range(n):
        t = T0 + k * PERIOD
        arrival = max(arrival, t + round(delay(rng)))  # bytes do not overtake each other
        estimate, sigma = fit.update(offset + round((t - T0) * (1 + ppm * 1e-6)), arrival)
        found.append((t, estimate, sigma, arrival))
    return found


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(DELAYS)), st.floats(-50, 50), st.integers(0, 10**6), st.integers(0, 2**40), st.integers(0, 3)
)
def test_error_stays_below_a_millisecond(kind: str, ppm: float, seed: int, offset: int, burst: int) -> None:
    fit = ClockFit()
    found = run(fit, DELAYS[kind], ppm, seed, 6000, offset)
    settled = found[250:]
    assert max(abs(estimate - t) for t, estimate, _, _ in settled) < MS
    assert max(abs(estimate - t) for t, estimate, _, _ in found[-1000:]) < 0.2 * MS
    assert all(a[1] < b[1] for a, b in pairwise(found)), "time ran backwards"
    assert all(estimate <= arrival for _, estimate, _, arrival in settled), "a sample from the future"
    assert fit.resets == 0
    assert abs(fit.drift * 1e6 + ppm) < 25


@pytest.mark.parametrize("kind", sorted(DELAYS))
def test_sigma_says_how_good_it_is(kind: str) -> None:
    found = run(ClockFit(), DELAYS[kind], 30.0, 5, 6000)
    first, last = found[0], found[-1]
    assert first[2] > MS, "one arrival proves nothing"
    assert last[2] < 0.3 * MS
    outside = sum(abs(estimate - t) > 4 * sigma + 2000 for t, estimate, sigma, _ in found)
    assert outside < 0.02 * len(found)


def test_jitter_is_removed_not_passed_on() -> None:
    found = run(ClockFit(), DELAYS["uniform"], 20.0, 1, 4000)[1000:]
    steps = [b[1] - a[1] for a, b in pairwise(found)]
    assert max(abs(s - PERIOD) for s in steps) < 0.1 * MS
    arrivals = [b[3] - a[3] for a, b in pairwise(found)]
    assert max(abs(s - PERIOD) for s in arrivals) > 3 * MS


def test_a_stopped_host_changes_nothing() -> None:
    """Three seconds of samples arrive at once: late, but measured when they were."""
    fit = ClockFit()
    for k in range(4000):
        t = T0 + k * PERIOD
        stopped = 2000 <= k < 2750
        estimate, _ = fit.update(k * PERIOD, T0 + 2750 * PERIOD if stopped else t + 50_000)
        if k > 500:
            assert abs(estimate - t) <= 60_000, k
    assert fit.resets == 0


@pytest.mark.parametrize("jump", [-5_000 * MS, 5_000 * MS, -(2**31) * 1000])
def test_a_device_that_starts_again_is_followed_at_once(jump: int) -> None:
    fit = ClockFit()
    run(fit, DELAYS["exponential"], 10.0, 2, 1000, offset=50_000 * MS)
    t = T0 + 1000 * PERIOD
    for k in range(20):
        estimate, sigma = fit.update(50_000 * MS + 1000 * PERIOD + jump + k * PERIOD, t + k * PERIOD + 100_000)
        assert abs(estimate - (t + k * PERIOD)) < MS
    assert fit.resets == 1
    assert sigma > 10_000


def test_one_late_arrival_at_the_start_misleads_for_one_sample_only() -> None:
    fit, found = ClockFit(), []
    for k in range(20):
        found.append(fit.update(k * PERIOD, T0 + k * PERIOD + (20 * MS if k == 0 else 50_000))[0])
    assert all(a < b for a, b in pairwise(found)), "time ran backwards"
    assert found[0] == T0 + 20 * MS
    assert all(abs(t - (T0 + k * PERIOD)) <= 50_000 for k, t in enumerate(found) if k > 5)


def test_drift_that_changes_with_temperature_is_followed() -> None:
    fit, rng, device, worst = ClockFit(), random.Random(3), 0.0, 0.0
    for k in range(45_000):  # three minutes, 0 → 40 ppm
        t = T0 + k * PERIOD
        estimate, _ = fit.update(round(device), t + round(rng.expovariate(1 / (0.3 * MS))))
        device += PERIOD * (1 + 40e-6 * k / 45_000)
        if k > 1000:
            worst = max(worst, abs(estimate - t))
    assert worst < MS
