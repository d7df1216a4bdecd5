"""The rigs that benchmarks run: built here, so that a figure does not depend on which rig files lie about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from telerig.teleop.rig import Rig, parse_rig

_ARM = {"driver": "exo_arm", "emulate": True}
_ARMS = {"exo_left": "left_arm", "exo_right": "right_arm"}


def bench_rig(
    renderer: bool = False, cameras: bool = True, motion_log: str = "", task: str = "pick_place", pulled: str = ""
) -> tuple[Rig, dict[str, Any]]:
    """The full cockpit on a simulated robot, and the hand that wears it.

    :param renderer: add the two simulated cameras (320×240, one with depth) beside the synthetic ones.
    :param cameras: the two synthetic 640×480 cameras.
    :param motion_log: where the simulator notes joint speed and mode, control period by control period; "" for nowhere.
    :param task: what stands around the robot; "" for nothing that it could bump into.
    :param pulled: add one small synthetic camera whose cable can be pulled, by way of this folder; "" for none.
    """
    devices: dict[str, Any] = {name: dict(_ARM) for name in _ARMS}
    devices |= {f"glove_{s}": {"driver": "hall_glove", "emulate": True, "side": s} for s in ("left", "right")}
    devices["pedals"] = {"driver": "pedal_box", "emulate": True}
    devices["world"] = {"driver": "mujoco_world", "embodiment": "g1_like", "task": task, "record": False}
    if motion_log:
        devices["world"]["log"] = motion_log
    devices["robot"] = {"driver": "mujoco_robot", "embodiment": "g1_like", "world": "world"}
    if cameras:
        devices |= {f"camera_{i}": {"driver": "synthetic_camera", "seed": i} for i in (1, 2)}
    if pulled:
        devices["camera_1"] = {"driver": "synthetic_camera", "width": 320, "height": 240, "faults": pulled}
    if renderer:
        rendered = {"driver": "mujoco_camera", "embodiment": "g1_like", "task": "pick_place", "world": "world"}
        devices["head"] = rendered | {"camera": "head", "depth": True}
        devices["front"] = rendered | {"camera": "front"}
    raw = {"name": "bench", "devices": devices, "cockpit": full_cockpit()}
    config = {"embodiment": "g1_like", "arms": {d: [g] for d, g in _ARMS.items()}, "pedals": "pedals"}
    config["gloves"] = ["glove_left", "glove_right"]
    hand = {"factory": "telerig.teleop.bench.hands:SineHand", "config": config}
    return parse_rig(raw, Path("bench.toml"), rig_text(raw)), hand


def crash_rig(camera_journal: Path) -> tuple[Rig, dict[str, Any]]:
    """The leader and follower arms, a glove and a camera: every kind of stream, no simulator; and the hand.

    :param camera_journal: where the camera notes its frames.
    """
    camera = {"driver": "synthetic_camera", "width": 320, "height": 240, "journal": str(camera_journal)}
    devices: dict[str, Any] = {
        "leader": {"driver": "exo_arm", "emulate": True, "ids": [1, 2, 3, 4, 5, 6, 7]},
        "robot": {"driver": "dynamixel_arm", "emulate": True},
        "glove": {"driver": "hall_glove", "emulate": True, "side": "left"},
        "camera": camera,
    }
    arms = [{"device": "leader", "target": "robot/joints", "groups": ["arm", "gripper"]}]
    raw = {"name": "crash", "devices": devices, "cockpit": {"arms": arms}}
    config = {"embodiment": "follower_arm", "arms": {"leader": ["arm", "gripper"]}, "keyboard": True}
    hand = {"factory": "telerig.teleop.bench.hands:SineHand", "config": config}
    return parse_rig(raw, Path("crash.toml"), rig_text(raw)), hand


def full_cockpit() -> dict[str, Any]:
    """Two arms, two gloves, pedals onto the humanoid's upper body and base."""
    return {
        "arms": [{"device": d, "target": "robot/upper", "groups": [g]} for d, g in _ARMS.items()],
        "hands": [
            {
                "device": f"glove_{s}",
                "target": "robot/upper",
                "groups": [f"{s}_hand"],
                "table": "three_finger",
                "side": s,
            }
            for s in ("left", "right")
        ],
        "pedals": {"device": "pedals", "target": "robot/base"},
    }


def rig_text(raw: dict[str, Any]) -> str:
    """TOML text of a rig built in code, for the record."""
    lines = [f'name = "{raw["name"]}"']
    for name, table in raw["devices"].items():
        lines.append(f"[devices.{name}]")
        lines += [f"{k} = {_toml(v)}" for k, v in table.items()]
    cockpit = raw["cockpit"]
    for kind in ("arms", "hands"):
        for table in cockpit.get(kind, []):
            lines.append(f"[[cockpit.{kind}]]")
            lines += [f"{k} = {_toml(v)}" for k, v in table.items()]
    if "pedals" in cockpit:
        lines.append("[cockpit.pedals]")
        lines += [f"{k} = {_toml(v)}" for k, v in cockpit["pedals"].items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return str(list(value)) if isinstance(value, list | tuple) else str(value)
