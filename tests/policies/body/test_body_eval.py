"""Judging a policy: what it is asked, what counts as up, how far off, as dead; repeatable; bars that are met or missed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.errors import ConfigError
from telerig.policies.body.evaluation import picture, trial
from telerig.policies.body.evaluation.cases import CASES, Case, choose
from telerig.policies.body.evaluation.command import case_table, run
from telerig.policies.body.evaluation.evaluate import Request, evaluate
from telerig.policies.body.evaluation.full_model import Body
from telerig.policies.body.evaluation.motions import Commands, UpperBody, random_command
from telerig.policies.body.evaluation.report import dead_band_row, row, skipped_row
from telerig.policies.body.evaluation.trial import Order, Trial
from telerig.policies.body.load import load_manifest
from telerig.policies.body.train.actor import layout
from telerig.policies.body.train.config import TrainConfig
from telerig.policies.body.train.export import Trained, export_body
from telerig.policies.body.train.observe import N_CRITIC

STAND = choose(["stand"])[0]


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A policy whose action is always zero: it holds its reference, and steps with it, until it falls."""
    tensors: dict[str, Any] = {s.name: np.zeros(s.shape, np.float32) for s in layout(TrainConfig().ppo)}
    tensors |= {"observation.mean": np.zeros(N_CRITIC), "observation.variance": np.ones(N_CRITIC)}
    out = tmp_path_factory.mktemp("idle") / "policy"
    export_body(Trained(TrainConfig(), tensors, {"steps": 0}), out, "idle")
    return str(out / "idle.toml")


def test_who_falls_is_down_and_when_is_told(idle: str) -> None:
    fell = trial.run(Order(idle, STAND, 0))
    assert not fell.up
    assert fell.down_s is not None
    assert 0.5 <= fell.down_s < 4.0  # standing needs balance
    short = trial.run(Order(idle, replace(STAND, seconds=0.5), 0))
    assert short.up
    assert short.down_s is None


