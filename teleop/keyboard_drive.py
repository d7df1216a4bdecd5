"""The keyboard as pedals: keys change a wish that stays until the next key.  A terminal does not tell when a key is let go.

======= =========================== ======= ===========================
u, j    faster forward, backward    y, b    higher, lower
h, l    turn left, right            0       stand still
, .     to the left, to the right   others  see ``teleop/operate.py``
======= =========================== ======= ===========================

Whatever releases enable stands the robot still as well.  The wish travels on ``session/drive``, 30 times a second: when the
command line is suspended or dead the stream is stale, and the robot stops.
"""

from __future__ import annotations

import numpy as np

from telerig.hardware.commands import TargetSpec
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec

DRIVE = StreamSpec("session/drive", (ArraySpec("wish", (4,), "<f8", "m/s, m/s, rad/s, m"),), 30.0)
# key -> element, part of the range from rest to the limit on that side
KEYS = {"u": (0, 0.2), "j": (0, -0.2), ",": (1, 0.25), ".": (1, -0.25), "h": (2, 0.25), "l": (2, -0.25),
        "y": (3, 0.1), "b": (3, -0.1)}  # fmt: skip
REST = "0"
HELP = "u/j speed  h/l turn  ,/. sideways  y/b height  0 still"


class KeyDrive:
    """What the keys ask of a base.  :ivar wish: ``(4,)`` within its range."""

    def __init__(self, base: TargetSpec) -> None:
        self._low, self._high, self._home = np.array(base.low), np.array(base.high), np.array(base.home)
        self.wish = self._home.copy()

    def press(self, key: str) -> bool:
        """Act on a key; whether it is one of these."""
        if key == REST:
            self.still()
            return True
        if key not in KEYS:
            return False
        element, part = KEYS[key]
        span = (self._high - self._low)[3] if element == 3 else (self._high if part > 0 else -self._low)[element]
        now = float(self.wish[element])
        then = now + part * float(span)
        if element != 3 and now * then < 0.0:
            then = 0.0  # through rest, not past it
        wish = self.wish.copy()
        wish[element] = min(max(round(then, 6), float(self._low[element])), float(self._high[element]))
        self.wish = wish
        return True

    def still(self) -> None:
        """No velocity; the height stays."""
        self.wish = np.array([0.0, 0.0, 0.0, self.wish[3]])

    def sample(self, now: int) -> Sample:
        """The wish on its stream."""
        return Sample(DRIVE.name, now, now, {"wish": self.wish})
