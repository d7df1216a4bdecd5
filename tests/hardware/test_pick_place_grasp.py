"""The grasp on which the task stands, in physics: a scripted hand moves the canister, and only with closing fingers."""

import numpy as np
import pytest

from telerig.hardware.embodiment import load_embodiment
from telerig.hardware.kinematics import Chain
from telerig.hardware.rotations import rotation_about
from telerig.hardware.worlds import pick_place

mujoco = pytest.importorskip("mujoco")
WAIST = {"waist_yaw_joint": 0.0, "waist_roll_joint": 0.0, "waist_pitch_joint": 0.0}
ROBOT = load_embodiment("g1_like")
OPEN = np.array(ROBOT.group("right_hand").home)
CLOSED = np.array([0.0, -0.2, -0.5, 1.3, 0.6, 1.3, 0.6])
YAW = rotation_about((0, 0, 1), 0.15)
TICK_S = 0.01


class ScriptedHand:
    """Moves the right hand along straight lines by inverse kinematics, never faster than the embodiment allows."""

    def __init__(self, seed):
        from telerig.drivers.mujoco.scene import build_scene

        self.scene = build_scene("g1_like", "pick_place")
        self.model, self.data = self.scene.model, mujoco.MjData(self.scene.model)
        self.data.qpos[:], self.data.ctrl[:] = self.scene.home_qpos, self.scene.home_ctrl
        self.placement = pick_place.sample(seed)
        self.data.joint("object_free").qpos[:3] = self.placement.object
        self.data.mocap_pos[0] = self.placement.target
        mujoco.mj_forward(self.model, self.data)
        self.chain = Chain.from_mjcf(ROBOT.model_path, "pelvis", "right_palm", WAIST)
        self.arm = [self.model.actuator(j).id for j in self.chain.joints]
        self.hand = [self.model.actuator(j).id for j in ROBOT.group("right_hand").joints]
        self.home = self.q = np.array(ROBOT.group("right_arm").home)
        self.grip, self.time = OPEN.copy(), 0.0
        self.base = np.array(pick_place.ROBOT_BASE)
        self.at = self.chain.forward(self.q)[:3, 3] + self.base

    def tick(self, goal, grip, rate):
        found = self.chain.solve(
            self.q, goal - self.base, YAW, 2, rot_weight=(1, 1, 0.5), posture=self.home, posture_gain=0.02, margin=0.03
        )
        step = np.array(ROBOT.group("right_arm").velocity) * TICK_S
        self.q = self.q + np.clip(found.q - self.q, -step, step)
        change = grip - self.grip
        self.grip = self.grip + change * min(1.0, rate * TICK_S / max(1e-9, np.abs(change).max()))
        self.data.ctrl[self.arm], self.data.ctrl[self.hand] = self.q, self.grip
        mujoco.mj_step(self.model, self.data, round(TICK_S / self.model.opt.timestep))
        self.time += TICK_S

    def move(self, goal, grip, speed):
        start, goal = self.at, np.asarray(goal, float)
        n = max(10, round(1.5 * np.linalg.norm(goal - start) / speed / TICK_S))
        for u in np.arange(1, n + 1) / n:
            self.tick(start + (3 * u * u - 2 * u**3) * (goal - start), grip, 8.0)
        self.at = goal

    def stay(self, seconds, grip, rate=8.0):
        for _ in range(round(seconds / TICK_S)):
            self.tick(self.at, grip, rate)

    def pick_and_place(self, closed):
        along, across = YAW[:, 0], YAW[:, 1]
        height = np.array([0, 0, pick_place.TABLE_TOP + 0.062])
        grasp = np.array([*self.placement.object[:2], 0]) + height
        place = np.array([*self.placement.target[:2], 0.003]) + height
        lift = np.array([0, 0, 0.09])
        self.move(grasp - 0.09 * along - 0.025 * across, OPEN, 0.45)
        self.move(grasp, OPEN, 0.27)
        self.stay(0.5, closed)
        self.move(grasp + lift, closed, 0.45)
        self.lifted = self.data.joint("object_free").qpos[2] - self.placement.object[2]
        self.move(place + lift, closed, 0.45)
        self.move(place, closed, 0.3)
        self.stay(0.5, OPEN, 4.0)
        self.move(place - 0.01 * along - 0.05 * across, OPEN, 0.27)
        self.move(place - 0.10 * along - 0.07 * across + [0, 0, 0.03], OPEN, 0.45)
        self.stay(0.2, OPEN)
        return self.succeeded()

    def succeeded(self):
        data, palms = self.data, [self.data.site(s).xpos for s in ("left_palm", "right_palm")]
        body = data.body("object")
        return pick_place.success(body.xpos, body.xquat, self.placement.target, palms)


@pytest.mark.parametrize("seed", range(4))
def test_scripted_hand_places_the_canister(seed):
    hand = ScriptedHand(seed)
    assert hand.pick_and_place(CLOSED)
    assert hand.lifted > 0.06
    assert hand.time < pick_place.TIME_LIMIT_S - 2.0


@pytest.mark.parametrize("seed", range(2))
def test_open_fingers_never_lift_nor_place_it(seed):
    hand = ScriptedHand(seed)
    assert not hand.pick_and_place(OPEN)
    assert hand.lifted < 0.01
