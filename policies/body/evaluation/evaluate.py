"""The whole table: every case, every seed, over processes.  Figures do not depend on how many processes there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telerig.hardware.embodiment import load_embodiment
from telerig.policies.body.evaluation import report
from telerig.policies.body.evaluation.cases import CASES, Case
from telerig.policies.body.evaluation.trial import Order, Trial, run
from telerig.policies.body.load import body_policy, load_manifest
from telerig.policies.body.manifest import Manifest
from telerig.policies.processes import spread


@dataclass(frozen=True, slots=True)
class Request:
    """What to judge.

    :param policy: a name, or a manifest's path; ``model``: its ONNX file, if not where the manifest says.
    :param seeds: robots a case; :param first_seed: of the first one.
    :param processes: 0: one a core; 1: in this process.
    :param keep: the first robot's track of every case is kept, for pictures.
    """

    policy: str
    model: Path | None = None
    cases: tuple[Case, ...] = CASES
    seeds: int = 20
    first_seed: int = 0
    processes: int = 0
    keep: bool = False


@dataclass(slots=True)
class Result:
    """Rows by case, in the request's order; kept tracks by case."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    tracks: dict[str, Trial] = field(default_factory=dict)


def loadable(request: Request) -> Manifest:
    """The manifest of a request's policy, once the policy was loaded: refused here, not in a worker.

    :raises ConfigError: it does not load.
    """
    manifest, _ = load_manifest(request.policy)
    body_policy(request.policy, load_embodiment(manifest.embodiment), request.model)
    return manifest


def evaluate(request: Request, done: Callable[[float], None] = lambda share: None) -> Result:
    """Judge a policy.

    :param done: called with the share of the simulated time that is over.
    :raises ConfigError: the policy does not load; nothing has run.
    """
    manifest = loadable(request)
    possible = [c for c in request.cases if set(c.wants) <= set(manifest.command.names)]
    orders = [order for case in possible for order in _orders(request, case)]
    found: list[Trial | None] = [None] * len(orders)
    total, over = sum(o.case.seconds for o in orders), 0.0
    for index, trial in spread(run, orders, request.processes, lambda order: order.case.seconds):
        found[index] = trial
        over += orders[index].case.seconds
        done(over / total)
    result = Result()
    for case in request.cases:
        if case not in possible:
            lacking = next(name for name in case.wants if name not in manifest.command.names)
            result.rows[case.name] = report.skipped_row(case, lacking)
            continue
        own = [(o, t) for o, t in zip(orders, found, strict=True) if o.case is case and t is not None]
        result.rows[case.name] = _row(case, own)
        kept = [t for _, t in own if t.track is not None]
        if kept:
            result.tracks[case.name] = kept[0]
    return result


def _orders(request: Request, case: Case) -> Iterator[Order]:
    model = str(request.model or "")
    sign_of_axis = tuple(1.0 if value else 0.0 for value in case.command[:3])
    for seed in range(request.first_seed, request.first_seed + request.seeds):
        keep = request.keep and seed == request.first_seed
        if not case.grid:
            yield Order(request.policy, case, seed, model, keep=keep)
        elif seed < request.first_seed + max(1, request.seeds // 4):  # the grid has several commands
            for given in case.grid:
                command = (*(given * s for s in sign_of_axis), case.command[3])
                yield Order(request.policy, case, seed, model, command, keep and given == case.grid[-1])


def _row(case: Case, own: Sequence[tuple[Order, Trial]]) -> dict[str, Any]:
    if not case.grid:
        return report.row(case, [t for _, t in own])
    return report.dead_band_row(case, {g: [t for o, t in own if max(o.command[:3]) == g] for g in case.grid})
