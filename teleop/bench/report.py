"""How benchmarks speak: a progress bar on stderr, a table for people, one JSON object as the last line for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from telerig.teleop.bench.loop_bench import LoopBench, measure
from telerig.teleop.bench.rigs import bench_rig


@contextmanager
def progress(title: str) -> Iterator[Callable[[float], None]]:
    """A bar on stderr, where that is a terminal; yields a function that takes the fraction done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=1.0)

        def advance(fraction: float) -> None:
            bar.update(task, completed=min(1.0, fraction))

        try:
            yield advance
        except BaseException:
            bar.live.transient = True  # wiped away: an error is told in one line, without a bar before it
            raise


def show(title: str, result: Mapping[str, Any], as_json: bool) -> None:
    """A table on stderr; with ``as_json`` the object on stdout, last line."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False)
    for key, value in result.items():
        shown = "  ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)
        table.add_row(key, shown)
    Console(stderr=True).print(table)
    if as_json:
        print(json.dumps(result), flush=True)


def run_loop_bench(seconds: float, keep: Path | None, renderer: bool, as_json: bool) -> None:
    """``telerig bench loop``."""
    rig, hand = bench_rig(renderer)
    with progress("bench loop") as advance:
        result = measure(LoopBench(rig, hand, seconds, "robot/upper", keep), advance)
    result["renderer"] = renderer
    show("telerig bench loop", result, as_json)
