"""Colours and words of the view."""

from __future__ import annotations

from telerig.hardware.events import Level
from telerig.teleop.states import State

TIME, CLOCK = "episode_time", "session_clock"  # the timelines: seconds since the start, and the session's clock

# ten colours that stay apart on dark ground (Tableau 10, a little lighter)
PALETTE = (
    (110, 165, 220), (250, 160, 70), (240, 105, 105), (130, 210, 200), (110, 190, 100),
    (245, 215, 90), (195, 140, 190), (255, 170, 180), (175, 135, 110), (200, 195, 190),
)  # fmt: skip
WIDTHS = {"measured": 2.5, "sent": 1.2, "intended": 1.0, "value": 1.5}
STRENGTH = {"measured": 1.0, "sent": 0.72, "intended": 0.45, "value": 1.0}  # how bright against the ground
WORDS = {
    "measured": "thick and bright: where the joint **is** (measured)",
    "sent": "thin: what the robot was **sent**",
    "intended": "thin and dark: what the operator **intended**",
}

GHOSTS = {"intended": (0.25, 0.62, 1.0, 0.45), "sent": (1.0, 0.55, 0.15, 1.0)}  # rgba, 0…1

BODIES = {
    "measured": "solid: where it **is** (measured)",
    "intended": "blue, translucent: what the operator **intended**",
    "sent": "orange bones: what it was **sent**; they show where it lags behind",
}

STATE_COLORS = {
    State.IDLE: 0x8A8A8AFF, State.HOMING: 0x5B8DB8FF, State.MATCHING: 0xE0B040FF, State.ENGAGED: 0x4CAF50FF,
    State.HOLD: 0xE08A3CFF, State.DAMPED: 0x9C6ADEFF, State.ESTOP: 0xE53935FF,
}  # fmt: skip
STATE_WORDS = {
    State.IDLE: "idle", State.HOMING: "going home", State.MATCHING: "matching", State.ENGAGED: "engaged: robot follows",
    State.HOLD: "hold", State.DAMPED: "damped", State.ESTOP: "e-stop",
}  # fmt: skip
LEVELS = {Level.INFO: "INFO", Level.WARNING: "WARN", Level.ERROR: "ERROR"}


def color(index: int, kind: str = "value") -> tuple[int, int, int]:
    """The colour of a plot's n-th element."""
    r, g, b = (round(STRENGTH[kind] * c) for c in PALETTE[index % len(PALETTE)])
    return r, g, b
