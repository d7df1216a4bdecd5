"""``telerig bench body``: every step of the shipped policy is timed, and what does not fit is refused."""

from __future__ import annotations

from typing import Any

import pytest

from telerig.hardware.errors import ConfigError
from telerig.teleop.bench import body_bench
from telerig.teleop.bench.body_bench import BodyBench, measure


def test_every_step_after_the_first_ones_is_timed() -> None:
    shares: list[float] = []
    found = measure(BodyBench("telerig_g1", seconds=1.0), shares.append)
    assert found["policy"] == "telerig_g1"
    assert found["steps"] == 50 == found["rate_hz"]
    assert 0.0 < found["step_ms"]["p50"] <= found["step_ms"]["p99"] <= found["step_ms"]["max"]
    assert 0.0 < found["network_ms"]["p50"] < found["step_ms"]["p50"]
    assert set(found["machine"]) == {"cores", "load", "sched"}
    assert shares == sorted(shares)
    assert shares[-1] <= 1.0


def test_the_robot_is_read_between_steps_as_in_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, make = list[float](), body_bench._seen

    def seen(*told: Any) -> Any:
        sees = make(*told)
        return lambda: looks.append(0.0) or sees()

    monkeypatch.setattr(body_bench, "_seen", seen)
    measure(BodyBench("telerig_g1", seconds=0.2))
    assert len(looks) == 4 * (10 + body_bench.WARM_UP)


def test_a_slow_policy_is_a_slow_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    load = body_bench.load_drive
    clock = body_bench.RealClock()

    def slow(*told: object) -> object:
        drive = load(*told)  # type: ignore[arg-type]
        step = drive.step

        def late(*args: object) -> object:
            clock.sleep_until(clock.now() + 3_000_000)
            return step(*args)  # type: ignore[arg-type]

        drive.step = late  # type: ignore[method-assign,assignment]
        return drive

    monkeypatch.setattr(body_bench, "load_drive", slow)
    assert measure(BodyBench("telerig_g1", seconds=1.0))["step_ms"]["p50"] > 3.0


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ConfigError, match="nobody"):
        measure(BodyBench("nobody"))
