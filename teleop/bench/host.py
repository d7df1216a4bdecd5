"""A session in a process of its own, so that a benchmark can stop and kill the command line too.

Reads one JSON object a line on its standard input, answers each with one.  The first says what to run (:func:`_run`),
then ``{"do": "pids"}``, ``{"do": "episode", "command": 2}``, ``{"do": "enable", "on": true}``, ``{"do": "quit"}``.
When its input ends, the session ends in order, as after Ctrl-C.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from telerig.hardware.errors import TelerigError
from telerig.hardware.specs import StreamSpec
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.live import LiveOptions, Steward
from telerig.teleop.operate import running
from telerig.teleop.plan import rig_from_told
from telerig.teleop.session import ProcessSpec, Session


def main() -> None:
    """Host one session, obey, end."""
    told = json.loads(sys.stdin.readline())
    try:
        _run(told)
    except TelerigError as error:
        _say({"error": str(error)})
        sys.exit(2)


def _run(told: dict[str, Any]) -> None:
    """``rig`` (as told), ``folder``, ``record``, ``extra`` processes, ``streams``, further keys of :class:`LiveOptions`."""
    options = LiveOptions(
        record=Path(told["record"]),
        task="bench",
        home=False,
        extra=tuple(ProcessSpec(**spec) for spec in told["extra"]),
        extra_streams=tuple(StreamSpec.from_json(s) for s in told["streams"]),
        **told["options"],
    )
    with running(rig_from_told(told["rig"]), options, Path(told["folder"])) as (session, steward):
        _say({"running": True})
        for line in sys.stdin:
            request = json.loads(line)
            if request["do"] == "quit":
                break
            _say(_obey(session, steward, request))


def _obey(session: Session, steward: Steward, request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "episode":
        asked = session.clock.now()
        steward.episode(EpisodeCommand(request["command"]))
        return {"t": asked}
    if request["do"] == "enable":
        steward.enable = bool(request["on"])
        return {"t": session.clock.now()}
    return {"pids": session.pids(), "failed": session.failed}


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
