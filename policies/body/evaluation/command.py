"""What ``telerig eval-body`` does: judge, show the table, print the figures, save pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from telerig.policies.body.evaluation.evaluate import Request, evaluate, loadable
from telerig.policies.body.evaluation.full_model import TIMESTEP_S
from telerig.policies.body.evaluation.picture import check_folder, save_pictures
from telerig.policies.body.evaluation.report import summary
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.report import progress

WIDTH = 130


def run(request: Request, rrd: Path | None, as_json: bool) -> dict[str, Any]:
    """Evaluate, show, print.  :raises ConfigError: a wrong policy or option; nothing runs."""
    if rrd is not None:
        check_folder(rrd)
    manifest = loadable(request)  # before the bar: what is refused is one line
    with progress(f"eval-body {manifest.name}") as advance:
        found = evaluate(request, advance)
    result = {
        "policy": manifest.name, "licence": manifest.licence, "sha256": manifest.model.sha256 or None,
        "embodiment": manifest.embodiment, "seeds": request.seeds, "physics_step_s": TIMESTEP_S, **summary(found.rows),
        "machine": machine(),
    }  # fmt: skip
    console = Console(stderr=True)
    if not console.is_terminal:  # a log file has no width
        console.width = WIDTH
    console.print(case_table(manifest.name, found.rows))
    met, missed = result["bars"]["met"], result["bars"]["missed"]
    console.print(f"{len(met)} of {len(found.rows)} bars met" + (f"; missed: {', '.join(missed)}" if missed else ""))
    if rrd is not None:
        for file in save_pictures(found.tracks, manifest.embodiment, rrd):
            console.print(str(file))
    if as_json:
        print(json.dumps(result), flush=True)
    return result


def case_table(name: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """Cases as rows."""
    table = Table(title=f"{name}, full model", title_justify="left")
    for heading in ("case", "up", "vx", "vy", "yaw rate", "height", "error", "bar", "tilt", ""):
        table.add_column(heading, justify="left" if heading == "case" else "right")
    for case, r in rows.items():
        if "skipped" in r:
            table.add_row(case, "–", *[""] * 4, "", "", "", r["skipped"])
            continue
        values = (f"{r[k]:.3f}" if k in r else "–" for k in ("vx", "vy", "yaw_rate", "height"))
        tilt = "–" if r["tilt_deg_max"] is None else f"{r['tilt_deg_max']:.0f}°"
        table.add_row(case, f"{r['up']}/{r['n']}", *values, _error(r), _bar(r), tilt, "met" if r["met"] else "missed")
    return table


def _error(r: Mapping[str, Any]) -> str:
    if "dead_band" in r:
        return f"{r['dead_band']:.2f}"
    return "–" if r["tracking_error"] is None else _measure(r["tracking_error"], r["bar"]["of"])


def _bar(r: Mapping[str, Any]) -> str:
    up, within, of = (r["bar"][k] for k in ("up", "within", "of"))
    if of == "dead_band":
        return f"dead band < {within}"
    return f"{up} up" + (f", {_measure(within, of)}" if within is not None else "")


def _measure(value: float, of: str | None) -> str:
    if of == "share":
        return f"{100 * value:.1f} %"
    return f"{value:.3f} m/s" if of == "speed" else f"{100 * value:.1f} cm"
