"""Evaluation: many rollouts in virtual time, over processes, with intervals.

Outcomes do not depend on how many processes there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from telerig.policies.processes import spread
from telerig.policies.rollout import Outcome, RolloutSpec, rollout
from telerig.policies.statistics import wilson
from telerig.teleop.bench.report import progress


def why_failed(missing: str, fell: bool) -> str:
    """The part of a task that was not done, as it stands in tables; "" where nothing is known."""
    return f"{missing}: fell" if fell and missing else "fell" if fell else missing


@dataclass(frozen=True)
class Report:
    """Outcomes in the order of their seeds."""

    outcomes: tuple[Outcome, ...]

    @property
    def successes(self) -> int:
        """How many succeeded."""
        return sum(o.success for o in self.outcomes)

    @property
    def failed_at(self) -> dict[str, int]:
        """How many failed in which part of the task, falls named as such; {} where nothing is known of parts."""
        causes = [why_failed(o.missing, o.fell) for o in self.outcomes if not o.success]
        return dict(Counter(cause for cause in causes if cause))

    def to_json(self) -> dict[str, Any]:
        """``success`` [k, n], Wilson interval, failures by part of the task, per-seed outcomes."""
        n = len(self.outcomes)
        low, high = wilson(self.successes, n)
        return {
            "success": [self.successes, n],
            "interval95": [round(low, 4), round(high, 4)],
            "seconds_mean": round(sum(o.seconds for o in self.outcomes if o.success) / max(1, self.successes), 3),
            "not_engaged": sum(not o.engaged for o in self.outcomes),
            "failed_at": self.failed_at,
            "rollouts": [
                {"seed": o.seed, "success": o.success, "seconds": round(o.seconds, 3), "digest": o.digest[:16]}
                for o in self.outcomes
            ],
        }


def evaluate(
    specs: Sequence[RolloutSpec], processes: int = 0, done: Callable[[Outcome], None] = lambda outcome: None
) -> Report:
    """Run all rollouts.

    :param processes: 0: one a core; 1: in this process.
    :param done: called after each, in the order they finish.
    """
    found: dict[int, Outcome] = {}
    for index, outcome in spread(rollout, specs, processes):
        found[index] = outcome
        done(outcome)
    return Report(tuple(found[i] for i in range(len(specs))))


def evaluate_shown(specs: Sequence[RolloutSpec], title: str, processes: int = 0) -> Report:
    """:func:`evaluate` behind a progress bar on stderr, called ``title``."""
    finished = 0
    with progress(title) as advance:

        def done(outcome: Outcome) -> None:
            nonlocal finished
            finished += 1
            advance(finished / len(specs))

        return evaluate(specs, processes, done)
