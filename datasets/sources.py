"""Which recorded episodes go into a dataset, and why the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telerig.datasets.files import read_json
from telerig.datasets.session_folder import SessionFolder, is_changed
from telerig.hardware.errors import ConfigError, DataError

OUTCOMES = ("all", "success")


@dataclass(frozen=True, slots=True)
class Source:
    """A recorded episode that is to be built."""

    session: SessionFolder
    log: Path
    sidecar: dict[str, Any]


def select(sessions: Sequence[Path], outcome: str = "all") -> tuple[list[Source], dict[str, int]]:
    """The kept episodes of some sessions, in order, and how many others there are, by reason.

    :param outcome: ``success`` (only those labelled so) or ``all`` (every kept one, labelled or not).
    :raises ConfigError: no session, one twice, or an unknown outcome.
    :raises DataError: a folder is not a session, or a closed log lacks its sidecar or was cut since.
    """
    if outcome not in OUTCOMES:
        raise ConfigError(f"--outcome {outcome}: choose one of {', '.join(OUTCOMES)}")
    resolved = [Path(p).resolve() for p in sessions]
    if not resolved or len(set(resolved)) < len(resolved):
        raise ConfigError("give at least one session, each once")
    found: list[Source] = []
    skipped: dict[str, int] = {}
    for path in sessions:
        session = SessionFolder.open(path)
        for log in session.logs():
            if not session.sidecar(log).exists():
                raise DataError(f"{log}: was never finished; run: telerig repair {path}")
            sidecar = read_json(session.sidecar(log))
            if is_changed(log, sidecar):
                raise DataError(f"{log}: is not as long as it was when it was closed; run: telerig repair {path}")
            reason = _reason(sidecar, outcome)
            if reason:
                skipped[reason] = skipped.get(reason, 0) + 1
            else:
                found.append(Source(session, log, sidecar))
        if session.partials():
            skipped["not closed (telerig repair)"] = skipped.get("not closed (telerig repair)", 0) + len(
                session.partials()
            )
        if n := len(list(session.bin.glob("*.mcap"))):
            skipped["discarded"] = skipped.get("discarded", 0) + n
    return found, skipped


def _reason(sidecar: dict[str, Any], outcome: str) -> str | None:
    if sidecar.get("interrupted"):
        return "interrupted"
    if not sidecar.get("kept"):
        return "discarded"
    if outcome == "success" and sidecar.get("outcome") != "success":
        return "not labelled success"
    return None
