"""A run's curves and evaluations for TensorBoard, from its ``.jsonl`` files: at once for old runs, as they come for new ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from telerig.hardware.errors import DataError
from telerig.policies.event_file import EventFile

FOLDER = "tensorboard"
_OF_X = ("update", "steps", "seconds")
_OF_CASES = ("up", "vx", "vy", "yaw_rate", "height", "tilt_deg_max")


def scalars(line: Mapping[str, Any]) -> dict[str, float]:
    """Tag → value of a line of ``curves.jsonl`` or ``evaluations.jsonl``."""
    if "cases" in line:
        found = {f"evaluation_{k}/{case}": row[k] for case, row in line["cases"].items() for k in _OF_CASES}
        return {tag: float(value) for tag, value in found.items() if value is not None}
    out = {f"terms/{k}": float(v) for k, v in line.get("terms", {}).items()}
    return out | {f"train/{k}": float(v) for k, v in line.items() if k not in (*_OF_X, "terms")}


class RunCurves:
    """The event file of a run, in ``out``; it begins with everything that the run has written so far.

    :raises DataError: the run has no curves, or they cannot be read.
    """

    def __init__(self, run: Path, out: Path) -> None:
        lines = list(_lines(run))
        for old in out.glob("events.out.tfevents.*.telerig"):
            old.unlink()  # else a resumed run's dropped end would be shown beside its new one
        last = max(line["seconds"] for line in lines)
        self._began = (run / "curves.jsonl").stat().st_mtime - last
        self._file = EventFile(out, self._began)
        for line in lines:
            self.add(line)

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def add(self, line: Mapping[str, Any]) -> None:
        """One more line of either kind."""
        self._file.add(line["steps"], self._began + line["seconds"], scalars(line))


def _lines(run: Path) -> Iterator[dict[str, Any]]:
    if not (run / "curves.jsonl").is_file():
        raise DataError(f"{run}: no curves.jsonl, so no run of `telerig train-body`")
    for name in ("curves.jsonl", "evaluations.jsonl"):
        path = run / name
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines() if path.is_file() else (), 1):
            try:
                line = json.loads(text)
                scalars(line)
                yield {**line, "steps": int(line["steps"]), "seconds": float(line["seconds"])}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(f"{path}:{number}: not a line of curves: {error}")
