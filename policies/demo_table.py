"""The demo's closing table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show_demo(result: Mapping[str, Any]) -> None:
    """Print it on stderr."""
    table = Table(title=f"telerig demo, {result['seconds']:.0f} s", show_header=False)
    data, training = result["dataset"], result["training"]
    table.add_row("loop", f"{result['loop_rate_hz']:.2f} Hz, period error p99 {result['period_error_ms_p99']:.2f} ms")
    table.add_row(
        "latency, sensor to bus", f"p50 {result['latency_ms_p50']:.2f} ms, p99 {result['latency_ms_p99']:.2f} ms"
    )
    table.add_row("samples recorded", f"{result['samples']:,}, lost {result['lost_samples']}")
    frames, due = result["frames"]
    table.add_row("frames rendered", f"{frames} of {due} due")
    table.add_row("dataset", f"{data['episodes']} episodes, {data['rows']} rows, {data['bytes'] / 1e6:.0f} MB")
    table.add_row("training", f"{training['steps']} steps in {training['seconds']:.0f} s")
    for who in ("operator", "policy"):
        k, n = result[f"{who}_success"]
        low, high = result[f"{who}_interval95"] or (0.0, 1.0)
        table.add_row(f"{who} succeeds", f"{k} of {n}  (95 %: {low:.2f} to {high:.2f})")
    stages = "  ".join(f"{k} {v:.0f}" for k, v in result["stages_s"].items())
    table.add_row("seconds", stages)
    for name, path in result["paths"].items():
        table.add_row(name, path)
    machine = result["machine"]
    table.add_row("machine", f"{machine['cores']} cores, load {machine['load']}, {machine['sched']}")
    Console(stderr=True).print(table)
