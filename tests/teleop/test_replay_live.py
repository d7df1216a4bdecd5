"""A replay in real time over the serial device, with a live view beside it and another one attached from outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from telerig.datasets.files import read_json
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.session_folder import SessionFolder
from telerig.hardware.commands import Source
from telerig.teleop.bench.loop_bench import wait_for
from telerig.teleop.cli.main import main
from telerig.teleop.live import LiveOptions
from telerig.teleop.operate import running
from telerig.teleop.plan import plan_devices
from telerig.teleop.replay import check, replay_rig
from telerig.teleop.replay_source import load_trajectory
from telerig.teleop.replay_tracking import Tracker
from telerig.teleop.rig import load_rig
from telerig.teleop.view.attached import attach
from telerig.teleop.view.live_process import view_process

from .recorded import RIG, TARGET, record
from .test_view import moving, read

pytestmark = pytest.mark.realtime


def test_a_replay_is_followed_and_seen(tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    log = record(tmp_path / "session", seconds=1.0) / "episodes" / "000001.mcap"
    rig, trajectory = replay_rig(load_rig(RIG, emulate=True)), load_trajectory(log)
    agent = {"factory": "telerig.teleop.replay:build", "episode": str(log)}
    shown, outside = tmp_path / "live.rrd", tmp_path / "outside.rrd"
    options = LiveOptions(agent=agent, unattended=True, home=False, extra=(view_process(shown),))
    with running(rig, options, tmp_path / "run") as (session, _):
        targets = {t.name: t for p in plan_devices(rig).values() for t in p.targets}
        readers = {name: session.reader(name) for name in session.memories}
        tracker = Tracker(trajectory, check(rig, trajectory), targets, readers)

        def through() -> bool:
            tracker.step()
            return tracker.finished

        wait_for(session, through, 40.0, "the replay's end")
        attach(tmp_path / "run", outside, False, 0.5)
        assert session.failed is None
    report = tracker.report()
    assert report["completed"]
    assert report["tracking_rms_rad"] < 0.05
    rows = read(shown)
    assert {"MATCHING", "ENGAGED"} <= {r["StateChange:state"][0] for _, r in moving(rows["/state"])}
    for name in (
        "/curves/arm/measured",
        "/curves/arm/sent",
        "/scene/measured/gripper_link",
        "/health/rate",
        "/events/loop",
    ):
        assert moving(rows[name]), name
    assert moving(read(outside)["/curves/arm/measured"])


def test_the_command_reports_as_json_and_records_a_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, again = record(tmp_path / "session", seconds=0.6), tmp_path / "again"
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(session), "--emulate", "--unattended", "--no-home", "--json", "--record", str(again)])
    out = capsys.readouterr()
    assert ended.value.code == 0, out.err
    report = json.loads(out.out.strip().splitlines()[-1])
    assert report["completed"]
    assert report["length_s"] == pytest.approx(0.495)
    assert set(report["joints"]["waist"]) == {"tracking_rms", "tracking_max", "repeat_rms", "repeat_max"}
    assert "replay complete" in out.err
    made = SessionFolder.open(again)
    assert made.info["extra"]["replay"]["episode"] == str(session / "episodes" / "000001.mcap")
    (log,) = made.logs()
    side = read_json(made.sidecar(log))
    assert side["kept"]
    assert not side["interrupted"]
    assert (side["task"], side["outcome"]) == ("wave", None)
    then, now = load_trajectory(session / "episodes" / "000001.mcap"), load_trajectory(log)
    name = TARGET.name
    assert now.length >= then.length
    apart = np.abs(now.joints[name].data[None] - then.joints[name].data[:, None]).max(axis=2)  # (then, now)
    assert apart.min(axis=1).max() < 0.02  # nothing of what was replayed is missing
    with RawLog(log) as found:
        sources = found.columns(f"{name}/sent").fields["source"]
        assert set(sources.tolist()) <= {Source.REPLAY, Source.GUARD}


def test_a_recorded_replay_is_refused_where_something_stands(tmp_path: Path) -> None:
    session = record(tmp_path / "session", seconds=0.3)
    with pytest.raises(SystemExit) as ended:
        main(["replay", str(session), "--emulate", "--unattended", "--record", str(session)])
    assert ended.value.code == 2
