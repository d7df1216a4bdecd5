"""Curves for TensorBoard: records that it can read, holding what the run wrote."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from fastcrc import crc32

from telerig.hardware.errors import DataError
from telerig.policies.body.train import storage
from telerig.policies.body.train.curves import RunCurves
from telerig.policies.commands import train_body_display
from telerig.policies.event_file import EventFile


def records(path: Path) -> list[bytes]:
    """Every record, its checksums compared (tensorflow/core/lib/io/record_writer.h)."""

    def same(data: bytes, masked: bytes) -> bool:
        rotated = (struct.unpack("<I", masked)[0] - 0xA282EAD8) & 0xFFFF_FFFF
        return (rotated >> 17 | rotated << 15) & 0xFFFF_FFFF == crc32.iscsi(data)

    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = data[at + 12 : at + 12 + length]
        assert same(data[at : at + 8], data[at + 8 : at + 12])
        assert same(event, data[at + 12 + length : at + 16 + length])
        found.append(event)
        at += 16 + length
    return found


def message(data: bytes) -> list[tuple[int, Any]]:
    """(field, value) of a protobuf message, one level."""
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(data):
        tag = varint()
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            found.append((number, varint()))
            continue
        size = {1: 8, 5: 4}.get(kind) or varint()
        raw = data[at : at + size]
        at += size
        form = {1: "<d", 5: "<f"}.get(kind)
        found.append((number, struct.unpack(form, raw)[0] if form else raw))
    return found


def events(folder: Path) -> dict[int, dict[str, float]]:
    """Step → tag → value of the one file in a folder."""
    (path,) = folder.glob("*tfevents*")
    first, *rest = records(path)
    assert dict(message(first))[3] == b"brain.Event:2"
    found: dict[int, dict[str, float]] = {}
    for event in rest:
        parts = dict(message(event))
        values = [dict(message(v)) for _, v in message(parts[5])]
        found.setdefault(parts.get(2, 0), {}).update({v[1].decode(): v[2] for v in values})
    return found


def line(update: int, **more: float) -> dict[str, Any]:
    return {"update": update, "steps": 100 * update, "seconds": 2.0 * update, "kl": 0.5, "terms": {"vx": 0.25}, **more}


CASES = {"stand": {"n": 20, "up": 7, "vx": None, "vy": None, "yaw_rate": None, "height": 0.75, "tilt_deg_max": 8.0}}


def test_an_old_run_can_be_looked_at(tmp_path: Path) -> None:
    for update in (1, 2, 300):
        storage.append(tmp_path / "curves.jsonl", line(update, loss=float("nan") if update == 2 else 1.5))
    storage.append(tmp_path / "evaluations.jsonl", {"update": 2, "steps": 200, "seconds": 4.0, "cases": CASES})
    for _ in range(2):  # a second time it replaces the first
        RunCurves(tmp_path, tmp_path / "tb")
    found = events(tmp_path / "tb")
    assert found[100] == {"train/kl": 0.5, "train/loss": 1.5, "terms/vx": 0.25}
    assert found[200] == {
        "train/kl": 0.5, "terms/vx": 0.25, "evaluation_up/stand": 7.0, "evaluation_height/stand": 0.75,
        "evaluation_tilt_deg_max/stand": 8.0,
    }  # fmt: skip
    assert sorted(found) == [100, 200, 30_000]


def test_a_run_in_progress_is_followed(tmp_path: Path) -> None:
    """A resumed run: what was there, then each line once."""
    curves = train_body_display._Curves(tmp_path)
    storage.append(tmp_path / "curves.jsonl", line(1))
    for update in (2, 3):
        storage.append(tmp_path / "curves.jsonl", line(update))
        curves.add(line(update))
    curves.add({"steps": 300, "cases": CASES})
    found = events(tmp_path / "tensorboard")
    assert sorted(found) == [100, 200, 300]
    assert found[300]["evaluation_up/stand"] == 7.0
    (path,) = (tmp_path / "tensorboard").iterdir()
    assert len(records(path)) == 5


def test_what_is_no_run_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no curves\.jsonl"):
        RunCurves(tmp_path, tmp_path / "tb")
    (tmp_path / "curves.jsonl").write_text(json.dumps(line(1)) + "\n{]\n")
    with pytest.raises(DataError, match=r"curves\.jsonl:2: not a line of curves"):
        RunCurves(tmp_path, tmp_path / "tb")


def test_steps_and_times_of_any_size(tmp_path: Path) -> None:
    file = EventFile(tmp_path, 1.7e9)
    file.add(2**40, 1.7e9 + 0.25, {"a": -1.0})
    (event,) = records(file.path)[1:]
    parts = dict(message(event))
    assert (parts[1], parts[2]) == (1.7e9 + 0.25, 2**40)
