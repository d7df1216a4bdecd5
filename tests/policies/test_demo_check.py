"""``demo --ci`` fails when its table cannot be true."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from telerig.policies.demo_check import complaints


@pytest.fixture
def result(tmp_path: Path) -> dict[str, Any]:
    """A demo in miniature that went well, though nobody succeeded."""
    return {
        "loop_rate_hz": 199.9, "period_error_ms_p99": 0.2, "latency_ms_p99": 6.0, "latency_ms_p50": 2.5,
        "samples": 27_000, "lost_samples": 0, "frames": [580, 585], "recorded_seconds": 9.8,
        "operator_success": [0, 2], "policy_success": [0, 2], "dataset": {"episodes": 2, "rows": 294},
        "training": {"steps": 50, "loss": 1.0}, "paths": {"session": str(tmp_path)},
    }  # fmt: skip


def test_failing_at_the_task_is_no_complaint(result: dict[str, Any]) -> None:
    assert complaints(result, 200.0, 2, 2) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("loop_rate_hz", 120.0), ("loop_rate_hz", 230.0), ("loop_rate_hz", None), ("latency_ms_p99", None),
        ("period_error_ms_p99", float("nan")), ("latency_ms_p99", 0.0),
        ("samples", 0), ("lost_samples", 600), ("lost_samples", -1), ("frames", [0, 585]), ("frames", [900, 585]),
        ("operator_success", [1, 1]), ("policy_success", [2, 3]), ("dataset", {"episodes": 0, "rows": 0}),
        ("training", {"steps": 0, "loss": 1.0}), ("training", {"steps": 9, "loss": float("nan")}),
        ("paths", {"session": "/nowhere/at/all"}),
    ],
)  # fmt: skip
def test_what_cannot_be_true_is_said(result: dict[str, Any], key: str, value: object) -> None:
    wrong = copy.deepcopy(result) | {key: value}
    assert len(complaints(wrong, 200.0, 2, 2)) == 1
