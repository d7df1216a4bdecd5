"""One episode as an HDF5 file: the key table of docs/formats.md, written so that the same input gives the same bytes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.datasets.assemble import Assembled, Track
from telerig.datasets.depth_png import depth_to_png
from telerig.datasets.files import sync_folder
from telerig.datasets.rawlog_calibration import intrinsics
from telerig.datasets.statistics import Statistics

STATISTICS_OF = ("puppet/joint_position", "master/joint_position", "action/sent", "action/base")


def write_episode(
    path: Path, episode: Assembled, statistics: Mapping[str, Statistics], meta: Mapping[str, Any], depth: bool
) -> None:
    """Write under a temporary name, fsync, rename.  No instants of writing, no host names: only what ``meta`` says.

    :raises MissingExtra: depth images are to be written and OpenCV is not installed.
    """
    import h5py

    temporary = path.with_name(f".{path.name}.tmp")
    with h5py.File(temporary, "w", track_order=False) as file:
        file.attrs["sim"], file.attrs["compress"] = (
            bool(meta["simulated"]),
            True,
        )  # RoboMIND's readers ask for these two
        file.attrs["telerig"] = 1
        for key in sorted(episode.arrays):
            _dataset(file, key, episode.arrays[key], episode.attrs.get(key, {}))
        _images(file, episode, depth)
        for name in sorted(episode.tracks):
            _track(file, name, episode.tracks[name])
        _statistics(file, statistics)
        _dataset(file, "time/row_ns", episode.rows, {})
        text = json.dumps(meta, sort_keys=True, ensure_ascii=False)
        file.create_dataset("meta", data=text, dtype=h5py.string_dtype(), track_times=False)
    with open(temporary, "rb") as written:
        os.fsync(written.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def _dataset(file: Any, key: str, data: NDArray[Any], attrs: Mapping[str, Any]) -> None:
    data = data.astype(np.uint8) if data.dtype == bool else data
    dataset = file.create_dataset(key, data=data, track_times=False)
    for name in sorted(attrs):
        value = attrs[name]
        dataset.attrs[name] = json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _images(file: Any, episode: Assembled, depth: bool) -> None:
    kinds = [("rgb_images", episode.roles.cameras), ("depth_images", episode.roles.depths if depth else {})]
    for group, cameras in kinds:
        for camera in sorted(cameras):
            track = episode.tracks[cameras[camera]]
            attrs: dict[str, Any] = {"stream": cameras[camera], "frame": track.spec.blobs[0].frame}
            if group == "rgb_images":
                attrs |= {"encoding": "jpeg", "color_order": "RGB"}
            else:
                attrs |= {"encoding": "png16", "unit_m": float(track.spec.blobs[0].meta.get("unit_m", 0.001))}
            if (pinhole := intrinsics(track.spec)) is not None:
                attrs["intrinsics"] = pinhole
            _blobs(file, f"observations/{group}/{camera}", _row_images(track, group == "depth_images"), attrs)


def _row_images(track: Track, depth: bool) -> list[bytes]:
    """The image of every row; one that several rows show is converted once."""
    assert track.blobs is not None
    index = [int(i) for i in track.aligned.index]
    wanted = sorted(set(index))
    raw = [track.blobs(i) for i in wanted]
    if depth:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV encodes without the interpreter's lock
            raw = list(pool.map(depth_to_png, raw))
    by_index = dict(zip(wanted, raw, strict=True))
    return [by_index[i] for i in index]


def _blobs(file: Any, key: str, blobs: list[bytes], attrs: Mapping[str, Any]) -> None:
    import h5py

    dataset = file.create_dataset(key, (len(blobs),), dtype=h5py.vlen_dtype(np.uint8), track_times=False)
    for row, blob in enumerate(blobs):
        dataset[row] = np.frombuffer(blob, np.uint8)
    for name in sorted(attrs):
        value = attrs[name]
        dataset.attrs[name] = json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _track(file: Any, name: str, track: Track) -> None:
    for key, values in (("t_ns", track.aligned.t_ns), ("age_ns", track.aligned.age_ns), ("valid", track.valid)):
        _dataset(file, f"time/{name}/{key}", values, {})
    if not track.spec.arrays:
        return
    columns, native = track.columns, f"native/{name}"
    _dataset(file, f"{native}/t_ns", columns.t_sample, {})
    _dataset(file, f"{native}/t_arrival_ns", columns.t_arrival, {})
    if columns.valid_known.any():
        _dataset(file, f"{native}/valid", columns.valid, {})
    for spec in track.spec.arrays:
        attrs = {"names": list(spec.axes), "unit": spec.unit, "frame": spec.frame}
        _dataset(file, f"{native}/{spec.name}", columns.fields[spec.name], attrs)


def _statistics(file: Any, statistics: Mapping[str, Statistics]) -> None:
    for key in sorted(statistics):
        for name, array in statistics[key].to_arrays().items():
            # thousands of bins, nearly all zero
            packing = {"compression": "gzip", "compression_opts": 4} if name == "histogram" else {}
            file.create_dataset(f"stats/{key}/{name}", data=array, track_times=False, **packing)


def episode_statistics(episode: Assembled) -> dict[str, Statistics]:
    """Statistics of the four vectors that policies learn from; histograms over the target's limits."""
    roles = episode.roles
    out = {}
    for key in STATISTICS_OF:
        if key in episode.arrays:
            base = episode.tracks[f"{roles.base}/sent"].spec.array("data") if key == "action/base" else None
            low, high = (roles.low, roles.high) if base is None else (base.low, base.high)
            out[key] = Statistics.of(episode.arrays[key], low, high)
    return out
