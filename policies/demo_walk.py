"""``telerig demo --walk``: the virtual operator walks to a shelf, squats, carries a box to a table; recorded and judged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from telerig.hardware.errors import ConfigError, DataError
from telerig.policies.demo import Stopwatch, interval
from telerig.policies.demo_figures import read_back
from telerig.policies.demo_table import show_walk
from telerig.policies.evaluate import Report, evaluate_shown, why_failed
from telerig.policies.rollout import rollout_spec
from telerig.teleop.bench.machine import machine
from telerig.teleop.bench.origin import origin
from telerig.teleop.bench.report import progress
from telerig.teleop.body_rig import body_rig
from telerig.teleop.operators import operator_limit
from telerig.teleop.plan import plan_devices
from telerig.teleop.rig import Rig, load_rig
from telerig.teleop.teleoperate import TeleopRequest, teleoperate

EVAL_SEED = 10_000  # rollouts in virtual time are on other seeds than the recorded episodes
MIN_RATE, MAX_LOST = 0.75, 0.01  # what ``ci`` insists on: shares of the rig's rate and of the samples


@dataclass(frozen=True)
class WalkRequest:
    """The command's arguments; ``ci`` makes everything small.

    :param episodes: in real time, recorded;  ``rollouts``: in virtual time.
    :param body: a body policy by name or manifest; "" is the rig's own.
    """

    rig: Path
    out: Path
    episodes: int = 20
    rollouts: int = 20
    seed: int = 0
    body: str = ""
    ci: bool = False
    as_json: bool = False


def demo_walk(request: WalkRequest) -> dict[str, Any]:
    """Run all stages; returns what ``--json`` prints.

    :raises ConfigError: the output folder holds something already, or the rig's robot does not walk.
    :raises DataError: with ``ci``, the closing table cannot be true.
    """
    if request.ci:
        request = replace(request, episodes=1, rollouts=min(1, request.rollouts))
    if request.out.exists() and any(request.out.iterdir()):
        raise ConfigError(f"{request.out}: already holds something; give a new folder with --out")
    rig = load_rig(request.rig, body=request.body)
    body = body_rig(rig)
    if body is None:
        raise ConfigError(f"{request.rig}: its robot does not stand on its own feet; --walk needs a rig with [body]")
    paths = {k: request.out / k for k in ("session", "run")}
    watch, measured = Stopwatch(), origin()
    operator = teleoperate(
        TeleopRequest(
            request.rig, paths["session"], operator="virtual", trials=request.episodes, seed=request.seed,
            folder=paths["run"], body=request.body,
        )
    )  # fmt: skip
    watch.lap("record")
    figures = read_back(rig, paths["session"], paths["run"])
    watch.lap("read back")
    report = _virtual(request, rig)
    watch.lap("evaluate")
    result: dict[str, Any] = {
        "seconds": watch.total,
        "body_policy": Path(body.policy).stem,
        **figures,
        **told(operator["trials"], report),
        "stages_s": watch.stages,
        "trials": operator["trials"],
        "paths": {k: str(v) for k, v in paths.items()},
        **measured,
        "machine": machine(),
    }
    _write(request.out, result)  # before the picture, which may fail
    if (picture := _picture(paths["session"], request.out)) is not None:
        result["paths"]["picture"] = str(picture)
    watch.lap("picture")
    result["seconds"] = watch.total
    _write(request.out, result)
    show_walk(result)
    if request.as_json:
        print(json.dumps(result, allow_nan=False), flush=True)
    if request.ci and (wrong := complaints(result, rig.file.session.rate_hz, request)):
        raise DataError("demo: the table cannot be true: " + "; ".join(wrong))
    return result


def _write(folder: Path, result: Mapping[str, Any]) -> None:
    (folder / "demo.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")


def told(trials: Iterable[Mapping[str, Any]], report: Report | None) -> dict[str, Any]:
    """Successes with Wilson intervals and failures by part of the task, in real time and in virtual time."""
    trials = list(trials)
    done = sum(bool(t["success"]) for t in trials)
    why = [why_failed(t["missing"], t["reason"] == "fell") or t["reason"] for t in trials if not t["success"]]
    found: dict[str, Any] = {
        "operator_success": [done, len(trials)],
        "operator_interval95": interval(done, len(trials)),
        "operator_failed_at": dict(Counter(w or "not set down within the time" for w in why)),
    }
    if report is not None:
        n = len(report.outcomes)
        found |= {
            "virtual_success": [report.successes, n],
            "virtual_interval95": interval(report.successes, n),
            "virtual_failed_at": report.failed_at,
            "virtual_seconds": [round(o.seconds, 1) for o in report.outcomes],
        }
    return found


def complaints(result: Mapping[str, Any], rate_hz: float, request: WalkRequest) -> list[str]:
    """What is wrong with the figures, one line each; that nobody succeeded is no complaint, that nothing was kept is."""
    kept, ended = result["recorded_episodes"], sum(not t["reason"] for t in result["trials"])
    lost, samples = result["lost_samples"], result["samples"]
    checks = {
        f"operator: {result['operator_success']} of {request.episodes} episodes": result["operator_success"][1]
        == request.episodes,
        f"virtual: {result.get('virtual_success')} of {request.rollouts}": not request.rollouts
        or result["virtual_success"][1] == request.rollouts,
        f"{kept} episodes kept, {ended} ended by the operator": kept >= max(1, ended),
        f"loop rate {result['loop_rate_hz']} Hz of {rate_hz:g}": not kept
        or MIN_RATE < result["loop_rate_hz"] / rate_hz < 1.01,
        f"{lost} of {samples} samples lost": not kept or 0 <= lost <= MAX_LOST * samples,
    }
    return [what for what, fine in checks.items() if not fine]


def blind(rig: Rig) -> Rig:
    """The rig without cameras: a virtual operator does not look through them, and they cost most of the time."""
    cameras = {n for n, p in plan_devices(rig).items() if any(s.name.endswith("/color") for s in p.streams)}
    return replace(rig, devices={n: d for n, d in rig.devices.items() if n not in cameras})


def _virtual(request: WalkRequest, rig: Rig) -> Report | None:
    if not request.rollouts:
        return None
    limit, seeds = operator_limit(rig), range(EVAL_SEED, EVAL_SEED + request.rollouts)
    specs = [rollout_spec(blind(rig), "operator", seed, limit_s=limit) for seed in seeds]
    return evaluate_shown(specs, "evaluating in virtual time")


def _picture(session: Path, folder: Path) -> Path | None:
    """One recorded episode as an .rrd file, a success if there is one; None without any, or without the viewer."""
    from importlib.util import find_spec

    from telerig.datasets.sources import select
    from telerig.teleop.view.command import convert_one

    if find_spec("rerun") is None:
        return None
    found = select([session], "success")[0] or select([session])[0]
    if not found:
        return None
    out = folder / "walk.rrd"
    with progress("drawing an episode") as advance:
        convert_one(found[0].log, out, advance)
    return out
