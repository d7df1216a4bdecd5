"""Synthetic sessions of the follower arm, whose every value is known: two seconds of slow sines, camera and depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import simplejpeg

from telerig.datasets.recording import RecorderCore
from telerig.datasets.session_folder import SessionInfo
from telerig.hardware import commands, events
from telerig.hardware.commands import Command, Mode, Source, TargetSpec, command_stream
from telerig.hardware.depth import MEDIA_TYPE, encode_depth, max_bytes
from telerig.hardware.embodiment import embodiment_tables, load_embodiment
from telerig.hardware.events import Event, Level
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, BlobSpec, StreamSpec
from telerig.teleop import session_state
from telerig.teleop.session_state import SESSION_STATE, SessionState
from telerig.teleop.states import State

T0 = 1_700_000_000_000_000_000
PERIOD = 5_000_000
SECONDS = 2.0
W, H = 48, 32
TARGET: TargetSpec = load_embodiment("follower_arm").target("robot", "joints")
LAG = 0.02  # s, measured behind sent

META = {"width": W, "height": H, "fx": 40.0, "fy": 40.0, "cx": 23.5, "cy": 15.5}
STATE = StreamSpec(
    "robot/state",
    tuple(ArraySpec(f, (7,), "<f8", "rad", TARGET.names) for f in ("position", "velocity", "effort")),
    200.0,
)
COLOR = StreamSpec("head/color", (BlobSpec("jpeg", 20_000, "image/jpeg", "head", META),), 30.0)
DEPTH = StreamSpec(
    "head/depth", (BlobSpec("depth", max_bytes(W, H), MEDIA_TYPE, "head", META | {"unit_m": 0.001}),), 30.0
)
PEDALS = StreamSpec(
    "pedals/pedals",
    (ArraySpec("position", (3,), axes=("speed", "yaw", "height")), ArraySpec("switches", (3,), "<u1")), 100.0,
)  # fmt: skip
SENT, INTENDED = command_stream(TARGET, "sent", 200.0), command_stream(TARGET, "intended", 200.0)
LOOP_EVENTS = events.event_stream("loop")
SPECS = [STATE, SENT, INTENDED, COLOR, DEPTH, PEDALS, SESSION_STATE, LOOP_EVENTS]


def pose(t: float) -> np.ndarray:
    """(7,) what was sent ``t`` seconds into the episode: begins 0.5 rad from home, never faster than 1 rad/s."""
    home, low, high = np.array(TARGET.home), np.array(TARGET.low), np.array(TARGET.high)
    start = np.clip(home + np.array([0.5, -0.3, 0.3, 0.2, -0.2, 0.3, 0.2]), low + 0.05, high - 0.05)
    swing = 0.15 * (1.0 - np.cos(2.0 * np.pi * t / 2.0)) * np.array([1, 1, -1, 1, 1, -1, 1])
    return np.clip(start + swing, low, high)


def jpeg(i: int) -> bytes:
    """The i-th colour image."""
    image = np.full((H, W, 3), (20 + 3 * i) % 255, np.uint8)
    image[:, : W // 2, 0] = 255
    found: bytes = simplejpeg.encode_jpeg(image, quality=90)
    return found


def depth(i: int) -> np.ndarray:
    """The i-th depth image, mm."""
    return (np.arange(H * W, dtype=np.uint16).reshape(H, W) + 500 + i).astype(np.uint16)


def record(folder: Path, seconds: float = SECONDS, episodes: int = 1, gap: tuple[float, float] = (9.0, 9.0)) -> Path:
    """Record a session; the camera delivers nothing between ``gap[0]`` and ``gap[1]`` seconds.  Returns the folder."""
    info = SessionInfo("follower", embodiment_tables("follower_arm"), 0, rig_toml=RIG.read_text(), simulated=True)
    core = RecorderCore(folder, SPECS, info, T0)
    for number in range(episodes):
        start = T0 + number * 10_000_000_000
        core.start(start, "wave")
        _episode(core, start, seconds, gap)
        core.keep(start + int(seconds * 1e9), True)
    core.close(T0 + episodes * 10_000_000_000)
    return folder


RIG = Path(__file__).parents[2] / "rigs" / "follower.toml"


def _episode(core: RecorderCore, start: int, seconds: float, gap: tuple[float, float]) -> None:
    shots = 0
    for k in range(round(seconds * 200)):
        now, t = start + k * PERIOD, k * PERIOD / 1e9
        steered = t >= 0.1  # the first 0.1 s belong to the guard, which matches
        state = State.ENGAGED if steered else State.MATCHING
        core.take(SESSION_STATE.name, [session_state.to_sample(SessionState(state, since=start), now)])
        measured = pose(t - LAG)
        data = {"position": measured, "velocity": np.zeros(7), "effort": np.zeros(7)}
        core.take(STATE.name, [Sample(STATE.name, now, now, data)])
        source = Source.OPERATOR if steered else Source.GUARD
        for spec, shift in ((SENT, 0.0), (INTENDED, 0.01)):
            values = pose(t) + shift
            command = Command(k, TARGET.name, Mode.JOINT_POSITION, values, source, now, (now, now))
            core.take(spec.name, [commands.to_sample(command, spec.name)])
        if k % 2 == 0:
            switches = {"position": np.zeros(3), "switches": np.array([1, 0, 1], np.uint8)}
            core.take(PEDALS.name, [Sample(PEDALS.name, now, now, switches)])
        if k % 7 == 0 and not gap[0] <= t < gap[1]:
            core.take(COLOR.name, [Sample(COLOR.name, now, now, {"jpeg": jpeg(shots)})])
            core.take(DEPTH.name, [Sample(DEPTH.name, now, now, {"depth": encode_depth(depth(shots))})])
            shots += 1
        if k == 20:
            event = Event(now, Level.WARNING, "loop", "state.engaged", "ENGAGED: in the same pose")
            core.take(LOOP_EVENTS.name, [events.to_sample(event)])
