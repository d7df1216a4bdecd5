"""A glove's 16 joints to a robot hand's, through synergies: tables of numbers beside this file, one a kind of hand.

counts → flexion 0 (open) … 1 (closed) by calibration → features (weighted means of human joints) → joints =
rest + matrix · features, clamped.  A table is TOML::

    [features]                       # name = { glove joint = weight }; weights of a feature sum to 1
    [sides.left]
    joints = […]                     # names without the side, in the order of the rows
    rest = […]                       # rad, with an open hand
    matrix = [[…], …]                # rad, rows = joints, columns = features in the order above
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.calibration import GloveCalibration
from telerig.hardware.errors import ConfigError

Vector = NDArray[np.float64]
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Synergies:
    """One side's table.

    :param features: by name, weights of glove joints.
    :param rest: (m,) rad.  :param matrix: (m, features) rad.
    """

    name: str
    features: dict[str, dict[str, float]]
    joints: tuple[str, ...]
    rest: Vector
    matrix: Vector


def load_synergies(name: str, side: str, folder: Path = FOLDER) -> Synergies:
    """A table by name.  :raises ConfigError: unknown table or side, or one that does not hold together."""
    path = folder / f"{name}.toml"
    known = sorted(p.stem for p in folder.glob("*.toml"))
    if name not in known:
        raise ConfigError(f"hand table '{name}' is unknown; known: {', '.join(known)}")
    try:
        raw = tomllib.loads(path.read_text())
        features = {k: {j: float(w) for j, w in v.items()} for k, v in raw["features"].items()}
        if side not in raw["sides"]:
            raise ConfigError(f"hand table '{name}' has no side '{side}' ({', '.join(raw['sides'])})")
        table = raw["sides"][side]
        rest, matrix = np.array(table["rest"], float), np.array(table["matrix"], float)
        joints = tuple(table["joints"])
    except (KeyError, TypeError, ValueError, AttributeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a hand table: {error}")
    if rest.shape != (len(joints),) or matrix.shape != (len(joints), len(features)):
        raise ConfigError(f"{path}: {side}: {len(joints)} joints, rest {rest.shape}, matrix {matrix.shape}")
    for feature, weights in features.items():
        if not np.isclose(sum(weights.values()), 1.0):
            raise ConfigError(f"{path}: weights of {feature} sum to {sum(weights.values()):g}, not 1")
    return Synergies(name, features, joints, rest, matrix)


class HandMap:
    """(16,) ADC counts to (m,) robot joints, rad.

    ``take``: which glove joints matter; a dead sensor elsewhere disturbs nobody.

    :param low, high: the robot's range, (m,).
    :raises ConfigError: the glove lacks a joint that the table needs, or the robot's hand has another size.
    """

    def __init__(
        self, calibration: GloveCalibration, table: Synergies, low: Sequence[float], high: Sequence[float]
    ) -> None:  # fmt: skip
        if len(low) != len(table.joints):
            m = len(table.joints)
            raise ConfigError(f"hand table '{table.name}' is for {m} joints; the robot's hand has {len(low)}")
        names = calibration.names
        used = {j for weights in table.features.values() for j in weights}
        if unknown := sorted(used - set(names)):
            raise ConfigError(f"hand table '{table.name}' needs {', '.join(unknown)}; the glove has {', '.join(names)}")
        self.take = np.array([i for i, n in enumerate(names) if n in used], int)
        mix = np.array([[w.get(names[i], 0.0) for i in self.take] for w in table.features.values()])  # (features, used)
        self._matrix, self._rest = table.matrix @ mix, table.rest  # (m, used), (m,)
        self._open = np.array(calibration.open)[self.take]
        self._range = np.array(calibration.closed)[self.take] - self._open
        self._low, self._high = np.array(low, float), np.array(high, float)

    def __call__(self, counts: Vector) -> Vector:
        """Robot joints (m,) for ADC counts (16,); NaN in a joint that matters gives NaN."""
        flexion = np.minimum(np.maximum((counts[self.take] - self._open) / self._range, 0.0), 1.0)
        # np.clip would cost five times as much, four times a tick
        result: Vector = np.minimum(np.maximum(self._rest + self._matrix @ flexion, self._low), self._high)
        return result
