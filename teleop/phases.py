"""How far an episode came: what a simulated world says is done of its task, part by part.  For evaluation only."""

from __future__ import annotations

import numpy as np

from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec

FIELD = "phases"


class Progress:
    """Remembers what was ever done.

    :param truth: the world's ``NAME/truth``; one without ``phases`` is fine: nothing is known then.
    """

    def __init__(self, truth: StreamSpec) -> None:
        found = [a for a in truth.arrays if a.name == FIELD]
        self.names: tuple[str, ...] = found[0].axes if found else ()
        self._done = np.zeros(len(self.names), bool)

    def reset(self) -> None:
        """A new episode."""
        self._done[:] = False

    def look(self, truth: Sample) -> None:
        """Take in a sample."""
        if self.names:
            self._done |= truth.array(FIELD) > 0

    @property
    def missing(self) -> str:
        """The first part that was never done; "" where all were, or nothing is known."""
        return next((n for n, done in zip(self.names, self._done.tolist(), strict=True) if not done), "")
