"""Reading datasets: what training, replay and viewers use.

>>> data = Dataset.open("data/pick")                       # doctest: +SKIP
>>> episode = data.episodes[0]
>>> episode.state.shape, episode.jpeg("head", 0)[:2]       # (rows, joints), b"\\xff\\xd8"
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.datasets.files import read_json
from telerig.datasets.statistics import Statistics
from telerig.hardware.commands import Source
from telerig.hardware.errors import DataError

Floats = NDArray[np.float64]
DATASET_VERSION = 1


class EpisodeFile:
    """One episode.  The file is opened on first use, and again in every process that uses it (loaders fork or spawn).

    :raises DataError: on first use, if the file is missing, damaged or not an episode.
    """

    def __init__(self, path: Path, entry: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self._entry = dict(entry or {})
        self._handle: tuple[int, Any] | None = None
        self._opened: dict[str, Any] = {}

    @property
    def _file(self) -> Any:
        if self._handle is None or self._handle[0] != os.getpid():
            import h5py

            if not self.path.exists():
                raise DataError(f"{self.path}: no such episode")
            try:
                self._handle, self._opened = (os.getpid(), h5py.File(self.path, "r")), {}
            except OSError as error:
                raise DataError(f"{self.path}: not an HDF5 file: {error}")
        return self._handle[1]

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "name": self.name, "_entry": self._entry, "_handle": None, "_opened": {}}

    def close(self) -> None:
        """Close the file; using the episode opens it again."""
        if self._handle is not None and self._handle[0] == os.getpid():
            self._handle[1].close()
        self._handle, self._opened = None, {}

    def array(self, key: str) -> NDArray[Any]:
        """Any numeric dataset, whole.  :raises DataError: there is none of that key."""
        if key not in self._file:
            raise DataError(f"{self.path}: has no '{key}'")
        return np.asarray(self._file[key][()])

    def keys(self) -> Iterator[str]:
        """Every dataset's key, sorted."""
        found: list[str] = []
        self._file.visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
        return iter(sorted(found))

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Embodiment, streams, cameras, task, outcome, events, quality report …: see docs/formats.md."""
        if "meta" not in self._file:
            raise DataError(f"{self.path}: is not a telerig episode (it has no 'meta')")
        found: dict[str, Any] = json.loads(self._file["meta"][()])
        return found

    @property
    def rows(self) -> int:
        """Number of rows T."""
        return int(self._entry["rows"]) if "rows" in self._entry else len(self.t_ns)

    @property
    def outcome(self) -> str | None:
        """``success``, ``failure`` or None (nobody said)."""
        found = self._entry["outcome"] if "outcome" in self._entry else self.meta["outcome"]
        return None if found is None else str(found)

    @property
    def task(self) -> str:
        """The instruction."""
        return str(self._entry["task"] if "task" in self._entry else self.meta["task"])

    @cached_property
    def t_ns(self) -> NDArray[np.int64]:
        """``(T,)`` the rows' instants, session clock, ns."""
        return self.array("time/row_ns")

    @cached_property
    def state(self) -> Floats:
        """``(T, n)`` measured joint positions, rad, in the command target's order."""
        return self.array("puppet/joint_position")

    @cached_property
    def intended(self) -> Floats:
        """``(T, n)`` what the operator (or policy) wanted, before the guard."""
        return self.array("master/joint_position")

    @cached_property
    def action(self) -> Floats:
        """``(T, n)`` what the robot was sent."""
        return self.array("action/sent")

    @cached_property
    def base(self) -> Floats | None:
        """``(T, 4)`` base command vx, vy (m/s), yaw rate (rad/s), height (m); None without a base."""
        return self.array("action/base") if "action/base" in self._file else None

    @cached_property
    def engaged(self) -> NDArray[np.bool_]:
        """``(T,)`` rows in which an operator, policy or replay moved the robot (not the guard: homing, hold, damp)."""
        steered = self.array("action/source") != Source.GUARD
        return np.asarray(self.valid(f"{self.meta['target']}/sent") & steered, bool)

    def valid(self, stream: str) -> NDArray[np.bool_]:
        """``(T,)`` rows for which a stream's sample was fresh and whole."""
        return self.array(f"time/{stream}/valid").astype(bool)

    def age_ns(self, stream: str) -> NDArray[np.int64]:
        """``(T,)`` how old a stream's sample was at each row."""
        return self.array(f"time/{stream}/age_ns")

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the colour cameras, sorted."""
        return tuple(sorted(self._file["observations/rgb_images"])) if "observations/rgb_images" in self._file else ()

    @property
    def depth_cameras(self) -> tuple[str, ...]:
        """Names of the depth cameras, sorted."""
        return (
            tuple(sorted(self._file["observations/depth_images"])) if "observations/depth_images" in self._file else ()
        )

    def jpeg(self, camera: str, row: int) -> bytes:
        """The encoded colour image of a row (RGB when decoded).  :raises DataError: no such camera."""
        return self._image("rgb_images", camera, row)

    def depth_png(self, camera: str, row: int) -> bytes:
        """The 16 bit PNG of a row.  :raises DataError: no such camera."""
        return self._image("depth_images", camera, row)

    def _image(self, kind: str, camera: str, row: int) -> bytes:
        key, file = f"observations/{kind}/{camera}", self._file
        if key not in self._opened:  # opening a dataset takes longer than reading an image from it
            if key not in file:
                raise DataError(f"{self.path}: no camera '{camera}' (it has {', '.join(self.cameras) or 'none'})")
            self._opened[key] = file[key]
        return bytes(self._opened[key][row].tobytes())

    def statistics(self, key: str) -> Statistics:
        """Of this episode: ``puppet/joint_position``, ``master/joint_position``, ``action/sent`` or ``action/base``."""
        if f"stats/{key}" not in self._file:
            raise DataError(f"{self.path}: has no statistics of '{key}'")
        return Statistics.from_arrays({name: item[()] for name, item in self._file[f"stats/{key}"].items()})

    def __repr__(self) -> str:
        return f"EpisodeFile({self.path.name}, {self.rows} rows)"


_NEEDED = ("schema_version", "embodiment", "episodes", "content_hash")


class Dataset:
    """A built dataset.  Use :meth:`open`."""

    def __init__(self, path: Path, meta: dict[str, Any]) -> None:
        self.path = path
        self.meta = meta
        self.episodes = tuple(EpisodeFile(path / e["file"], e) for e in meta["episodes"])

    @classmethod
    def open(cls, path: Path | str, embodiment: str | None = None) -> Dataset:
        """Read a dataset's description.

        :param embodiment: the name it must have been recorded with.
        :raises DataError: no dataset there, of a newer version, of another embodiment, or episodes are missing.
        """
        path = Path(path)
        if not (path / "dataset.json").exists():
            raise DataError(f"{path}: not a dataset (it has no dataset.json); build one with: telerig build")
        meta = read_json(path / "dataset.json")
        if lacking := [key for key in _NEEDED if key not in meta]:
            raise DataError(f"{path}/dataset.json: has no {', '.join(lacking)}: not a description that telerig wrote")
        if meta.get("schema_version", 0) > DATASET_VERSION:
            raise DataError(
                f"{path}: dataset of version {meta['schema_version']}; this telerig reads {DATASET_VERSION}"
            )
        found = meta.get("embodiment", {}).get("name")
        if embodiment is not None and found != embodiment:
            raise DataError(f"{path}: recorded with embodiment '{found}', not '{embodiment}'")
        self = cls(path, meta)
        missing = [e.path.name for e in self.episodes if not e.path.exists()]
        if missing:
            raise DataError(f"{path}: episodes are missing: {', '.join(missing[:5])}")
        return self

    @property
    def content_hash(self) -> str:
        """SHA-256 over the episodes' own hashes: what a checkpoint's provenance names."""
        return str(self.meta["content_hash"])

    def verify(self) -> list[str]:
        """Names of episodes whose bytes are not what the dataset says."""
        import hashlib

        bad = []
        for episode, entry in zip(self.episodes, self.meta["episodes"], strict=True):
            with open(episode.path, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                    bad.append(episode.name)
        return bad

    def statistics(self, key: str) -> Statistics:
        """Of all episodes, merged.  :raises DataError: an episode has none of that key."""
        parts = [e.statistics(key) for e in self.episodes]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def __len__(self) -> int:
        return len(self.episodes)

    def __repr__(self) -> str:
        return f"Dataset({self.path}, {len(self)} episodes, {self.meta['rows']} rows)"
