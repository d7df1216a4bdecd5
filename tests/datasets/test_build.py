"""From session to dataset and back: the right values in the right rows, nothing from the world, the same bytes each time."""

from __future__ import annotations

import copy
import json
import shutil

import h5py
import numpy as np
import pytest
import simplejpeg

from telerig.datasets.assemble import BuildOptions
from telerig.datasets.build import build
from telerig.datasets.dataset import Dataset, EpisodeFile
from telerig.datasets.depth_png import png_to_depth
from telerig.datasets.files import read_json
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.repair import repair_session
from telerig.datasets.session_folder import SessionFolder
from telerig.hardware.commands import Mode, Source
from telerig.hardware.errors import ConfigError, DataError
from telerig.teleop.replay_source import load_trajectory

JOINTS = ["left_a", "left_b", "right_a", "right_b"]
MS = 1_000_000


@pytest.fixture(scope="module")
def built(session, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "data"
    return out, build([session], out)


def signal(t: np.ndarray) -> np.ndarray:
    x = (t - 1_700_000_000_000_000_000) / 1e9
    return np.sin(x[:, None] + np.arange(4))


def test_what_was_kept_is_built_and_the_rest_is_accounted_for(built):
    out, result = built
    data = Dataset.open(out)
    assert (result.episodes, len(data)) == (3, 3)
    assert [e.outcome for e in data.episodes] == ["success", "failure", None]
    assert [e.task for e in data.episodes] == ["task 0", "task 1", "task 1"]
    assert result.skipped == {"discarded": 1}
    assert result.failed == []
    assert sum(e.rows for e in data.episodes) == result.rows == data.meta["rows"]
    assert data.meta["joints"] == JOINTS
    assert data.meta["embodiment"]["name"] == "pair"
    assert data.meta["rate_hz"] == 30.0
    assert data.meta["outcomes"] == {"success": 1, "failure": 1, "None": 1}
    assert data.verify() == []
    assert len(data.content_hash) == 64


def test_every_row_shows_what_had_been_measured_by_then(built):
    for episode in Dataset.open(built[0]).episodes:
        t = episode.t_ns
        assert np.all(np.abs(np.diff(t) - 1e9 / 30) <= 1)
        assert episode.state.shape == (episode.rows, 4) == episode.action.shape == episode.intended.shape
        state_t = episode.array("time/robot/state/t_ns")
        assert np.all(state_t <= t)
        assert np.all(t - state_t < 5 * MS)
        assert np.array_equal(episode.age_ns("robot/state"), t - state_t)
        assert np.allclose(episode.state, signal(state_t))
        sent_t = episode.array("time/robot/upper/sent/t_ns")
        assert np.allclose(episode.action, signal(sent_t))
        assert np.allclose(episode.intended, signal(sent_t) + 0.01)
        assert np.allclose(episode.base, [0.1, 0.0, 0.2, 0.7])
        assert np.allclose(episode.array("puppet/joint_velocity"), 0.1 * episode.state)
        assert np.allclose(episode.array("puppet/joint_effort"), 0.01 * episode.state)
        for key in ("puppet/joint_position", "puppet/joint_velocity", "master/joint_position"):
            both = np.hstack([episode.array(f"{key}_left"), episode.array(f"{key}_right")])
            assert np.array_equal(both, episode.array(key))


def test_rows_begin_with_the_first_real_command_and_say_who_gave_it(built):
    episode = Dataset.open(built[0]).episodes[0]
    log_t0 = 1_700_000_000_000_000_000
    assert episode.t_ns[0] == log_t0 + 50 * MS, "the hold at the start is no command to learn from"
    assert set(episode.array("action/mode")) == {Mode.JOINT_POSITION}
    assert set(episode.array("action/source")) == {Source.OPERATOR}
    assert episode.engaged.all()


def test_images_are_the_recorded_bytes(built, session):
    episode = Dataset.open(built[0]).episodes[0]
    assert episode.cameras == ("head",)
    assert episode.depth_cameras == ("head",)
    with RawLog(session / "episodes" / "000001.mcap") as log:
        frames = {s.t_sample: s.blob("jpeg") for s in log.samples("head/color")}
    shown = episode.array("time/head/color/t_ns")
    for row in (0, 7, episode.rows - 1):
        assert episode.jpeg("head", row) == frames[shown[row]]
    assert simplejpeg.decode_jpeg(episode.jpeg("head", 3)).shape == (32, 48, 3)
    assert np.all(np.diff(np.unique(shown)) > 0)
    depth = png_to_depth(episode.depth_png("head", 2))
    assert depth.shape == (32, 48)
    assert depth.min() >= 400


def test_depth_survives_exactly(built, session):
    from telerig.hardware.depth import decode_depth

    with RawLog(session / "episodes" / "000001.mcap") as log:
        want = decode_depth(next(log.samples("head/depth")).blob("depth"))
    episode = Dataset.open(built[0]).episodes[0]
    assert np.array_equal(png_to_depth(episode.depth_png("head", 0)), want)


def test_the_key_table_holds_and_nothing_comes_from_the_world(built):
    keys = set(Dataset.open(built[0]).episodes[0].keys())
    wanted = """
        puppet/joint_position master/joint_position action/sent action/base meta observations/rgb_images/head
        observations/depth_images/head time/robot/state/age_ns time/head/color/valid native/glove/joints/counts
        native/glove/joints/t_ns native/glove/joints/valid stats/action/sent/histogram
    """
    assert set(wanted.split()) <= keys
    devices = {k.split("/")[1] for k in keys if k.startswith(("native/", "time/")) and k != "time/row_ns"}
    assert devices == {"robot", "glove", "head"}
    assert not [k for k in keys if "truth" in k or "controls" in k or "object" in k]


def test_native_streams_keep_their_rate_and_their_valid_bits(built, session):
    episode = Dataset.open(built[0]).episodes[0]
    with RawLog(session / "episodes" / "000001.mcap") as log:
        want = log.columns("glove/joints")
    assert np.array_equal(episode.array("native/glove/joints/counts"), want.fields["counts"])
    assert episode.array("native/glove/joints/counts").dtype == np.float32
    assert np.array_equal(episode.array("native/glove/joints/t_ns"), want.t_sample)
    assert np.array_equal(episode.array("native/glove/joints/valid").astype(bool), want.valid)
    assert not episode.valid("glove/joints").any(), "one of its elements is marked invalid by the device"
    assert episode.valid("robot/state").all()


def test_the_same_input_gives_the_same_bytes(built, session, tmp_path):
    moved = shutil.copytree(session, tmp_path / "session")
    build([moved], tmp_path / "again")
    for path in sorted(built[0].rglob("*")):
        if path.is_file():
            assert (tmp_path / "again" / path.relative_to(built[0])).read_bytes() == path.read_bytes(), path.name


def test_nothing_in_an_episode_says_when_it_was_built(built):
    """HDF5 stamps objects with the second they are made in, if it is let: the same bytes, but only within a second."""
    stamped = []
    with h5py.File(Dataset.open(built[0]).episodes[0].path) as file:
        file.visit(lambda name: stamped.append((name, h5py.h5g.get_objinfo(file.id, name.encode()).mtime)))
    assert len(stamped) > 20
    assert [name for name, mtime in stamped if mtime] == []


def test_meta_tells_what_robomind_does_not(built):
    episode = Dataset.open(built[0]).episodes[0]
    meta = episode.meta
    assert meta["cameras"]["head"]["intrinsics"]["fx"] == 40.0
    assert meta["cameras"]["head"]["extrinsics"] == [0, 0, 1, 1, 0, 0, 0]
    assert meta["outcome"] == "success"
    assert {"code": "robot.hot", "level": "warning"}.items() <= next(
        e for e in meta["events"] if e["source"] == "robot"
    ).items()
    assert meta["streams"]["robot/state"]["fields"][0]["unit"] == "rad"
    assert meta["quality"]["streams"]["robot/state"]["samples"] == 200
    with h5py.File(episode.path) as file:
        assert (bool(file.attrs["sim"]), bool(file.attrs["compress"])) == (True, True)
        assert json.loads(file["puppet/joint_position"].attrs["names"]) == JOINTS
        assert file["observations/rgb_images/head"].attrs["color_order"] == "RGB"
        assert file["puppet/joint_position"].dtype == np.float64


def test_outcome_arrival_clock_and_interpolation(session, tmp_path):
    ok = build([session], tmp_path / "ok", outcome="success")
    assert (ok.episodes, ok.skipped) == (1, {"not labelled success": 2, "discarded": 1})
    build([session], tmp_path / "live", BuildOptions(clock="arrival", depth=False), outcome="success")
    live = Dataset.open(tmp_path / "live").episodes[0]
    assert live.age_ns("head/color").min() >= 20 * MS, "frames arrive 20 ms late: no live row can be fresher"
    assert Dataset.open(tmp_path / "ok").episodes[0].age_ns("head/color").min() < 20 * MS
    assert live.depth_cameras == ()
    build([session], tmp_path / "smooth", BuildOptions(rate_hz=47.0, interpolate=True, depth=False), outcome="success")
    smooth = Dataset.open(tmp_path / "smooth").episodes[0]
    inner = smooth.t_ns < smooth.array("native/robot/state/t_ns")[-1]
    assert np.abs(smooth.state - signal(smooth.t_ns))[inner].max() < 1e-5


def test_statistics_of_a_dataset_are_those_of_all_rows(built):
    data = Dataset.open(built[0])
    rows = np.vstack([e.action for e in data.episodes])
    merged = data.statistics("action/sent")
    assert np.allclose(merged.mean, rows.mean(axis=0))
    assert np.allclose(merged.std, rows.std(axis=0))
    assert np.allclose(data.meta["statistics"]["action/sent"]["q99"], np.quantile(rows, 0.99, axis=0), atol=0.05)


def test_episodes_can_be_handed_to_other_processes(built):
    episode = Dataset.open(built[0]).episodes[0]
    first = episode.jpeg("head", 0)
    twin = copy.deepcopy(episode)  # what handing it to another process does
    assert twin.jpeg("head", 0) == first
    episode.close()
    assert episode.jpeg("head", 0) == first


def test_bad_requests_are_one_line_and_overwrite_nothing(session, make_session, built, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "keep.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        build([session], full)
    assert (full / "keep.txt").read_text() == "mine"
    for kwargs, error, text in (
        ({"outcome": "good"}, ConfigError, "choose one of all, success"),
        ({"options": BuildOptions(rate_hz=0)}, ConfigError, "--rate 0"),
        ({"options": BuildOptions(clock="wall")}, ConfigError, "--clock wall"),
        ({"options": BuildOptions(target="robot/legs")}, ConfigError, "no target 'robot/legs'"),
    ):
        with pytest.raises(error, match=text):
            build([session], tmp_path / "x", **kwargs)
    other = make_session(((0.4, True, True),), embodiment={"name": "another", "version": 1})
    with pytest.raises(DataError, match="another version 1, the sessions before it with pair version 1"):
        build([session, other], tmp_path / "x")
    none = make_session(((0.4, False, None),))
    with pytest.raises(DataError, match="no episode to build: 1 discarded"):
        build([none], tmp_path / "x")
    with pytest.raises(ConfigError, match="each once"):
        build([session, session], tmp_path / "x")
    with pytest.raises(DataError, match="not a session folder"):
        build([tmp_path], tmp_path / "x")
    with pytest.raises(DataError, match="recorded with embodiment 'pair', not 'g1'"):
        Dataset.open(built[0], embodiment="g1")
    with pytest.raises(DataError, match="not a dataset"):
        Dataset.open(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full"], "nothing half-made is left behind"


def test_an_episode_that_cannot_be_aligned_is_named_and_left_out(make_session, tmp_path):
    path = make_session(((0.4, True, True), (0.02, True, True)))  # the second ends before its hold does
    result = build([path], tmp_path / "data")
    assert result.episodes == 1
    assert len(result.failed) == 1
    assert result.failed[0].startswith("000002.mcap: nothing recorded on robot/upper/sent")


def test_a_killed_build_leaves_nothing_and_the_next_one_works(session, tmp_path, monkeypatch):
    import telerig.datasets.build as module

    class Killed(BaseException):
        pass

    def die(*args, **kwargs):
        raise Killed

    monkeypatch.setattr(module, "write_json", die)
    monkeypatch.setattr(module.shutil, "rmtree", lambda *a, **k: None)  # a killed process cleans nothing up
    with pytest.raises(Killed):
        build([session], tmp_path / "data", BuildOptions(depth=False))
    monkeypatch.undo()
    assert not (tmp_path / "data").exists()
    build([session], tmp_path / "data", BuildOptions(depth=False))
    assert len(Dataset.open(tmp_path / "data")) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["data"]


def test_a_log_that_was_cut_is_refused_until_it_is_repaired_and_then_left_out(session, tmp_path):
    copy_ = shutil.copytree(session, tmp_path / "copy")
    log = SessionFolder(copy_).logs()[0]
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DataError, match=f"{log.name}: is not as long as it was when it was closed; run: telerig repair"
    ):
        build([copy_], tmp_path / "data")
    assert not (tmp_path / "data").exists()
    with pytest.raises(DataError, match="was cut short"):
        load_trajectory(log, "sent")
    (report,) = repair_session(SessionFolder(copy_))
    assert report.broken is not None
    assert report.broken.read_bytes() == whole[: len(whole) // 2]
    before = read_json(SessionFolder(session).sidecar(SessionFolder(session).logs()[0]))
    after = read_json(log.with_suffix(".json"))
    assert after["interrupted"]
    assert after["bytes"] == log.stat().st_size
    assert {k: after[k] for k in ("task", "outcome", "kept")} == {k: before[k] for k in ("task", "outcome", "kept")}
    assert repair_session(SessionFolder(copy_)) == []
    result = build([copy_], tmp_path / "data")
    assert (result.episodes, result.skipped["interrupted"]) == (2, 1)


def test_a_late_label_counts(session, tmp_path):
    copy = shutil.copytree(session, tmp_path / "s")
    side = copy / "episodes" / "000004.json"
    side.write_text(json.dumps(read_json(side) | {"outcome": "success"}))
    assert build([copy], tmp_path / "d", BuildOptions(depth=False), outcome="success").episodes == 2


def test_damaged_datasets_say_so(built, tmp_path):
    copy = shutil.copytree(built[0], tmp_path / "d")
    file = copy / "episodes" / "000001.hdf5"
    file.write_bytes(file.read_bytes()[:3000])
    data = Dataset.open(copy)
    assert data.verify() == ["000001"]
    with pytest.raises(DataError, match="not an HDF5 file"):
        _ = data.episodes[0].state
    file.unlink()
    with pytest.raises(DataError, match=r"episodes are missing: 000001.hdf5"):
        Dataset.open(copy)
    with pytest.raises(DataError, match="no such episode"):
        _ = EpisodeFile(file).state
