"""The 3-D view: what stands around the robot, and the robot as it was intended and sent over the robot as it is."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.datasets.recording import RecorderCore
from telerig.datasets.session_folder import SessionInfo
from telerig.hardware import commands
from telerig.hardware.commands import Command, Mode, Source, command_stream
from telerig.hardware.embodiment import embodiment_tables, load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.hardware.kinematics import Chain
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.surroundings import Surroundings
from telerig.teleop.plan import rig_facts
from telerig.teleop.recorder import session_info
from telerig.teleop.rig import load_rig
from telerig.teleop.view.command import convert_one
from telerig.teleop.view.robot import RobotModel

from .recorded import PERIOD, RIG, T0
from .test_view import Rows, moving, placed, read

HOMIE = RIG.with_name("homie_g1.toml")
ROBOT = load_embodiment("g1_like")
UPPER = ROBOT.target("robot", "upper")
STATE = StreamSpec("robot/state", (ArraySpec("position", (UPPER.size,), "<f8", "rad", UPPER.names),), 200.0)
SENT, INTENDED = command_stream(UPPER, "sent", 200.0), command_stream(UPPER, "intended", 200.0)
HAND = "right_wrist_yaw_link"


def bend(joint: str, by: float) -> np.ndarray:
    """Home, but for one joint."""
    out = np.array(UPPER.home)
    out[UPPER.names.index(joint)] += by
    return out


MEASURED = bend("left_elbow_joint", 0.2)
WISH = bend("right_elbow_joint", 0.5)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """Twenty periods in which the robot stands, the operator wants another pose, and half of that is sent at the end."""
    folder = tmp_path_factory.mktemp("scene")
    frozen = session_info(load_rig(HOMIE), 0, True)
    info = SessionInfo("homie_g1", embodiment_tables("g1_like"), 0, simulated=True, surroundings=frozen.surroundings)
    core = RecorderCore(folder / "session", [STATE, SENT, INTENDED], info, T0)
    core.start(T0, "")
    for k in range(20):
        now = T0 + k * PERIOD
        core.take(STATE.name, [Sample(STATE.name, now, now, {"position": MEASURED})])
        sent = MEASURED if k < 10 else (MEASURED + WISH) / 2
        for spec, data in ((SENT, sent), (INTENDED, WISH)):
            command = Command(k, UPPER.name, Mode.JOINT_POSITION, data, Source.OPERATOR, now, (now, now))
            core.take(spec.name, [commands.to_sample(command, spec.name)])
    core.keep(T0 + 20 * PERIOD, True)
    core.close(T0 + 20 * PERIOD)
    assert convert_one(folder / "session" / "episodes" / "000001.mcap", folder / "out.rrd") == ""
    return read(folder / "out.rrd")


def test_what_stands_still_is_where_the_world_has_it_and_nothing_else_is_told() -> None:
    mujoco = pytest.importorskip("mujoco")
    from telerig.drivers.mujoco.scene import build_scene

    around = Surroundings.from_json(rig_facts(load_rig(HOMIE))["surroundings"])
    model = build_scene("g1_like", "pick_place").model
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    for name, shape in around.shapes.items():
        geom = model.geom(name)
        assert mujoco.mjtGeom(geom.type[0]).name == f"mjGEOM_{shape.kind.upper()}"
        np.testing.assert_allclose(shape.transform[:3, 3], data.geom(name).xpos, atol=1e-9)
        used = {"box": 3, "cylinder": 2}[shape.kind]
        np.testing.assert_allclose(shape.size[:used], geom.size[:used])
    assert {n for n in around.shapes if "leg" not in n} == {"table_top"}  # neither object nor target
    np.testing.assert_allclose(around.robot_base, data.body("pelvis").xpos)


def test_surroundings_come_back_from_json_or_are_refused() -> None:
    told = rig_facts(load_rig(HOMIE))["surroundings"]
    assert Surroundings.from_json(told).to_json() == told
    assert rig_facts(load_rig(RIG, emulate=True))["surroundings"] == {}
    for broken in (
        told | {"robot_base": [0.0]},
        told | {"shapes": {"a": {"kind": "mesh"}}},
        {"shapes": {}},
    ):
        with pytest.raises(ConfigError, match="do not hold together"):
            Surroundings.from_json(broken)


def test_the_table_is_drawn_and_the_robot_stands_before_it(shown: dict[str, Rows]) -> None:
    around = Surroundings.from_json(rig_facts(load_rig(HOMIE))["surroundings"])
    drawn = {n.removeprefix("/scene/around/") for n in shown if n.startswith("/scene/around/")}
    assert drawn == set(around.shapes)
    ((t, top),) = shown["/scene/around/table_top"]
    assert t is None
    table = around.shapes["table_top"]
    np.testing.assert_allclose(top["Boxes3D:centers"], [table.transform[:3, 3]], atol=1e-6)
    np.testing.assert_allclose(top["Boxes3D:half_sizes"], [table.size], atol=1e-6)
    ((_, pelvis),) = shown["/scene/measured/pelvis"]
    np.testing.assert_allclose(placed(pelvis)[:3, 3], around.robot_base, atol=1e-6)


def test_a_floating_robot_without_surroundings_stands_at_its_base_s_height() -> None:
    assert ROBOT.base is not None
    poses = RobotModel(ROBOT).poses({})
    np.testing.assert_allclose(poses[0, 0, :3, 3], [0.0, 0.0, ROBOT.base["home"][3]])


def hand(q: np.ndarray, robot_base: np.ndarray) -> np.ndarray:
    """Where the right hand is in the world (4, 4)."""
    chain = Chain.from_mjcf(ROBOT.model_path, "pelvis", HAND)
    values = dict.fromkeys(chain.joints, 0.0) | dict(zip(UPPER.names, q, strict=True))
    out = chain.forward([values[j] for j in chain.joints])
    out[:3, 3] += robot_base
    return out


def test_the_intended_pose_is_a_ghost_where_it_is_off(shown: dict[str, Rows]) -> None:
    model = RobotModel(ROBOT)
    owners = [b.name for b in model.tree.bodies if any(s.kind == "box" for s in b.shapes)]
    ghosts = [b for b in owners if b in ("left_wrist_yaw_link", HAND)]
    t, row = moving(shown["/scene/intended/box"])[-1]
    assert t is not None
    palm = next(s for b in model.tree.bodies if b.name == HAND for s in b.shapes if s.kind == "box")
    at = hand(WISH, np.array([0.0, 0.0, 0.74])) @ palm.transform
    centers = np.array(row["Boxes3D:centers"])
    nearest = int(np.linalg.norm(centers - at[:3, 3], axis=1).argmin())
    np.testing.assert_allclose(centers[nearest], at[:3, 3], atol=1e-5)
    assert len(centers) == len(ghosts)  # the torso, the feet are not commanded
    (lasting,) = (r for t, r in shown["/scene/intended/box"] if t is None)
    assert "Boxes3D:half_sizes" in lasting
    assert "Boxes3D:colors" not in lasting  # what is static would outrule what changes
    alpha = np.array(row["Boxes3D:colors"]) & 0xFF
    assert (alpha > 60).all()  # both are off: the left one is where nobody wants it
    capsules = np.array(moving(shown["/scene/intended/capsule"])[-1][1]["Capsules3D:colors"]) & 0xFF
    assert (capsules == 0).any()  # upper arms are where they should be


def test_what_was_sent_is_bones_and_only_where_the_robot_lags(shown: dict[str, Rows]) -> None:
    rows = moving(shown["/scene/sent"])
    counts = [len(r["LineStrips3D:strips"]) for _, r in rows]
    assert counts[0] == 0  # what was sent first is what was measured
    strips = np.array(rows[-1][1]["LineStrips3D:strips"])  # (n, 2, 3)
    assert counts[-1] == len(strips) > 0
    at = hand((MEASURED + WISH) / 2, np.array([0.0, 0.0, 0.74]))[:3, 3]
    assert np.linalg.norm(strips[:, 1] - at, axis=1).min() < 1e-5


def test_a_robot_that_is_where_it_should_be_looks_like_itself() -> None:
    from telerig.teleop.view.ghost import seen, wished

    model = RobotModel(ROBOT)
    joints = {n: np.array([v]) for n, v in zip(UPPER.names, MEASURED, strict=True)}
    measured = model.poses(joints)
    nothing = model.poses(wished(joints, {n: np.array([np.nan]) for n in UPPER.names}))
    np.testing.assert_array_equal(nothing, measured)
    assert not seen(measured, nothing).any()
    far = model.poses(wished(joints, {"right_elbow_joint": np.array([1.0])}))
    index = [b.name for b in model.tree.bodies]
    assert seen(measured, far)[index.index(HAND), 0] == 1.0
    assert seen(measured, far)[index.index("right_shoulder_roll_link"), 0] == 0.0