def test_who_squats_and_is_told_to_stand_up_has_not_fallen(idle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def at(self: Commands, t: float) -> np.ndarray[Any, Any]:
        return np.array([0.0, 0.0, 0.0, 0.44 if t < 0.84 else 0.78])

    monkeypatch.setattr(Commands, "at", at)
    case = Case("rise", (0.0, 0.0, 0.0, 0.44), seconds=0.94)
    lowest = trial.run(Order(idle, case, 0, keep=True))
    assert lowest.track is not None
    assert lowest.track.done[-5, 3] < 0.78 - trial.SAG_M  # it has gone down
    assert lowest.up
    assert trial.rising(0.45, 0.76, 0.02) == pytest.approx(0.456)
    assert trial.rising(0.76, 0.45, 0.02) == 0.45


def test_same_seed_same_trial(idle: str) -> None:
    once, other, again = (trial.run(Order(idle, replace(STAND, seconds=1.5), seed, keep=True)) for seed in (0, 1, 0))
    for a, b in ((once, again),):
        assert a.track is not None
        assert b.track is not None
        np.testing.assert_array_equal(a.track.joints, b.track.joints)
    assert other.track is not None
    assert not np.allclose(once.track.joints[:5], other.track.joints[:5])  # type: ignore[union-attr]


def test_a_push_is_a_push(idle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "PUSH_S", 0.2)
    kicked = trial.run(Order(idle, replace(STAND, push=0.7, seconds=0.3), 2, keep=True)).track
    assert kicked is not None
    speed = np.linalg.norm(kicked.done[:, :2], axis=1)
    assert speed[9] < 0.25  # the tenth period ends at 0.2 s
    assert 0.55 < speed[10] < 0.75


@pytest.mark.parametrize(("delay", "late"), [(0.0, 0), (0.01, 2), (0.02, 4)])
def test_late_targets(idle: str, monkeypatch: pytest.MonkeyPatch, delay: float, late: int) -> None:
    """For so many physics steps the robot still follows the last period's targets."""
    heard: list[tuple[np.ndarray, int]] = []
    follow = Body.follow

    def listen(self: Body, targets: np.ndarray, steps: int) -> None:
        heard.append((targets.copy(), steps))
        follow(self, targets, steps)

    monkeypatch.setattr(Body, "follow", listen)
    trial.run(Order(idle, replace(STAND, seconds=0.2, delay_s=delay), 0))
    assert [steps for _, steps in heard] == [late, 4 - late] * 10
    for (_, _), (new, _), (old, _) in zip(heard[0::2], heard[1::2], heard[2::2], strict=False):
        np.testing.assert_array_equal(old, new)


def test_arms_sweep_as_the_issue_says(idle: str) -> None:
    robot, manifest = load_embodiment("g1_like"), load_manifest(idle)[0]
    joints = tuple(j for g in robot.groups for j in g.joints)
    upper = UpperBody(robot, manifest, joints, False, 0.02, np.random.default_rng(0))
    path = np.array([upper.step(k).copy() for k in range(500)])
    size = (path[100:].max(axis=0) - path[100:].min(axis=0)) / 2
    at = {j: size[i] for i, j in enumerate(joints)}
    arms = [j for j in joints if any(part in j for part in ("shoulder", "elbow", "wrist"))]
    assert len(arms) == 14
    assert all(0.45 < at[j] <= 1.0 for j in arms), at
    assert 0.15 <= at["waist_yaw_joint"] <= 0.3
    assert all(at[j] == 0 for j in joints if "hand" in j or "knee" in j or "waist_roll" in j)
    np.testing.assert_allclose(path[150], path[250], atol=1e-9)  # 0.5 Hz
    assert np.abs(np.diff(path, axis=0)).max() <= 5.0 * 0.02 + 1e-9
    elbow = joints.index("left_elbow_joint")
    assert path[100:, elbow].mean() == pytest.approx(0.9, abs=0.02)  # about the policy's home


def test_random_arms_go_far_and_no_faster_than_the_guard(idle: str) -> None:
    robot, manifest = load_embodiment("g1_like"), load_manifest(idle)[0]
    joints = tuple(j for g in robot.groups for j in g.joints)
    upper = UpperBody(robot, manifest, joints, True, 0.02, np.random.default_rng(1))
    path = np.array([upper.step(k).copy() for k in range(3000)])
    shoulder = joints.index("left_shoulder_pitch_joint")
    assert np.ptp(path[:, shoulder]) > 4.0
    assert np.abs(np.diff(path[:, shoulder])).max() <= 3.5 * 0.02 + 1e-9
    assert np.abs(path[:, joints.index("waist_yaw_joint")]).max() <= 1.0


def test_commands_come_after_a_second() -> None:
    rng = np.random.default_rng(0)
    wish = Commands(choose(["forward_0.8"])[0], (0.8, 0.0, 0.0, 0.74), rng)
    np.testing.assert_array_equal(wish.at(0.98), [0, 0, 0, 0.74])
    np.testing.assert_array_equal(wish.at(1.0), [0.8, 0, 0, 0.74])
    changing = Commands(choose(["random_60s"])[0], STAND.command, rng)
    seen = {tuple(changing.at(t)) for t in np.arange(0, 60, 0.1)}
    assert len(seen) == 16  # home, and one every four seconds
    drawn = np.array([random_command(rng) for _ in range(2000)])
    assert (drawn.min(axis=0)[:3] >= [-0.3, -0.3, -0.8]).all()
    assert drawn[:, 0].max() > 0.75
    walking = drawn[:, :3].any(axis=1)
    assert drawn[walking, 3].min() >= 0.5
    assert drawn[~walking, 3].min() < 0.36
    assert 0.5 < walking.mean() < 0.7


def stayed(mean: tuple[float, float, float, float], error: float = 0.0, up: bool = True) -> Trial:
    return Trial(up, None if up else 3.0, mean, error, 5.0)


def test_errors_are_of_each_robot() -> None:
    """Two robots that are off to both sides are not right on average."""
    forward = choose(["forward_0.5"])[0]
    found = row(forward, [stayed((0.55, 0, 0, 0.74)), stayed((0.45, 0, 0, 0.74))])
    assert (found["vx"], found["tracking_error"], found["met"]) == (0.5, pytest.approx(0.1), False)
    fine = row(forward, [stayed((0.49, 0.1, 0, 0.74)), stayed((0.51, 0, 0, 0.74))])
    assert (fine["tracking_error"], fine["met"]) == (pytest.approx(0.02), True)
    both = row(choose(["forward_0.4_yaw_0.4"])[0], [stayed((0.4, 0, 0.3, 0.74))])
    assert both["tracking_error"] == pytest.approx(0.25)  # the worse of the two
    low = row(choose(["forward_0.4_height_0.50"])[0], [stayed((0.36, 0, 0, 0.5))])
    assert (low["tracking_error"], low["met"]) == (pytest.approx(0.04), True)
    high = row(STAND, [stayed((0, 0, 0, 0.74), error=0.016)])
    assert (high["tracking_error"], high["met"]) == (0.016, False)


def test_how_many_must_stay_up() -> None:
    push = choose(["push_0.8_standing"])[0]
    good, bad = stayed((0, 0, 0, 0.74)), stayed((0, 0, 0, 0.3), up=False)
    assert row(push, [good] * 18 + [bad] * 2)["met"]
    missed = row(push, [good] * 17 + [bad] * 3)
    assert (missed["met"], missed["up"], missed["bar"]["up"], missed["down_s"]) == (False, 17, 18, [3.0] * 3)
    assert not row(STAND, [good] * 19 + [bad])["met"]
    nobody = row(STAND, [bad])
    assert (nobody["tracking_error"], nobody["tilt_deg_max"], nobody["met"]) == (None, None, False)


def test_dead_band_is_what_achieves_nothing() -> None:
    case = choose(["dead_band_vx"])[0]

    def found(*achieved: float) -> dict[str, Any]:
        return dead_band_row(case, {g: [stayed((a, 0, 0, 0.74))] for g, a in zip(case.grid, achieved, strict=True)})

    assert (found(0.03, 0.05, 0.1, 0.2, 0.3)["dead_band"], found(0.03, 0.05, 0.1, 0.2, 0.3)["met"]) == (0.0, True)
    assert (found(0.0, 0.04, 0.1, 0.2, 0.3)["dead_band"], found(0.0, 0.04, 0.1, 0.2, 0.3)["met"]) == (0.03, True)
    wide = found(0.0, 0.0, 0.0, 0.09, 0.31)
    assert (wide["dead_band"], wide["met"]) == (0.2, False)


def test_rows_that_a_policy_cannot_be_asked() -> None:
    """holosoma's policies have no height command: rows of heights are skipped, and not met."""
    wants = {c.name: c.wants for c in CASES}
    assert wants["stand"] == ()
    assert wants["height_0.45"] == ("height",)
    assert wants["forward_0.4_height_0.60"] == ("vx", "height")
    found = skipped_row(choose(["height_0.45"])[0], "height")
    assert (found["n"], found["met"]) == (0, False)
    case_table("it", {"height_0.45": found})


def test_evaluation_of_two_cases(
    idle: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = (replace(STAND, seconds=0.3), replace(choose(["dead_band_yaw"])[0], seconds=0.3))
    shares: list[float] = []
    found = evaluate(Request(idle, cases=cases, seeds=4, processes=1), shares.append)
    assert (found.rows["stand"]["n"], found.rows["dead_band_yaw"]["n"]) == (4, 5)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    result = run(Request(idle, cases=cases[:1], seeds=1, processes=1), None, True)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert set(result["bars"]["met"]) | set(result["bars"]["missed"]) == {"stand"}
    assert {"cores", "load"} <= set(result["machine"])


def test_processes_change_nothing(idle: str) -> None:
    cases = (replace(STAND, seconds=0.4),)
    one, two = (evaluate(Request(idle, cases=cases, seeds=2, processes=p)).rows for p in (1, 2))
    assert one == two


def test_wrong_names_are_one_line(idle: str) -> None:
    with pytest.raises(ConfigError, match=r"no case walk; there are stand, height_0\.60"):
        choose(["walk"])
    with pytest.raises(ConfigError, match="body policy 'nothing' is unknown"):
        evaluate(Request("nothing", cases=(STAND,)))


def test_the_picture_shows_the_robot_where_it_was(idle: str, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    from telerig.hardware.mjcf_tree import read_tree

    order = Order(idle, replace(STAND, seconds=0.3), 0, keep=True)
    done = trial.run(order)
    assert done.track is not None
    body = trial._body(idle, "", STAND.world)
    tree = read_tree(load_embodiment("g1_like").model_path)
    angles = {j: done.track.joints[-1:, i] for i, j in enumerate(body.joints)}
    poses = tree.forward(angles, picture.roots(done.track.base[-1:]))
    import mujoco

    mujoco.mj_kinematics(body.model, body.data)  # the data are still those of the trial's end
    for b, pose in zip(tree.bodies, poses[:, 0], strict=True):
        np.testing.assert_allclose(pose[:3, 3], body.data.body(b.name).xpos, atol=1e-6)
    files = picture.save_pictures({"stand": done, "other": replace(done, track=None)}, "g1_like", tmp_path / "rrd")
    assert [f.name for f in files] == ["stand.rrd"]
    assert files[0].stat().st_size > 10_000
    with pytest.raises(ConfigError, match="holds something already"):
        picture.check_folder(tmp_path / "rrd")


def test_the_table_covers_the_issue() -> None:
    assert len(CASES) == len({c.name for c in CASES}) == 24
    assert Case("x").up == 1.0


def test_what_is_refused_is_one_line_without_a_bar(
    body_toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = body_toy.write(tmp_path, model=body_toy.onnx(outputs=29))
    with pytest.raises(ConfigError, match="output action is"):
        run(Request(name, cases=(STAND,), seeds=1, processes=1), None, False)
    assert capsys.readouterr() == ("", "")


def test_policies_of_others_are_judged_too(body_toy: Any, tmp_path: Path) -> None:
    """HOMIE's interface, with a model that does nothing: shapes, rates and joints fit."""
    (tmp_path / "toy.onnx").write_bytes(body_toy.onnx(inputs=456, outputs=12, names=("input", "output")))
    done = trial.run(Order("homie_g1", replace(STAND, seconds=0.2), 0, str(tmp_path / "toy.onnx"), keep=True))
    assert done.up
    assert done.track is not None
    assert done.track.base[-1, 2] > 0.6


def test_arms_are_others_whoever_has_outputs_for_them(body_toy: Any, tmp_path: Path) -> None:
    """holosoma's FastSAC is told in its arms' last-action slots what was executed: the sweep, not its own wish."""
    text = (Path(trial.__file__).parents[1] / "manifests" / "holosoma_g1_fastsac.toml").read_text()
    kept = [x for x in text.splitlines() if not x.startswith(("sha256", "size_bytes", "package", "file"))]
    at = kept.index("[model]")
    (tmp_path / "it.toml").write_text("\n".join([*kept[: at + 1], 'file = "it.onnx"', *kept[at + 1 :]]))
    names = ("actor_obs", "action")
    (tmp_path / "it.onnx").write_bytes(body_toy.onnx(inputs=100, outputs=29, bias=np.full(29, 9.0), names=names))
    order = Order(str(tmp_path / "it.toml"), replace(STAND, seconds=0.1), 3)
    policy = trial._policy(order.policy, "")
    assert len(policy.driven) == 12
    infer, seen = policy.infer, []
    policy.infer = lambda x: (seen.append(x[0].copy()), infer(x))[1]
    trial.run(order)
    manifest = policy.manifest
    robot = load_embodiment("g1_like")
    joints = tuple(j for g in robot.groups for j in g.joints)
    upper = UpperBody(robot, manifest, joints, False, 0.02, np.random.default_rng([3, 5]))
    executed = [upper.step(k).copy() for k in range(5)]
    for k, observed in enumerate(seen[1:]):
        for slot, joint in enumerate(manifest.action_joints):
            sent = executed[k][joints.index(joint)]
            own = joint in policy.driven
            want = 9.0 if own else (sent - manifest.joint(joint).default) / 0.25
            assert observed[slot] == pytest.approx(want, abs=1e-4), joint
