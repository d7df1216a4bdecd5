"""Things that happen rather than flow: losses, refusals, unplugging, changes of state.  Events are stream samples too."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from telerig.hardware.samples import Sample
from telerig.hardware.specs import BlobSpec, StreamSpec


class Level(enum.StrEnum):
    """How loud an event is: the operator's screen rings a bell from WARNING on."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Event:
    """One event.  ``code`` is stable and for programs (``device.lost``); ``text`` is one line for people."""

    t: int
    level: Level
    source: str
    code: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


def event_stream(source: str) -> StreamSpec:
    """The stream ``SOURCE/events``."""
    return StreamSpec(f"{source}/events", (BlobSpec("json", 2048, "application/json"),), 64.0, 4.0)


def to_sample(event: Event) -> Sample:
    """An event as a sample of ``SOURCE/events``; over-long data are dropped rather than the event."""
    body = {"level": event.level.value, "source": event.source, "code": event.code, "text": event.text[:400]}
    blob = json.dumps({**body, "data": dict(event.data)}).encode()
    if len(blob) > 2048:
        blob = json.dumps({**body, "data": {"dropped": "too long"}}).encode()
    return Sample(f"{event.source}/events", event.t, event.t, {"json": blob})


def from_sample(sample: Sample) -> Event:
    """The inverse of :func:`to_sample`."""
    body = json.loads(sample.blob("json"))
    return Event(sample.t_arrival, Level(body["level"]), body["source"], body["code"], body["text"], body["data"])
