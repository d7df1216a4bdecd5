"""Observation terms by name: where each finds its numbers.

Everything a policy may see at one step lies in one vector, the *source*, in named sections.  A term is a choice of
elements of a section, so that a whole observation is one gather, whatever its terms are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import ConfigError
from telerig.policies.body.manifest import Manifest, ObservationTerm

Choice = Literal["joints", "items", "phases"]


@dataclass(frozen=True, slots=True)
class Term:
    """A term: what it holds, and by which key of the manifest its elements may be chosen."""

    about: str
    choice: Choice | None = None


TERMS: Mapping[str, Term] = {
    "command": Term("the command given to the policy: m/s, m/s, rad/s, m", "items"),
    "angular_velocity": Term("of the pelvis in its own axes, rad/s"),
    "projected_gravity": Term("unit vector of gravity in the pelvis' axes: (0, 0, -1) upright"),
    "joint_position": Term("measured minus default, rad", "joints"),
    "joint_velocity": Term("rad/s", "joints"),
    "last_action": Term("the previous outputs, clipped", "joints"),
    "clock_sin": Term("sine of the clock's phases", "phases"),
    "clock_cos": Term("cosine of the clock's phases", "phases"),
    "walk_flag": Term("1 while the command is not rest, else 0"),
}


class Sections:
    """Where each term's elements stand in the source vector, and what they are called.

    :ivar size: length of the source vector.
    """

    def __init__(self, manifest: Manifest) -> None:
        phases = range(len(manifest.clock.offsets)) if manifest.clock else range(0)
        self.elements: dict[str, tuple[str, ...]] = {
            "command": manifest.command.names,
            "angular_velocity": ("x", "y", "z"),
            "projected_gravity": ("x", "y", "z"),
            "joint_position": manifest.joint_names,
            "joint_velocity": manifest.joint_names,
            "last_action": manifest.action_joints,
            "clock_sin": tuple(str(i) for i in phases),
            "clock_cos": tuple(str(i) for i in phases),
            "walk_flag": ("walking",),
        }
        starts = np.cumsum([0, *(len(names) for names in self.elements.values())])
        self.size = int(starts[-1])
        self._slices = {
            name: slice(int(a), int(b)) for name, a, b in zip(self.elements, starts[:-1], starts[1:], strict=True)
        }

    def __getitem__(self, name: str) -> slice:
        """Where a section stands."""
        return self._slices[name]

    def name(self, index: int) -> str:
        """What element ``index`` is called, as ``joint_position left_knee_joint``."""
        for term, where in self._slices.items():
            if where.start <= index < where.stop:
                return f"{term} {self.elements[term][index - where.start]}"
        raise IndexError(index)

    def indices(self, spec: ObservationTerm) -> NDArray[np.intp]:
        """The source's elements that a term holds, in its order.

        :raises ConfigError: no such term, no such element, or a key that the term does not know.
        """
        term = TERMS.get(spec.term)
        if term is None:
            raise ConfigError(f"observation term '{spec.term}' is unknown; known: {', '.join(TERMS)}")
        for key in ("joints", "items", "phases"):
            if getattr(spec, key) is not None and term.choice != key:
                raise ConfigError(f"observation term '{spec.term}' takes no '{key}'")
        known, start = self.elements[spec.term], self._slices[spec.term].start
        if not known:
            needs = "[clock] is missing" if spec.term.startswith("clock") else "there is nothing of the kind"
            raise ConfigError(f"observation term '{spec.term}': {needs}")
        chosen = getattr(spec, term.choice) if term.choice else None
        if chosen is None:
            return np.arange(start, start + len(known))
        for name in map(str, chosen):
            if name not in known:
                raise ConfigError(f"observation term '{spec.term}' has no '{name}' (it has {', '.join(known)})")
        return np.array([start + known.index(str(name)) for name in chosen], np.intp)


def spread(values: tuple[float, ...], n: int, where: str) -> NDArray[np.float64]:
    """One number for all ``n`` elements, or one for each.  :raises ConfigError: another number of them."""
    if len(values) not in (1, n):
        raise ConfigError(f"{where} has {len(values)} numbers, one or {n} are right")
    return np.array(np.broadcast_to(np.asarray(values, np.float64), n))
