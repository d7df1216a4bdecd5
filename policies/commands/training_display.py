"""What ``train`` and ``train-body`` show alike: a bar, a proper end when interrupted, and the line at the end."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def training_bar(console: Console) -> Progress:
    """A bar whose tasks have a ``note``."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )


@contextmanager
def stoppable(*signals: signal.Signals) -> Iterator[Callable[[], bool]]:
    """Yields whether one of these signals has come: training then ends properly.  A second SIGINT ends it at once."""
    stopped = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        if stopped and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopped = True

    before = {n: signal.signal(n, on_signal) for n in signals}
    try:
        yield lambda: stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_end(result: dict[str, Any], figures: str, out: Path, as_json: bool) -> None:
    """How training ended, for people or, as one JSON object, for programs.

    :param figures: what the result says, in words.
    """
    if as_json:
        print(json.dumps(result))
        return
    end = "trained" if result["complete"] else "stopped early (go on with --resume)"
    print(f"{end}: {figures} → {out}")
