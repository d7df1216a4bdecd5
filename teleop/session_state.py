"""The stream ``session/state``: what the operator's screen shows and the log keeps, 50 times a second and at every
change."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop.states import Reason, State

SESSION_STATE = StreamSpec(
    "session/state",
    (
        ArraySpec("state", (), "<u1"),  # states.State
        ArraySpec("previous", (), "<u1"),
        ArraySpec("reason", (), "<u2"),  # states.Reason
        ArraySpec("since", (), "<i8", "ns"),
        ArraySpec("mismatch", (), "<f8", "rad"),
        ArraySpec("matched", (), "<f8", low=0.0, high=1.0),
        ArraySpec("stale", (), "<i2"),  # index into the agent's required streams, -1: none
        ArraySpec("enable", (), "<u1"),
        ArraySpec("recording", (), "<u1"),
        ArraySpec("episode", (), "<i8"),
        ArraySpec("kept", (), "<i8"),
        ArraySpec("discarded", (), "<i8"),
        ArraySpec("overruns", (), "<i8"),
        ArraySpec("period_error", (), "<i8", "ns"),
    ),
    50.0,
)
_DTYPES = {a.name: np.dtype(a.dtype) for a in SESSION_STATE.arrays}


@dataclass(frozen=True, slots=True)
class SessionState:
    """One tick's state; units as in :data:`SESSION_STATE`.

    ``mismatch``: rad, inf where unknown; ``stale``: index into ``Freshness.names`` or -1; ``overruns``: periods
    skipped so far; ``period_error``: how late this tick began, ns.
    """

    state: State = State.IDLE
    previous: State = State.IDLE
    reason: Reason = Reason.START
    since: int = 0
    mismatch: float = math.inf
    matched: float = 0.0
    stale: int = -1
    enable: bool = False
    recording: bool = False
    episode: int = 0
    kept: int = 0
    discarded: int = 0
    overruns: int = 0
    period_error: int = 0


def to_sample(state: SessionState, now: int) -> Sample:
    """As a sample of ``session/state``."""
    data = {name: np.asarray(getattr(state, name), dtype) for name, dtype in _DTYPES.items()}
    return Sample(SESSION_STATE.name, now, now, data)


def from_sample(sample: Sample) -> SessionState:
    """The inverse of :func:`to_sample`."""
    v = {name: sample.array(name).item() for name in _DTYPES}
    v["state"], v["previous"], v["reason"] = State(v["state"]), State(v["previous"]), Reason(v["reason"])
    v["enable"], v["recording"] = bool(v["enable"]), bool(v["recording"])
    return SessionState(**v)
