"""What stood on a command line's screen, and since when: read from the bytes that came out of its terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Chunk = tuple[int, bytes]  # when it came (ns), what

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
_STATE = re.compile(r"│\s+(IDLE|HOMING|MATCHING|ENGAGED|HOLD|DAMPED|ESTOP)\s")
_EVENT = re.compile(r"\s*(\d+\.\d)  (\w+):(.*)")
BEFORE_NS = 3_000_000_000  # the screen draws several times a second: what stood there is in this


def _lines(chunks: Sequence[Chunk]) -> Iterator[tuple[int, str]]:
    """Every line with the instant at which it was complete."""
    rest = ""
    for t, data in chunks:
        *whole, rest = re.split(r"[\r\n]+", rest + data.decode(errors="replace"))
        for line in whole:
            yield t, _CONTROL.sub("", line)


def state_shown(chunks: Sequence[Chunk], at: int, wanted: str = "") -> int | None:
    """When the screen first showed a state: ``wanted``, or any but ENGAGED; None: it did not after the instant ``at``."""
    for t, line in _lines([c for c in chunks if c[0] > at]):
        found = _STATE.search(line)
        if found is not None and (found[1] == wanted if wanted else found[1] != "ENGAGED"):
            return t
    return None


def event_shown(chunks: Sequence[Chunk], at: int, source: str, text: str) -> int | None:
    """When the screen first showed an event that had not stood there before the instant ``at``; None: it did not.

    :param source: who reports it.  :param text: how its text begins; on a narrow screen it goes on in the lines below.
    """
    old, wanted = set(), "".join(text.split())
    when, so_far = "", ""  # of the event whose lines these are, if it is the source's
    for t, line in _lines([c for c in chunks if c[0] > at - BEFORE_NS]):
        if (found := _EVENT.match(line)) is not None:
            when, so_far = (found[1] if found[2] == source else ""), ""
            line = found[3]
        so_far += "".join(line.split())  # a long word begins a line of its own
        if not when or not so_far.startswith(wanted):
            continue
        if t <= at:
            old.add(when)
        elif when not in old:
            return t
        when = ""
    return None
