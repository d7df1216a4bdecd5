"""One rollout in virtual time: an agent, a seed, an outcome.  Repeats bit for bit.

The world is asked for the seed's placement, the agent is enabled, and the outcome is the world's own verdict within the
time limit.  What the agent sees are device streams; the verdict is read by this module alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from telerig.hardware.errors import ConfigError
from telerig.hardware.legs import Balance
from telerig.policies.checkpoint import load_spec
from telerig.policies.chunk import chunk_stream
from telerig.policies.rigs import policy_rig
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.live import COCKPIT
from telerig.teleop.operators import LIMIT_S, rig_hand
from telerig.teleop.phases import Progress
from telerig.teleop.plan import rig_as_told, rig_from_told
from telerig.teleop.replay_run import virtual_rig
from telerig.teleop.rig import Rig
from telerig.teleop.states import State
from telerig.teleop.virtual import VirtualSession

ENGAGE_LIMIT_S = 15.0
REPLAY = "replay:"


@dataclass(frozen=True)
class RolloutSpec:
    """What to roll out; plain values, so that it can be handed to another process.

    :param agent: ``operator`` (the virtual operator in the emulated cockpit), a checkpoint folder, ``replay:RECORDING`` (its
        commands again, open loop), or ``module:factory``.
    :param faults: device → (fault, values): what its emulator is told to do from the start.
    :param unplug: devices that are unplugged from the moment of engagement on.
    """

    rig: Mapping[str, Any]
    agent: str
    seed: int
    limit_s: float = LIMIT_S
    ablate: tuple[str, ...] = ()
    record: str = ""
    faults: Mapping[str, tuple[str, Mapping[str, float]]] = field(default_factory=dict)
    unplug: tuple[str, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How it went.

    :param digest: of the robot's measured joints at every tick, for comparing runs bit for bit.
    :param missing: the first part of the task that was never done, where the world tells parts.
    :param fell: a robot on its own feet did; that ends a rollout.
    """

    seed: int
    success: bool
    seconds: float
    engaged: bool
    joints: tuple[float, ...]
    digest: str
    missing: str = ""
    fell: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def rollout_spec(rig: Rig, agent: str, seed: int, **rest: Any) -> RolloutSpec:
    """A spec for a loaded rig."""
    return RolloutSpec(rig_as_told(rig), agent, seed, **rest)


def _session(spec: RolloutSpec) -> VirtualSession:
    rig = rig_from_told(dict(spec.rig))
    record = Path(spec.record) if spec.record else None
    common: dict[str, Any] = {"record": record, "task": rig.file.session.task}
    if spec.agent == "operator":
        return VirtualSession(rig, COCKPIT, rig_hand(rig, spec.seed).step, **common)
    if spec.agent.startswith(REPLAY):
        episode = Path(spec.agent.removeprefix(REPLAY))
        told = {"factory": "telerig.teleop.replay:build", "episode": str(episode), **spec.told}
        return VirtualSession(virtual_rig(rig, episode, watched=bool(spec.record)), told, unattended=True, **common)
    if ":" in spec.agent:
        return VirtualSession(rig, {"factory": spec.agent, **spec.told}, unattended=True, **common)
    checkpoint = Path(spec.agent)
    policy = load_spec(checkpoint)
    from telerig.policies.schedule import VirtualInference

    told = {"factory": "telerig.policies.rigs:build_agent", "checkpoint": str(checkpoint)}
    hook = VirtualInference(checkpoint, spec.seed, tuple(spec.ablate))
    stream = chunk_stream(policy.size, policy.horizon)
    return VirtualSession(
        policy_rig(rig, policy), told, hooks=[hook], extra_streams=[stream], unattended=True, **common
    )  # fmt: skip


class _Watch:
    """Follows the robot's joints and the world's verdict."""

    def __init__(self, session: VirtualSession) -> None:
        worlds = [n for n, p in session.plans.items() if p.serves]
        if not worlds:
            raise ConfigError(f"{session.rig.path}: has no simulated world; rollouts in virtual time need one")
        target = next(t for p in session.plans.values() for t in p.targets if t.state is not None)
        assert target.state is not None
        self._state, self._field = session.readers[target.state[0]], target.state[1]
        self._truth = session.readers[f"{worlds[0]}/truth"]
        self.progress = Progress(self._truth.spec)
        self._balance = [reader for name, reader in session.readers.items() if name.endswith("/balance")]
        self._hash = hashlib.sha256()
        self.joints: tuple[float, ...] = ()

    def look(self) -> bool:
        """One tick; whether the task is done."""
        if (sample := self._state.latest()) is not None:
            values = sample.array(self._field)
            self._hash.update(values.tobytes())
            self.joints = tuple(values.tolist())
        truth = self._truth.latest()
        if truth is None:
            return False
        self.progress.look(truth)
        return bool(truth.array("success"))

    @property
    def fell(self) -> bool:
        """A robot on its own feet lies on the floor."""
        found = (reader.latest() for reader in self._balance)
        return any(s is not None and int(s.array("state")) == Balance.FALLEN for s in found)

    @property
    def digest(self) -> str:
        """Of everything seen so far."""
        return self._hash.hexdigest()


def rollout(spec: RolloutSpec, on_step: Callable[[VirtualSession], None] = lambda session: None) -> Outcome:
    """Run one; ``on_step`` is called after every control period (a viewer, a test)."""
    with _session(spec) as session:
        for device, (kind, how) in spec.faults.items():
            session.emulator(device).fault(kind, **how)
        watch = _Watch(session)
        session.scene(1, spec.seed, reset_robot=True)
        engaged_at, success, now = None, False, session.clock.now()
        limit = now + int(ENGAGE_LIMIT_S * 1e9)
        while now < limit and not success and not watch.fell:
            status = session.step()
            on_step(session)
            now = session.clock.now()
            done = watch.look()
            if engaged_at is None and status.state is State.ENGAGED:
                engaged_at, limit = now, now + int(spec.limit_s * 1e9)
                session.unplugged |= set(spec.unplug)
                if spec.record and spec.agent != "operator":  # the virtual operator has the pedal for that
                    session.episode(EpisodeCommand.START)
            success = done and engaged_at is not None
        if spec.record:
            session.episode(EpisodeCommand.KEEP, "success" if success else "failure")
            session.step()
        seconds = 0.0 if engaged_at is None else (now - engaged_at) / 1e9
        missing = "" if success else watch.progress.missing
        return Outcome(
            spec.seed, success, seconds, engaged_at is not None, watch.joints, watch.digest, missing, watch.fell
        )  # fmt: skip
