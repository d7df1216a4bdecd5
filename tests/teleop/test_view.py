"""What a view shows: every entity, in the right place, at the right time, from logs, datasets and running sessions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from telerig.datasets.assemble import BuildOptions
from telerig.datasets.build import build as build_dataset
from telerig.hardware.clock import VirtualClock
from telerig.hardware.embodiment import embodiment_tables, load_embodiment
from telerig.hardware.errors import ConfigError, DataError, MissingExtra
from telerig.hardware.kinematics import Chain
from telerig.teleop.cli.main import main
from telerig.teleop.plan import all_streams, plan_devices
from telerig.teleop.rig import load_rig
from telerig.teleop.stream import LocalReader, LocalStream
from telerig.teleop.view import health
from telerig.teleop.view.command import ViewRequest, convert_one, view
from telerig.teleop.view.layout import plan_layout
from telerig.teleop.view.live_process import view_process

from .recorded import DEPTH, LAG, PERIOD, RIG, SPECS, STATE, T0, TARGET, depth, jpeg, pose, record

rerun = pytest.importorskip("rerun")
HOMIE = RIG.with_name("homie_g1.toml")
Rows = list[tuple[float | None, dict[str, Any]]]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded session: two seconds, the camera silent from 0.8 to 1.4 s."""
    return record(tmp_path_factory.mktemp("recorded") / "session", gap=(0.8, 1.4))


