"""The demos' closing tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def show_walk(result: Mapping[str, Any]) -> None:
    """Print ``telerig demo --walk``'s on stderr."""
    table = Table(title=f"telerig demo --walk, {result['seconds']:.0f} s", show_header=False)
    table.add_row("body policy", result["body_policy"])
    _add_recording(table, result)
    for who, name in (("operator", "operator, real time"), ("virtual", "operator, virtual time")):
        if f"{who}_success" in result:
            _add_success(table, name, result[f"{who}_success"], result[f"{who}_interval95"])
            failed = ", ".join(f"{n} at {where}" for where, n in result[f"{who}_failed_at"].items())
            table.add_row("  failed", failed or "none")
    _add_rest(table, result)
    Console(stderr=True).print(table)


def show_demo(result: Mapping[str, Any]) -> None:
    """Print it on stderr."""
    table = Table(title=f"telerig demo, {result['seconds']:.0f} s", show_header=False)
    data, training = result["dataset"], result["training"]
    _add_recording(table, result)
    table.add_row("dataset", f"{data['episodes']} episodes, {data['rows']} rows, {data['bytes'] / 1e6:.0f} MB")
    table.add_row("training", f"{training['steps']} steps in {training['seconds']:.0f} s")
    for who in ("operator", "policy"):
        _add_success(table, f"{who} succeeds", result[f"{who}_success"], result[f"{who}_interval95"])
    _add_rest(table, result)
    Console(stderr=True).print(table)


def _add_recording(table: Table, result: Mapping[str, Any]) -> None:
    rate, error, p50, p99 = (
        "-" if (value := result[key]) is None else f"{value:.2f}"
        for key in ("loop_rate_hz", "period_error_ms_p99", "latency_ms_p50", "latency_ms_p99")
    )
    table.add_row("loop", f"{rate} Hz, period error p99 {error} ms")
    table.add_row("latency, sensor to bus", f"p50 {p50} ms, p99 {p99} ms")
    table.add_row("samples recorded", f"{result['samples']:,}, lost {result['lost_samples']}")
    frames, due = result["frames"]
    table.add_row("frames rendered", f"{frames} of {due} due")


def _add_success(table: Table, name: str, success: Sequence[int], interval: Sequence[float]) -> None:
    low, high = interval or (0.0, 1.0)
    table.add_row(name, f"{success[0]} of {success[1]}  (95 %: {low:.2f} to {high:.2f})")


def _add_rest(table: Table, result: Mapping[str, Any]) -> None:
    stages = "  ".join(f"{k} {v:.0f}" for k, v in result["stages_s"].items())
    table.add_row("seconds", stages)
    for name, path in result["paths"].items():
        table.add_row(name, path)
    machine = result["machine"]
    table.add_row("machine", f"{machine['cores']} cores, load {machine['load']}, {machine['sched']}")
