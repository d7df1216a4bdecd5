"""The recorder's core: what an episode holds, what becomes of it, how losses are told."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from telerig.datasets import recording, session_folder
from telerig.datasets.files import read_json
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.recording import RecorderCore, is_recordable
from telerig.datasets.repair import repair_session
from telerig.datasets.session_folder import SessionFolder, SessionInfo
from telerig.hardware import events
from telerig.hardware.errors import ConfigError, DataError
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, BlobSpec, StreamSpec

ARM = StreamSpec("arm/state", (ArraySpec("position", (2,)),), 100.0)
TRUTH = StreamSpec("world/truth", (ArraySpec("object", (3,)),), 60.0)
WORLD = StreamSpec("world/state", (ArraySpec("qpos", (3,)), ArraySpec("qvel", (3,)), ArraySpec("t_sim", ())), 60.0)
CONTROLS = StreamSpec("glove/controls", (ArraySpec("closure", (3,)),), 60.0)
STATE = StreamSpec("session/state", (ArraySpec("state", (), "u1"),), 200.0)
EVENTS = events.event_stream("arm")
INFO = SessionInfo(
    "bench", {"name": "arm7", "version": 1}, 123, rig_toml="[rig]\n", calibration={"arm": {"zero": [0, 1]}}
)
MS = 1_000_000


def arm(t: int) -> Sample:
    return Sample("arm/state", t, t - 1, {"position": np.array([t, -t], float)}, seq=t)


def make(path, emit=lambda e: None, specs=(ARM, TRUTH, WORLD, CONTROLS, STATE, EVENTS)):
    return RecorderCore(path, specs, INFO, 0, emit)


def codes(path) -> list[str]:
    with RawLog(path) as log:
        return [events.from_sample(s).code for n in log.specs if n.endswith("/events") for s in log.samples(n)]


def test_an_episode_holds_what_arrived_between_start_and_keep(tmp_path):
    core = make(tmp_path / "s")
    core.take("arm/state", [arm(1), arm(2)])
    assert core.start(10, "pick it up") == "000001"
    assert (core.recording, core.episode, core.t_start) == (True, "000001", 10)
    core.take("arm/state", [arm(9), arm(10), arm(11)])
    core.take("arm/state", [arm(12)])
    path = core.keep(20, success=True)
    core.take("arm/state", [arm(21)])
    core.close(30)
    with RawLog(path) as log:
        assert log.columns("arm/state").t_arrival.tolist() == [10, 11, 12]
        assert log.meta["embodiment"] == {"name": "arm7", "version": 1}
        assert log.meta["calibration"] == {"arm": {"zero": [0, 1]}}
        assert log.meta["epoch_offset_ns"] == 123
    side = read_json(path.with_suffix(".json"))
    assert (side["outcome"], side["task"], side["kept"], side["t_start"], side["t_end"]) == (
        "success",
        "pick it up",
        True,
        10,
        20,
    )
    assert side["streams"]["arm/state"] == {"count": 3, "lost": 0, "refused": 0, "t_first": 10, "t_last": 12}
    assert side["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert side["bytes"] == path.stat().st_size
    folder = SessionFolder.open(tmp_path / "s")
    assert folder.info["rig"] == "bench"
    assert folder.calibration == {"arm": {"zero": [0, 1]}}
    assert (tmp_path / "s" / "rig.toml").read_text() == "[rig]\n"
    assert codes(tmp_path / "s" / "session.mcap") == ["episode.started", "episode.kept"]


def test_discarded_goes_to_the_bin_numbers_are_never_reused_and_labels_come_late(tmp_path):
    core = make(tmp_path / "s")
    core.start(1)
    assert core.discard(2).parent.name == "bin"
    core.start(3)
    kept = core.keep(4)
    assert kept.name == "000002.mcap"
    assert read_json(kept.with_suffix(".json"))["outcome"] is None
    core.label(False, 5)
    assert read_json(kept.with_suffix(".json"))["outcome"] == "failure"
    assert core.start(6) == "000003"
    core.label(True, 7)
    core.label(None, 8)
    assert read_json(core.keep(9).with_suffix(".json"))["outcome"] is None
    assert (core.kept, core.discarded) == (2, 1)
    assert core.keep(10) is None
    assert core.discard(10) is None
    core.close(11)


def test_starting_again_keeps_the_open_one(tmp_path):
    core = make(tmp_path / "s")
    core.start(1)
    core.start(5)
    core.keep(9)
    core.close(10)
    assert [p.name for p in SessionFolder(tmp_path / "s").logs()] == ["000001.mcap", "000002.mcap"]


def test_losses_are_counted_and_told_once_a_second(tmp_path):
    heard = []
    core = make(tmp_path / "s", heard.append)
    core.start(0)
    for k in range(100):
        core.take("arm/state", [arm(k * 20 * MS)], lost=2)
    path = core.keep(2000 * MS)
    core.close(2001 * MS)
    lost = [e.data["lost"] for e in heard if e.code == "recorder.lost"]
    assert sum(lost) == 200
    assert len(lost) <= 4
    assert core.lost == {"arm/state": 200}
    side = read_json(path.with_suffix(".json"))
    assert (side["lost"], side["streams"]["arm/state"]["lost"]) == (200, 200)
    assert codes(path).count("recorder.lost") == len(lost)


def test_only_the_world_knows_what_the_world_knows(tmp_path):
    assert [is_recordable(s) for s in (ARM, STATE, TRUTH, WORLD, CONTROLS)] == [True, True, False, False, False]
    core = make(tmp_path / "s")
    core.start(1)
    core.take("world/truth", [Sample("world/truth", 2, 2, {"object": np.zeros(3)})])
    path = core.keep(3)
    core.close(4)
    with RawLog(path) as log:
        assert not {"world/truth", "world/state", "glove/controls"} & set(log.specs)


def test_the_session_log_keeps_events_always_and_state_only_between_episodes(tmp_path):
    core = make(tmp_path / "s")

    def state(t):
        core.take("session/state", [Sample("session/state", t, t, {"state": np.uint8(1)})])
        core.take("arm/events", [events.to_sample(events.Event(t, events.Level.INFO, "arm", "arm.x", "x"))])

    state(1)
    core.start(2)
    state(3)
    core.clock_pair(5, 6, 3)
    path = core.keep(4)
    state(5)
    core.close(6)
    with RawLog(path) as log:
        assert (log.counts["session/state"], log.counts["arm/events"], log.counts["session/clock"]) == (1, 1, 1)
    with RawLog(tmp_path / "s" / "session.mcap") as log:
        assert log.columns("session/state").t_arrival.tolist() == [1, 5]
        assert log.columns("session/clock").fields["realtime"].tolist() == [6]
        assert log.counts["arm/events"] == 3


def test_one_bad_sample_does_not_end_the_recording(tmp_path):
    heard = []
    core = make(tmp_path / "s", heard.append)
    core.start(1)
    bad = Sample("arm/state", 2, 2, {"position": np.zeros(5)})
    core.take("arm/state", [bad, bad, arm(3)])
    path = core.keep(4)
    core.close(5)
    assert [e.code for e in heard].count("recorder.refused") == 1
    side = read_json(path.with_suffix(".json"))["streams"]["arm/state"]
    assert (side["count"], side["refused"]) == (1, 2)


def test_streams_that_appear_later_are_recorded(tmp_path):
    core = make(tmp_path / "s", specs=(ARM,))
    core.start(1)
    extra = StreamSpec("touch/pads", (ArraySpec("force", (2,)),), 100.0)
    core.add_stream(extra)
    core.take("touch/pads", [Sample("touch/pads", 2, 2, {"force": np.ones(2)})])
    core.take("who/knows", [arm(3)])
    path = core.keep(3)
    core.close(4)
    with RawLog(path) as log:
        assert log.counts["touch/pads"] == 1


def test_closing_with_an_open_episode_marks_it_interrupted(tmp_path):
    core = make(tmp_path / "s")
    core.start(1)
    core.close(2)
    side = read_json(tmp_path / "s" / "episodes" / "000001.json")
    assert (side["kept"], side["interrupted"]) == (False, True)


def test_a_restarted_recorder_continues_the_session(tmp_path):
    first = make(tmp_path / "s")
    first.start(1)
    first.keep(2)
    first.close(3)
    second = make(tmp_path / "s")
    assert second.start(4) == "000002"
    second.keep(5)
    second.close(6)
    assert [p.name for p in SessionFolder(tmp_path / "s").session_logs()] == ["session-0002.mcap", "session.mcap"]


def test_two_recorders_cannot_share_a_session(tmp_path):
    core = make(tmp_path / "s")
    with pytest.raises(DataError, match="is being written"):
        make(tmp_path / "s")
    core.close(1)


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="not empty"):
        make(tmp_path / "full")
    make(tmp_path / "s").close(1)
    with pytest.raises(ConfigError, match="another session"):
        RecorderCore(tmp_path / "s", [ARM], SessionInfo("other", {}, 123), 0)
    with pytest.raises(DataError, match="not a session folder"):
        SessionFolder.open(tmp_path / "full")


@pytest.mark.parametrize("step", ["before the footer", "before the rename", "before the sidecar"])
def test_dying_while_keeping_loses_nothing(tmp_path, monkeypatch, step):
    """The process dies at each point between the operator's keep and the finished episode."""

    class Killed(BaseException):
        pass

    def die(*args, **kwargs):
        raise Killed

    writers = []

    class Kept(recording.EpisodeWriter):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            writers.append(self)

    monkeypatch.setattr(recording, "EpisodeWriter", Kept)
    core = make(tmp_path / "s", specs=(ARM, StreamSpec("c/color", (BlobSpec("jpeg", 99, "image/jpeg"),), 30.0)))
    core.start(1, "stack")
    core.take("arm/state", [arm(t) for t in range(2, 50)])
    core.sync()
    if step == "before the footer":
        monkeypatch.setattr("telerig.datasets.rawlog_container.Tail.to_bytes", die)
    elif step == "before the rename":
        monkeypatch.setattr(recording, "publish", die)
    else:
        monkeypatch.setattr(session_folder, "write_json", die)
    with pytest.raises(Killed):
        core.keep(60, success=True)
    monkeypatch.undo()
    for writer in writers:  # the kernel takes a killed process's descriptors, and their locks with them
        writer.abandon()
    reports = repair_session(SessionFolder.open(tmp_path / "s"))
    assert "000001.mcap" in {r.path.name for r in reports}
    side = read_json(tmp_path / "s" / "episodes" / "000001.json")
    assert (side["kept"], side["outcome"], side["task"]) == (True, "success", "stack")
    with RawLog(tmp_path / "s" / "episodes" / "000001.mcap") as log:
        assert log.complete
        assert log.counts["arm/state"] == 48
