"""The quality report finds what was done to a recording, and nothing in a good one."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.datasets.assemble import BuildOptions, assemble
from telerig.datasets.quality import report
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.rawlog_writer import EpisodeWriter
from telerig.datasets.roles import find_roles
from telerig.hardware.samples import Sample


@pytest.fixture
def rewrite(session, tmp_path):
    """``rewrite(stream, change)`` → report of the first episode with one stream's samples changed (None: dropped)."""

    def make(stream=None, change=lambda k, s: s, losses=None):
        with RawLog(session / "episodes" / "000001.mcap") as log:
            writer = EpisodeWriter(tmp_path / "x.mcap", list(log.specs.values()), log.meta)
            counts: dict[str, int] = {}
            for sample in log.samples():
                counts[sample.stream] = k = counts.get(sample.stream, -1) + 1
                changed = change(k, sample) if sample.stream == stream else sample
                if changed is not None:
                    writer.write(changed.stream, changed)
            writer.close()
        with RawLog(tmp_path / "x.mcap") as log:
            roles = find_roles(log.specs)
            return report(assemble(log, roles, BuildOptions(depth=False), None), losses or {})

    return make


def edit(sample: Sample, **data) -> Sample:
    return Sample(
        sample.stream, sample.t_arrival, sample.t_sample, {**sample.data, **data}, sample.sigma_t, sample.t_device,
        sample.seq_device, sample.valid, sample.spaced, sample.seq,
    )  # fmt: skip


def test_a_good_recording_has_only_what_is_wrong_with_its_glove(rewrite):
    found = rewrite()
    assert found["warnings"] == [
        "glove/joints: 200.0 Hz instead of 250",
        "glove/joints: 200 samples with invalid elements",
    ]
    state = found["streams"]["robot/state"]
    assert state["samples"] == 200
    assert state["rate_hz"] == 200.0
    assert state["max_gap_s"] == 0.005
    assert state["missing"] == 0
    assert found["idle_s"] == {"start": 0.0, "end": 0.0}


def test_a_gap_is_found_with_its_length_and_its_missing_samples(rewrite):
    found = rewrite("robot/state", lambda k, s: None if 100 <= k < 130 else s)
    assert "robot/state: a gap of 155 ms" in found["warnings"]
    assert found["streams"]["robot/state"]["missing"] == 30
    assert found["streams"]["robot/state"]["invalid_rows"] > 0
    assert found["verdict"] == "warn"


def test_one_dead_joint_is_named(rewrite):
    def kill(k, s):
        position = s.array("position").copy()
        position[3] = 0.5  # left_b
        return edit(s, position=position)

    found = rewrite("robot/state", kill)
    assert found["stuck_joints"] == ["left_b"]
    assert "left_b was told to move and did not" in found["warnings"]


def test_a_frozen_camera_is_found(rewrite):
    first: list[bytes] = []

    def freeze(k, s):
        first.append(s.blob("jpeg"))
        return edit(s, jpeg=first[10]) if 10 <= k < 20 else s

    found = rewrite("head/color", freeze)
    assert found["streams"]["head/color"]["frozen_frames"] == 9
    assert "head/color: the same image 10 times in a row" in found["warnings"]


def test_losses_while_recording_are_told(rewrite):
    found = rewrite(losses={"head/color": 3})
    assert found["lost"] == 3
    assert "head/color: 3 samples lost while recording" in found["warnings"]


def test_idle_ends_are_measured(rewrite):
    def stop(k, s):
        return edit(s, data=np.full(4, 0.3)) if k >= 60 else s

    found = rewrite("robot/upper/sent", stop)
    assert found["idle_s"]["end"] == pytest.approx(0.7, abs=0.07)
