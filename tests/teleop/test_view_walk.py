"""A robot on its own feet in the 3-D view: its legs move, its feet stay on the floor, and it gets somewhere."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from telerig.datasets.assemble import BuildOptions
from telerig.datasets.build import build as build_dataset
from telerig.datasets.dataset import EpisodeFile
from telerig.datasets.recording import RecorderCore
from telerig.datasets.session_folder import SessionInfo
from telerig.hardware import commands
from telerig.hardware.clock import VirtualClock
from telerig.hardware.commands import Command, Mode, Source, command_stream
from telerig.hardware.embodiment import embodiment_tables, load_embodiment
from telerig.hardware.legs import Balance, LegMode, balance_stream, body_stream, legs_of
from telerig.hardware.odometry import LegOdometry
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.stance import Stance
from telerig.hardware.surroundings import Surroundings
from telerig.teleop.plan import all_streams, plan_devices, rig_facts
from telerig.teleop.rig import load_rig
from telerig.teleop.stream import LocalReader, LocalStream
from telerig.teleop.view.blueprint import blueprint
from telerig.teleop.view.command import convert_one
from telerig.teleop.view.layout import plan_layout
from telerig.teleop.view.robot import RobotModel

from .recorded import PERIOD, RIG, T0
from .test_view import Rows, moving, placed, read

WALK = RIG.with_name("homie_g1_walk.toml")
ROBOT = load_embodiment("g1_like")
UPPER, LEGS = ROBOT.target("robot", "upper"), legs_of(ROBOT)
STATE = StreamSpec("robot/state", (ArraySpec("position", (UPPER.size,), "<f8", "rad", UPPER.names),), 200.0)
SENT, BODY, BALANCE = command_stream(UPPER, "sent", 200.0), body_stream("robot", LEGS), balance_stream("robot", LEGS)
INTENDED = command_stream(UPPER, "intended", 200.0)
SPECS = [STATE, SENT, INTENDED, BODY, BALANCE]
TICKS = 200  # a second


def legs(k: int) -> np.ndarray:
    """Slow scissors: hips swing against each other, the knee of the leg that goes ahead is bent."""
    out, swing = np.array(LEGS.home), np.sin(2 * np.pi * k / TICKS)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        out[LEGS.joints.index(f"{side}_hip_pitch_joint")] += 0.25 * sign * swing
        out[LEGS.joints.index(f"{side}_knee_joint")] += 0.3 * max(0.0, -sign * np.cos(2 * np.pi * k / TICKS))
    return out


def attitude(k: int) -> np.ndarray:
    """Turns left at 0.5 rad/s, from 0.3 rad on."""
    half = 0.15 + 0.25 * k / TICKS
    return np.array([np.cos(half), 0.0, 0.0, np.sin(half)])


def samples(k: int, now: int, state: Balance = Balance.BALANCING) -> list[Sample]:
    command = Command(k, UPPER.name, Mode.JOINT_POSITION, np.array(UPPER.home), Source.OPERATOR, now, (now, now))
    body = {"position": legs(k), "attitude": attitude(k), "mode": np.uint8(LegMode.FOLLOW)}
    body |= {name: np.zeros(BODY.array(name).shape) for name in ("velocity", "effort", "angular_velocity")}
    balance = {"state": np.uint8(state), "wish": np.zeros(4), "target": legs(k) + 0.1}
    balance |= {"tilt": np.float64(0.0), "gain": np.float64(1.0), "urgent": np.uint8(0)}
    return [
        Sample(STATE.name, now, now, {"position": np.array(UPPER.home)}),
        *(commands.to_sample(command, spec.name) for spec in (SENT, INTENDED)),
        Sample(BODY.name, now, now, body),
        *([Sample(BALANCE.name, now, now, balance)] if k % 4 == 0 else []),
    ]


def walked(known: bool) -> np.ndarray:
    """Poses of the pelvis (TICKS, 4, 4); ``known``: among what."""
    way = LegOdometry(Stance(ROBOT), heading=None if known else 0.0)
    return way.follow(np.array([legs(k) for k in range(TICKS)]), np.array([attitude(k) for k in range(TICKS)]))


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("walk") / "session"
    facts = rig_facts(load_rig(WALK))
    info = SessionInfo("walk", embodiment_tables("g1_like"), 0, simulated=True, surroundings=facts["surroundings"])
    core = RecorderCore(folder, SPECS, info, T0)
    core.start(T0, "")
    for k in range(TICKS):
        for sample in samples(k, T0 + k * PERIOD):
            core.take(sample.stream, [sample])
    core.keep(T0 + TICKS * PERIOD, True)
    core.close(T0 + TICKS * PERIOD)
    return folder


@pytest.fixture(scope="module")
def shown(session: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    out = tmp_path_factory.mktemp("view") / "out.rrd"
    assert convert_one(session / "episodes" / "000001.mcap", out) == ""
    return read(out)


def test_a_robot_that_walks_is_where_its_feet_have_taken_it(shown: dict[str, Rows]) -> None:
    way = walked(known=True)
    rows = moving(shown["/scene/measured/pelvis"])
    assert len(rows) == len(shown["/scene/measured/pelvis"]) == 31  # nothing of it stands still for all times
    for t, row in rows:
        assert t is not None
        np.testing.assert_allclose(placed(row), way[round(t * 1e9 / PERIOD)], atol=2e-3)  # some steps are skipped
    assert np.linalg.norm(way[-1, :2, 3] - way[0, :2, 3]) > 0.1


def test_its_feet_move_and_one_of_them_is_on_the_floor(shown: dict[str, Rows]) -> None:
    model, way = RobotModel(ROBOT, None, True), walked(known=True)
    for t, row in moving(shown["/scene/measured/left_ankle_roll_link"]):
        k = round((t or 0.0) * 1e9 / PERIOD)
        poses = model.poses({j: np.array([v]) for j, v in zip(LEGS.joints, legs(k), strict=True)}, way[k : k + 1])
        foot = [b.name for b in model.tree.bodies].index("left_ankle_roll_link")
        np.testing.assert_allclose(placed(row), poses[foot, 0], atol=2e-3)
        np.testing.assert_allclose(placed(row)[2], poses[foot, 0, 2], atol=1e-6)
        assert Stance(ROBOT).height(legs(k), np.array([0.0, 0.0, 1.0])) == pytest.approx(way[k, 2, 3])


def test_legs_have_curves_of_what_was_measured_and_what_their_policy_asked_for(shown: dict[str, Rows]) -> None:
    specs = {s.name: s for s in SPECS}
    layout = plan_layout(specs, ROBOT)
    assert [p.title for p in layout.groups][-3:] == ["Right leg", "Left leg", "Waist"]
    assert layout.walks == BODY.name
    for kind, off in (("measured", 0.0), ("sent", 0.1)):
        t, row = moving(shown[f"/curves/left_leg/{kind}"])[-1]
        knee = next(p for p in layout.groups if p.title == "Left leg").names.index("knee")
        k = round((t or 0.0) * 1e9 / PERIOD)
        assert row["Scalars:scalars"][knee] == pytest.approx(legs(k)[LEGS.joints.index("left_knee_joint")] + off)


def live_pelvis(folder: Path, states: dict[int, Balance]) -> np.ndarray:
    """Where a live view drew the pelvis last (4, 4); ``states``: from which tick on it is balanced how."""
    from telerig.teleop.view.live import LiveView

    clock = VirtualClock(T0)
    streams = {s.name: LocalStream(s) for s in SPECS}
    readers = {n: LocalReader(s) for n, s in streams.items()}
    facts = {"embodiment": embodiment_tables("g1_like")}
    live = LiveView({s.name: s for s in SPECS}, readers, facts, clock, None, str(folder / "live.rrd"))  # type: ignore[arg-type]
    state = Balance.BALANCING
    for k in range(TICKS):
        now, state = clock.advance(PERIOD), states.get(k, state)
        for sample in samples(k, now, state):
            streams[sample.stream].write(sample)
        if k % 16 == 15:
            live.step()
    live.close()
    assert live.lost == 0
    return placed(moving(read(folder / "live.rrd")["/scene/measured/pelvis"])[-1][1])


def test_a_live_view_follows_it_too(tmp_path: Path) -> None:
    way = walked(known=False)  # nobody knows among what it walks: it begins facing x
    # every fourth sample, so its way is a little another; the last one drawn before tick 192
    np.testing.assert_allclose(live_pelvis(tmp_path, {}), way[188], atol=0.01)


def test_in_a_live_view_it_hangs_where_it_began_even_if_only_between_two_pictures(tmp_path: Path) -> None:
    far = np.linalg.norm(live_pelvis(tmp_path, {})[:2, 3])
    assert far > 0.1
    assert np.linalg.norm(live_pelvis(tmp_path, {180: Balance.LIMP})[:2, 3]) == 0.0
    between = live_pelvis(tmp_path, {180: Balance.LIMP, 188: Balance.BALANCING})  # pictures after 176 and 192
    assert 0.0 <= np.linalg.norm(between[:2, 3]) < 0.02


def test_a_robot_that_nobody_keeps_up_hangs_where_it_began(tmp_path: Path) -> None:
    core = RecorderCore(tmp_path / "session", SPECS, SessionInfo("walk", embodiment_tables("g1_like"), 0), T0)
    core.start(T0, "")
    for k in range(TICKS):
        for sample in samples(k, T0 + k * PERIOD, Balance.LIMP if k >= 160 else Balance.BALANCING):
            core.take(sample.stream, [sample])
    core.keep(T0 + TICKS * PERIOD, True)
    core.close(T0 + TICKS * PERIOD)
    convert_one(tmp_path / "session" / "episodes" / "000001.mcap", tmp_path / "out.rrd")
    rows = moving(read(tmp_path / "out.rrd")["/scene/measured/pelvis"])
    far = {(t or 0.0) >= 0.8: np.linalg.norm(placed(row)[:2, 3]) for t, row in rows}
    assert far[False] > 0.05
    assert far[True] == 0.0


@pytest.mark.parametrize("name", ["homie_g1_walk", "g1_dds_walk"])
def test_what_devices_tell_is_drawn_once_and_under_a_path_of_its_own(name: str) -> None:
    rig = load_rig(RIG.with_name(f"{name}.toml"))
    layout = plan_layout({s.name: s for s in all_streams(rig, plan_devices(rig))}, ROBOT)
    paths = [p.path for p in layout.plots]
    assert len(paths) == len(set(paths))
    fields = [(line.stream, line.field) for p in layout.sensors for line in p.lines]
    assert ("robot/balance", "tilt") in fields
    assert not {("robot/balance", "target"), ("robot/body", "position")} & set(fields)


def test_one_looks_at_all_that_it_walks_among_or_follows_it() -> None:
    around = Surroundings.from_json(rig_facts(load_rig(WALK))["surroundings"])
    middle, size = RobotModel(ROBOT, around, True).span
    for shape in around.shapes.values():
        assert np.linalg.norm(shape.transform[:3, 3] - middle) < size
    assert RobotModel(ROBOT, around, True).walker == "scene/measured/pelvis"
    assert RobotModel(ROBOT, around).walker is None  # held
    layout = plan_layout({s.name: s for s in SPECS}, ROBOT)
    for known, follows in ((around, False), (None, True)):
        view = blueprint(layout, RobotModel(ROBOT, known, True)).root_container.contents[0].contents[0]
        eye = view.properties["EyeControls3D"]
        assert (eye.tracking_entity is not None, eye.position is None) == (follows, follows)


def test_without_samples_of_its_legs_it_stands_where_it_is_held(tmp_path: Path) -> None:
    info = SessionInfo("walk", embodiment_tables("g1_like"), 0, simulated=True, surroundings={})
    core = RecorderCore(tmp_path / "session", SPECS, info, T0)
    core.start(T0, "")
    core.take(STATE.name, [samples(0, T0)[0]])
    core.keep(T0 + PERIOD, True)
    core.close(T0 + PERIOD)
    assert convert_one(tmp_path / "session" / "episodes" / "000001.mcap", tmp_path / "out.rrd") == ""
    _, pelvis = moving(read(tmp_path / "out.rrd")["/scene/measured/pelvis"])[-1]
    np.testing.assert_allclose(placed(pelvis)[:3, 3], [0.0, 0.0, 0.74], atol=1e-6)


def test_a_dataset_s_episode_walks_as_its_log_does(session: Path, tmp_path: Path) -> None:
    build_dataset([session], tmp_path / "data", BuildOptions(30.0))
    (file,) = (tmp_path / "data" / "episodes").glob("*.hdf5")
    with closing(EpisodeFile(file)) as episode:  # its field "mode" is no command's: no sample is left out
        assert len(episode.array(f"native/{BODY.name}/position")) == TICKS
    assert convert_one(file, tmp_path / "out.rrd") == ""
    rows, way = moving(read(tmp_path / "out.rrd")["/scene/measured/pelvis"]), walked(known=True)
    found = [int(np.abs(way - placed(row)).max(axis=(1, 2)).argmin()) for _, row in rows]  # at which tick it was there
    assert len(rows) > 25
    assert found[0] == 0
    assert found[-1] >= TICKS - 10
    assert found == sorted(found)
    for k, (_, row) in zip(found, rows, strict=True):
        np.testing.assert_allclose(placed(row), way[k], atol=2e-3)