@pytest.fixture(scope="module")
def shown(session: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """Its episode as rerun has it."""
    out = tmp_path_factory.mktemp("view") / "out.rrd"
    assert convert_one(session / "episodes" / "000001.mcap", out) == ""
    return read(out)


def read(path: Path) -> dict[str, Rows]:
    """Every entity's rows: (episode time in s, or None where static; component → values)."""
    from rerun.chunk import RrdReader

    found: dict[str, Rows] = {}
    for chunk in RrdReader(path).stream().to_chunks():
        batch = chunk.to_record_batch()
        names = batch.schema.names
        times: list[Any] = [None] * batch.num_rows
        if "episode_time" in names:
            times = [t / 1e9 for t in batch.column("episode_time").cast("int64").to_pylist()]
        components = [n for n in names if ":" in n]
        for i, t in enumerate(times):
            row = {c: batch.column(c)[i].as_py() for c in components}
            found.setdefault(chunk.entity_path, []).append((t, row))
    return {k: sorted(v, key=lambda r: -1.0 if r[0] is None else r[0]) for k, v in found.items()}


def moving(rows: Rows) -> Rows:
    """Those that have a time."""
    return [r for r in rows if r[0] is not None]


def placed(row: dict[str, Any]) -> np.ndarray:
    """A logged transform as (4, 4)."""
    out = np.eye(4)
    out[:3, 3] = row["Transform3D:translation"][0]
    out[:3, :3] = np.array(row["Transform3D:mat3x3"][0]).reshape(3, 3).T  # rerun's matrices go column by column
    return out


def test_all_that_was_recorded_can_be_seen(shown: dict[str, Rows]) -> None:
    counts = {name: len(moving(rows)) for name, rows in shown.items() if moving(rows)}
    assert counts["/curves/arm/measured"] == counts["/curves/arm/sent"] == counts["/curves/arm/intended"] == 400
    assert counts["/curves/gripper/sent"] == 400
    assert counts["/sensors/pedals/position/value"] == counts["/sensors/pedals/switches/value"] == 200
    assert counts["/health/rate"] == counts["/health/age"] == 20
    assert 55 <= counts["/scene/measured/gripper_link"] <= 62  # about 30 a second
    assert counts["/cameras/head/color"] == counts["/cameras/head/depth"]
    assert [(t, r["StateChange:state"]) for t, r in moving(shown["/state"])] == [
        (0.0, ["MATCHING"]),
        (0.1, ["ENGAGED"]),
    ]
    ((t, event),) = moving(shown["/events/loop"])
    assert t == pytest.approx(0.1)
    assert event["TextLog:text"] == ["ENGAGED: in the same pose"]
    assert event["TextLog:level"] == ["WARN"]
    assert any("episode 000001 started" in r["TextLog:text"][0] for _, r in shown["/events/recorder"])


def test_curves_are_named_vectors_of_what_was_sent_and_measured(shown: dict[str, Rows]) -> None:
    static = next(r for t, r in shown["/curves/arm/sent"] if t is None)
    assert static["SeriesLines:names"] == ["waist", "shoulder", "elbow", "forearm roll", "wrist pitch", "wrist roll"]
    widths = {
        kind: next(r for t, r in shown[f"/curves/arm/{kind}"] if t is None)["SeriesLines:widths"][0]
        for kind in ("measured", "sent", "intended")
    }
    assert widths["measured"] > widths["sent"] > widths["intended"]
    for t, row in moving(shown["/curves/arm/sent"])[::37]:
        assert t is not None
        np.testing.assert_allclose(row["Scalars:scalars"], pose(t)[:6], atol=1e-9)
    for t, row in moving(shown["/curves/arm/measured"])[::37]:
        assert t is not None
        np.testing.assert_allclose(row["Scalars:scalars"], pose(t - LAG)[:6], atol=1e-9)


def test_the_robot_stands_as_it_was_measured(shown: dict[str, Rows]) -> None:
    robot = load_embodiment("follower_arm")
    chain = Chain.from_mjcf(robot.model_path, "world", "gripper_link")
    jaw = Chain.from_mjcf(robot.model_path, "world", "jaw_link")
    for body, arm in (("gripper_link", chain), ("jaw_link", jaw)):
        rows = moving(shown[f"/scene/measured/{body}"])
        assert rows[0][0] == 0.0
        for t, row in rows[::9]:
            assert t is not None
            q = dict(zip(TARGET.names, pose(t - LAG), strict=True))
            np.testing.assert_allclose(placed(row), arm.forward([q[j] for j in arm.joints]), atol=1e-5)
    assert [t for t, _ in shown["/scene/measured/base_link"]] == [None]  # what never moves is logged once
    shapes = {f"/scene/measured/{s}" for s in ("gripper_link/box", "elbow_link/capsule", "base_link/cylinder")}
    assert shapes <= set(shown)
    ((_, box),) = shown["/scene/measured/gripper_link/box"]
    np.testing.assert_allclose(box["Boxes3D:half_sizes"], [[0.038, 0.005, 0.009]], atol=1e-7)


def test_images_go_in_as_they_are_at_the_instant_they_were_taken(shown: dict[str, Rows]) -> None:
    color, deep = moving(shown["/cameras/head/color"]), moving(shown["/cameras/head/depth"])
    expected = [k * PERIOD / 1e9 for k in range(0, 400, 7) if not 0.8 <= k * PERIOD / 1e9 < 1.4]
    assert [t for t, _ in color] == pytest.approx(expected)
    for i in (0, 5, len(color) - 1):
        assert bytes(color[i][1]["EncodedImage:blob"][0]) == jpeg(i)
        png = np.frombuffer(bytes(deep[i][1]["EncodedDepthImage:blob"][0]), np.uint8)
        np.testing.assert_array_equal(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), depth(i))
        assert deep[i][1]["EncodedDepthImage:meter"] == [1000.0]


def test_a_stream_that_fails_shows_in_its_health(shown: dict[str, Rows]) -> None:
    names = next(r for t, r in shown["/health/age"] if t is None)["SeriesLines:names"]
    color, state = names.index("head/color"), names.index("robot/state")
    ages = np.array([r["Scalars:scalars"] for _, r in moving(shown["/health/age"])])
    rates = np.array([r["Scalars:scalars"] for _, r in moving(shown["/health/rate"])])
    assert 580 < ages[:, color].max() < 700
    assert ages[:7, color].max() < 60
    assert rates[13, color] < 60 < 85 < rates[6, color]
    assert ages[:, state].max() < 12
    assert rates[5:, state] == pytest.approx(100.0, abs=2.0)


