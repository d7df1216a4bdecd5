"""Trials are told of one by one, in the same words whoever is at the controls."""

from __future__ import annotations

from typing import Any

from telerig.hardware.events import Level
from telerig.teleop.trials import Trial, say_newest


class Heard:
    """A session that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def say(self, level: Level, code: str, text: str, **data: object) -> None:
        self.said.append((level, code, text, data))


def test_the_newest_trial_is_told() -> None:
    session, results = Heard(), []
    for trial in (Trial(7, True, 3.25), Trial(8, False, 8.0), Trial(9, False, 0.0, "e-stop")):
        results.append(trial)
        say_newest(session, results, 3)  # type: ignore[arg-type]
    assert [text for _, _, text, _ in session.said] == [
        "trial 1/3 (seed 7): success, 3.2 s",
        "trial 2/3 (seed 8): failure, 8.0 s",
        "trial 3/3 (seed 9): failure: e-stop, 0.0 s",
    ]
    assert session.said[0] == (Level.INFO, "trial.ended", session.said[0][2], {"seed": 7, "success": True})
