"""Synthetic sessions: what a recorder makes of a two-armed robot, a base, a camera and a glove, without any of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from telerig.datasets.recording import RecorderCore
from telerig.datasets.session_folder import SessionInfo
from telerig.hardware import commands, events
from telerig.hardware.commands import Command, Mode, Source, TargetSpec
from telerig.hardware.depth import MEDIA_TYPE, encode_depth, max_bytes
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, BlobSpec, StreamSpec

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
W, H = 48, 32
JOINTS = ("left_a", "left_b", "right_a", "right_b")

EMBODIMENT: dict[str, Any] = {
    "name": "pair",
    "version": 1,
    "model": "pair.xml",
    "targets": {"upper": ["left_arm", "right_arm"]},
    "groups": {
        side + "_arm": {
            "joints": [f"{side}_a", f"{side}_b"], "low": [-2.0, -2.0], "high": [2.0, 2.0], "velocity": [3.0, 3.0],
            "acceleration": [9.0, 9.0], "effort": [5.0, 5.0], "home": [0.0, 0.0], "slots": slots,
        }
        for side, slots in (("left", [48, 49]), ("right", [0, 1]))
    },
}  # fmt: skip


def _target(name: str, mode: Mode, names: tuple[str, ...]) -> TargetSpec:
    n = len(names)
    return TargetSpec(name, mode, names, (-2.0,) * n, (2.0,) * n, (3.0,) * n, (9.0,) * n, (0.0,) * n, "rad", None)


UPPER = _target("robot/upper", Mode.JOINT_POSITION, JOINTS)
BASE = _target("robot/base", Mode.BASE_VELOCITY_HEIGHT, ("vx", "vy", "yaw_rate", "height"))
META = {"width": W, "height": H, "fx": 40.0, "fy": 40.0, "cx": 23.5, "cy": 15.5}
DEPTH_META = META | {"unit_m": 0.001}
# measured in another order than commanded, with a joint more: builders go by names
MEASURED = ("right_b", "waist", "right_a", "left_b", "left_a")


def specs() -> list[StreamSpec]:
    """All streams of the synthetic rig; two of them only the world may know."""
    state = tuple(
        ArraySpec(f, (5,), "<f8", u, MEASURED)
        for f, u in (("position", "rad"), ("velocity", "rad/s"), ("effort", "N·m"))
    )
    return [
        StreamSpec("robot/state", state, 200.0),
        StreamSpec("glove/joints", (ArraySpec("counts", (3,), "<f4", "", ("x", "y", "z")),), 250.0),
        StreamSpec("head/color", (BlobSpec("jpeg", 20000, "image/jpeg", "head_optical", META),), 30.0),
        StreamSpec("head/depth", (BlobSpec("depth", max_bytes(W, H), MEDIA_TYPE, "head_optical", DEPTH_META),), 30.0),
        StreamSpec("world/truth", (ArraySpec("object", (3,)),), 60.0),
        StreamSpec("glove/controls", (ArraySpec("closure", (3,)),), 60.0),
        StreamSpec("session/state", (ArraySpec("state", (), "<u1"),), 200.0),
        events.event_stream("robot"),
        *(commands.command_stream(t, kind, 200.0) for t in (UPPER, BASE) for kind in ("intended", "sent")),
        commands.applied_stream(UPPER, 200.0),
    ]  # fmt: skip


def command(
    target: TargetSpec, kind: str, t: int, data: np.ndarray, mode: Mode | None = None, source=Source.OPERATOR
) -> Sample:
    c = Command(t // MS, target.name, target.mode if mode is None else mode, data, source, t, (t - 2 * MS, t - MS))
    return commands.to_sample(c, f"{target.name}/{kind}")


def images(n: int) -> list[bytes]:
    rng = np.random.default_rng(1)
    return [simplejpeg.encode_jpeg(rng.integers(0, 255, (H, W, 3), np.uint8), quality=80) for _ in range(n)]


def signal(t: int) -> np.ndarray:
    """What the joints are told at an instant, in the target's order."""
    x = (t - T0) / 1e9
    return np.array([np.sin(x + k) for k in range(4)])


def record_episode(
    core: RecorderCore, start: int, seconds: float, task: str, keep: bool, success: bool | None, rng
) -> None:
    """One episode: states every 5 ms with 1 ms latency, camera at 30 Hz with 20 ms, and a hold in the first 50 ms."""
    core.start(start, task)
    steps = int(seconds * 200)
    jpegs = images(int(seconds * 30) + 1)
    depth = encode_depth(rng.integers(400, 900, (H, W)).astype(np.uint16))
    frame = 0
    for k in range(steps):
        t = start + k * 5 * MS
        q = signal(t)
        waist = np.concatenate([q[[3]], [9.0], q[[2, 1, 0]]])
        data = {"position": waist, "velocity": waist * 0.1, "effort": waist * 0.01}
        core.take("robot/state", [Sample("robot/state", t + MS, t, data, seq=k)])
        counts = rng.uniform(0, 4095, 3).astype(np.float32)
        core.take(
            "glove/joints",
            [Sample("glove/joints", t + MS, t, {"counts": counts}, 9, t - 77, k, np.array([1, 1, 0], bool), seq=k)],
        )
        core.take("session/state", [Sample("session/state", t, t, {"state": np.array(2, np.uint8)}, seq=k)])
        held = k < 10
        core.take("robot/upper/intended", [command(UPPER, "intended", t, q + 0.01)])
        sent = command(
            UPPER,
            "sent",
            t,
            np.zeros(4) if held else q,
            Mode.HOLD if held else None,
            Source.GUARD if held else Source.OPERATOR,
        )
        core.take("robot/upper/sent", [sent])
        core.take("robot/base/sent", [command(BASE, "sent", t, np.array([0.1, 0.0, 0.2, 0.7]))])
        if k * 5 >= frame * 1000 / 30:
            at = start + int(frame * 1e9 / 30)
            core.take("head/color", [Sample("head/color", at + 20 * MS, at, {"jpeg": jpegs[frame]}, seq=frame)])
            core.take("head/depth", [Sample("head/depth", at + 20 * MS, at, {"depth": depth}, seq=frame)])
            frame += 1
    e = events.Event(start + 9 * MS, events.Level.WARNING, "robot", "robot.hot", "warm")
    core.take("robot/events", [events.to_sample(e)])
    end = start + int(seconds * 1e9)
    core.keep(end, success) if keep else core.discard(end)


MakeSession = Callable[..., Path]


@pytest.fixture(scope="session")
def make_session(tmp_path_factory) -> MakeSession:
    """``make_session(episodes=[(seconds, keep, success), …], embodiment=…, name=…)`` → session folder."""

    def make(
        episodes=((1.0, True, True), (0.8, True, False), (0.5, False, None), (0.6, True, None)), embodiment=None, seed=0
    ) -> Path:
        path = tmp_path_factory.mktemp("recorded") / "session"
        info = SessionInfo(
            "pair_rig",
            embodiment or EMBODIMENT,
            55,
            simulated=True,
            calibration={"head": {"extrinsics": [0, 0, 1, 1, 0, 0, 0]}},
        )
        core, rng, start = RecorderCore(path, specs(), info, T0), np.random.default_rng(seed), T0
        for k, (seconds, keep, success) in enumerate(episodes):
            record_episode(core, start, seconds, f"task {k % 2}", keep, success, rng)
            start += int((seconds + 1) * 1e9)
        core.close(start)
        return path

    return make


@pytest.fixture(scope="session")
def session(make_session) -> Path:
    """One session of four episodes, of which one was discarded.  Read only."""
    return make_session()