def test_ages_and_rates_by_hand() -> None:
    arrivals = np.array([0, 100, 200, 700, 800]) * 1_000_000
    at = np.array([250, 500, 750, 1000]) * 1_000_000
    np.testing.assert_allclose(health.age_ms(arrivals, at, 0), [100, 300, 500, 200])
    np.testing.assert_allclose(health.rate_percent(arrivals, at, 10.0, 0), [80.0, 40.0, 40.0, 40.0])
    assert health.age_ms(np.zeros(0, np.int64), at, 0)[-1] == 1000.0
    assert health.grid(0, 250_000_000).tolist() == [100_000_000, 200_000_000, 250_000_000]


def test_a_dataset_s_episode_looks_like_its_log(session: Path, shown: dict[str, Rows], tmp_path: Path) -> None:
    build_dataset([session], tmp_path / "data", BuildOptions(30.0))
    out = tmp_path / "out.rrd"
    view(ViewRequest(tmp_path / "data", False, (), out, False, 0.0))
    rows = read(out)
    wanted = {n for n in shown if n.startswith(("/curves", "/cameras", "/scene/measured", "/health"))}
    assert wanted <= set(rows)
    chain = Chain.from_mjcf(load_embodiment("follower_arm").model_path, "world", "gripper_link")
    ((origin, _),) = moving(rows["/events/loop"])
    assert origin is not None
    begin = 0.1 - origin  # rows begin when all streams have a sample
    for t, row in moving(rows["/scene/measured/gripper_link"])[5::11]:
        assert t is not None
        q = dict(zip(TARGET.names, pose(t + begin - LAG), strict=True))
        np.testing.assert_allclose(placed(row), chain.forward([q[j] for j in chain.joints]), atol=1e-3)
    first = bytes(moving(rows["/cameras/head/color"])[0][1]["EncodedImage:blob"][0])
    assert first in {jpeg(0), jpeg(1)}


def test_sessions_hold_several_episodes_and_one_can_be_chosen(tmp_path: Path) -> None:
    from rerun.chunk import RrdReader

    two = record(tmp_path / "two", seconds=0.3, episodes=2)
    view(ViewRequest(two, False, (), tmp_path / "both.rrd", False, 0.0))
    assert len(RrdReader(tmp_path / "both.rrd").recordings()) == 2
    view(ViewRequest(two, False, (2,), tmp_path / "one.rrd", False, 0.0))
    assert len(RrdReader(tmp_path / "one.rrd").recordings()) == 1
    with pytest.raises(DataError, match="no episode 7"):
        view(ViewRequest(two, False, (7,), tmp_path / "none.rrd", False, 0.0))


def test_a_log_cut_short_can_be_looked_at(session: Path, tmp_path: Path) -> None:
    data = (session / "episodes" / "000001.mcap").read_bytes()
    cut = tmp_path / "000001.mcap.partial"
    cut.write_bytes(data[: len(data) * 2 // 3])
    assert "cut short or is not closed" in convert_one(cut, tmp_path / "out.rrd")  # and says so
    assert 100 < len(moving(read(tmp_path / "out.rrd")["/curves/arm/sent"])) < 400


def test_events_between_episodes_can_be_looked_at(session: Path, tmp_path: Path) -> None:
    convert_one(session / "session.mcap", tmp_path / "out.rrd")
    assert "/events/recorder" in read(tmp_path / "out.rrd")


def test_a_running_session_is_shown_with_the_newest_images(tmp_path: Path) -> None:
    from telerig.hardware.depth import encode_depth
    from telerig.hardware.samples import Sample
    from telerig.teleop.view.live import LiveView

    clock = VirtualClock(T0)
    streams = {s.name: LocalStream(s) for s in SPECS}
    readers = {n: LocalReader(s) for n, s in streams.items()}
    facts = {"embodiment": embodiment_tables("follower_arm")}
    live = LiveView({s.name: s for s in SPECS}, readers, facts, clock, None, str(tmp_path / "live.rrd"))  # type: ignore[arg-type]
    for k in range(200):
        now, t = clock.advance(PERIOD), k * PERIOD / 1e9
        data = {"position": pose(t), "velocity": np.zeros(7), "effort": np.zeros(7)}
        streams[STATE.name].write(Sample(STATE.name, now, now, data))
        if k % 6 == 0:
            streams[DEPTH.name].write(Sample(DEPTH.name, now, now, {"depth": encode_depth(depth(k))}))
        if k % 16 == 15:
            live.step()
    live.close()
    rows = read(tmp_path / "live.rrd")
    assert 40 <= len(moving(rows["/curves/arm/measured"])) <= 50  # thinned to 50 a second
    images = moving(rows["/cameras/head/depth"])
    assert len(images) == 12  # one a picture, never the same twice
    assert images[-1][1]["DepthImage:meter"] == [1000.0]
    t, last = moving(rows["/scene/measured/gripper_link"])[-1]
    chain = Chain.from_mjcf(load_embodiment("follower_arm").model_path, "world", "gripper_link")
    assert t is not None
    q = dict(zip(TARGET.names, pose(t - PERIOD / 1e9), strict=True))
    np.testing.assert_allclose(placed(last), chain.forward([q[j] for j in chain.joints]), atol=1e-3)
    rate = moving(rows["/health/rate"])[-1][1]["Scalars:scalars"]
    assert 90 < rate[0] < 110


def test_right_comes_first_and_the_world_s_secrets_never() -> None:
    rig = load_rig(HOMIE)
    specs = {s.name: s for s in all_streams(rig, plan_devices(rig))}
    layout = plan_layout(specs, load_embodiment("g1_like"))
    assert [p.title for p in layout.groups] == ["Right arm", "Right hand", "Left arm", "Left hand", "Base"]
    assert layout.groups[0].names[:2] == ("shoulder pitch", "shoulder roll")
    used = {line.stream for p in layout.plots for line in p.lines} | {n for n, _ in layout.health}
    assert {"world/truth", "world/state"} <= set(specs)
    assert not any(n.startswith("world/") or n.endswith("/controls") for n in used)
    assert [c.title for c in layout.cameras] == ["head camera", "front camera", "head depth"]
    assert {"exo_left/joints", "pedals/pedals", "head/color"} <= {n for n, _ in layout.health}


def test_without_rerun_the_pip_line_is_told(session: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingExtra, match=r"telerig\[view\]"):
        view(ViewRequest(session, False, (), tmp_path / "out.rrd", False, 0.0))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"telerig\[view\]"):
        view_process()


def test_mistakes_are_one_line_and_change_nothing(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    out = tmp_path / "out.rrd"
    out.write_text("precious")
    calls = [
        ["view", str(session), "--save", str(out)],
        ["view", str(session)],
        ["view", "--save", str(tmp_path / "a.rrd")],
        ["view"],
        ["view", str(tmp_path / "nothing")],
        ["view", str(tmp_path / "nothing"), "--web"],
        ["view", str(tmp_path / "nothing"), "--save", str(tmp_path / "a.rrd")],
        ["view", str(session), "--save", str(tmp_path / "no" / "a.rrd")],
        ["view", str(RIG), "--save", str(tmp_path / "a.rrd")],
        ["view", "--live", str(tmp_path)],
        ["view", "--live", str(tmp_path), "--save", str(tmp_path / "a.rrd")],
    ]
    words = [
        "exists",
        "no display",
        "what to view",
        "what to view",
        "no such file",
        "no such file",
        "no such file",
        "no folder",
        "not a recording",
        "no running session",
        "no running session",
    ]
    for call, word in zip(calls, words, strict=True):
        with pytest.raises(SystemExit) as ended:
            main(call)
        told = capsys.readouterr().err
        assert ended.value.code == 2, call
        assert word in told, call
        assert told.count("\n") == 1
    assert out.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(ConfigError, match="no display"):
        view_process()
    with pytest.raises(ConfigError, match="exists"):
        view_process(out)
    assert view_process(tmp_path / "new.rrd").nice > 0
