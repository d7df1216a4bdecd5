"""A live session from a rig: what every command that runs in real time builds on (teleop, run, replay, demo, bench)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telerig.hardware.commands import Mode
from telerig.hardware.errors import ConfigError, DeviceError
from telerig.hardware.events import Level
from telerig.teleop import realtime
from telerig.teleop.body_build import load_drive
from telerig.teleop.body_rig import body_settings
from telerig.teleop.episodes import EpisodeCommand, episode_sample
from telerig.teleop.keyboard_drive import DRIVE, KeyDrive
from telerig.teleop.loop_process import load_factory
from telerig.teleop.operator_input import operator_sample
from telerig.teleop.plan import (
    DevicePlan,
    all_streams,
    device_process,
    emulation_process,
    pedals_of,
    plan_devices,
    rig_as_told,
    rig_facts,
    stale_limits,
)
from telerig.teleop.rig import Rig
from telerig.teleop.session import ProcessSpec, Session

COCKPIT = {"factory": "telerig.teleop.cockpit_build:build"}
BEAT_S = 0.03
BLIND_S = 0.4  # keys that nobody looked at for so long cannot have released enable: it lapses


@dataclass(frozen=True)
class LiveOptions:
    """What to run.

    :param agent: ``{"factory": "module:function", …}``: who issues commands.
    :param record: the session folder to make, or None.
    :param unattended: enable without a person; for simulated robots only.
    :param extra: further processes (a virtual operator, a policy's inference), and the streams they write.
    :param needs: those of them without which nothing may move: the loop holds when one gives no sign of life.
    """

    agent: Mapping[str, Any] = field(default_factory=lambda: dict(COCKPIT))
    record: Path | None = None
    task: str = ""
    dry_run: bool = False
    speed: float = 1.0
    home: bool = True
    unattended: bool = False
    extra: tuple[ProcessSpec, ...] = ()
    extra_streams: tuple[Any, ...] = ()
    needs: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def worn(self) -> bool:
        """Whether the agent is the rig's cockpit; a policy and a recording are others."""
        return bool(self.agent["factory"] == COCKPIT["factory"])


def is_simulated(plans: Mapping[str, DevicePlan]) -> bool:
    """Whether every robot of the rig is emulated, or of a driver, or with keys, that say ``simulated = True``.

    Keys say so only where the driver refuses a real robot (``unitree_g1`` with ``emulated``).
    """
    moving = [p.device for p in plans.values() if p.moves]
    said = [(d.driver, getattr(d, "config", None)) for d in moving if not d.rig.emulate]
    return all(any(getattr(s, "simulated", False) is True for s in pair) for pair in said)


def recorded_streams(rig: Rig, plans: Mapping[str, DevicePlan], names: list[str]) -> list[str]:
    """Names of the streams that go into the log: all but those of devices the rig does not record."""
    from telerig.teleop.recorder import COMMANDS

    left_out = {s.name for n, p in plans.items() if not rig.devices[n].rig.record for s in p.streams}
    left_out |= {n for n in names if n.endswith("/controls")} | {*COMMANDS, "session/scene", "session/operator"}
    return [n for n in names if n not in left_out]


def build(rig: Rig, folder: Path, options: LiveOptions) -> Session:
    """Plan a session; nothing runs until it is entered.

    :raises ConfigError: unattended with a robot that is not simulated, an existing recording in the way, or a cockpit that
        does not fit the robot or is not calibrated.
    """
    plans = plan_devices(rig)
    if options.worn:  # its mistakes are told before anything runs
        targets = tuple(t for p in plans.values() for t in p.targets)
        load_factory(options.agent["factory"])(rig, targets, dict(options.agent))
    for plan in plans.values():
        if (told_body := body_settings(rig, plan.name)) is not None:
            upper = next(t.names for t in plan.targets if t.mode is Mode.JOINT_POSITION)
            load_drive(told_body, plan.device.config.embodiment, upper)  # likewise
    simulated = is_simulated(plans)
    if options.unattended and not simulated:
        raise ConfigError(f"{rig.path}: --unattended is for simulated robots only; this rig's robot is real")
    streams = [*all_streams(rig, plans), *options.extra_streams]
    told = rig_as_told(rig)
    rate = rig.file.session.rate_hz
    processes = [device_process(rig, p, folder) for p in plans.values()]
    if (emulation := emulation_process(rig, folder)) is not None:
        processes.append(emulation)
    pedals = pedals_of(plans)
    loop: dict[str, Any] = {"rig": told, "agent": dict(options.agent), "rate_hz": rate}
    loop["options"] = {"dry_run": options.dry_run, "speed": options.speed, "home": options.home}
    loop["options"]["stale_s"] = stale_limits(rig, plans)
    loop["needs"] = list(options.needs)
    loop["operator"] = {"pedals": pedals, "unattended": options.unattended}
    processes.append(
        ProcessSpec("loop", "telerig.teleop.loop_process:run", loop, fifo=realtime.LOOP, restart=False, order=6)
    )
    if options.record is not None:
        if options.record.exists() and any(options.record.iterdir()):
            raise ConfigError(f"{options.record}: already holds something; choose another --record folder")
        from telerig.hardware.events import event_stream

        names = [s.name for s in streams] + [event_stream(p.name).name for p in (*processes, *options.extra)]
        settings: dict[str, Any] = {
            "rig": told,
            "folder": str(options.record),
            "task": options.task or rig.file.session.task,
        }
        settings |= {"simulated": simulated, "extra": dict(options.facts)}
        settings["streams"] = [*recorded_streams(rig, plans, names), "session/events"]
        processes.append(
            ProcessSpec("recorder", "telerig.teleop.recorder:run", settings, fifo=realtime.RECORDER, nice=5, order=2)
        )
    return Session(folder, streams, [*processes, *options.extra], rig_facts(rig))


class Steward(threading.Thread):
    """Beats, supervises and passes on the operator's keys, 30 times a second, whatever the screen is doing.

    Enable from a keyboard is a latch.  Where its keys are looked at (:meth:`look`) but were not for 0.4 s, because a
    terminal blocks, nobody can open it: it counts as released, and has to be released before a press counts again.

    :ivar enable: held, as the newest key says.
    :param unattended: a program holds enable, not a keyboard.
    :param drive: the keyboard as pedals.
    """

    def __init__(self, session: Session, unattended: bool = False, drive: KeyDrive | None = None) -> None:
        super().__init__(name="steward", daemon=True)
        self.drive = drive  # the keyboard as pedals
        self.session = session
        self.enable = self._unattended = unattended
        self._looked: int | None = None
        self._lapsed = False
        self._reset: int | None = None  # the newest press of the e-stop that whoever asks for the reset knows of
        self._end = threading.Event()

    def run(self) -> None:
        """Until :meth:`end`."""
        realtime.fifo(realtime.BUS)
        while not self._end.wait(BEAT_S):
            self.session.supervise()
            self.pass_on()

    def pass_on(self) -> None:
        """What the newest keys mean, to the loop."""
        known, self._reset = self._reset, None
        now, control = self.session.clock.now(), self.session.control
        self.session.writer("session/operator").write(operator_sample(self._held(now), control.resets, now))
        if self.drive is not None:
            if self._blind(now):  # also where a foot holds enable: nobody can take a wish back
                self.drive.still()
            self.session.writer(DRIVE.name).write(self.drive.sample(now))
        if known is not None:
            control.reset_estop(known)  # after the sample: who sees the request sees enable as it was then

    def _held(self, now: int) -> bool:
        if not self.enable:
            self._lapsed = False
        elif self._blind(now):
            self._lapse()
        return self.enable and not self._lapsed

    def _blind(self, now: int) -> bool:
        return self._looked is not None and now - self._looked > BLIND_S * 1e9

    def _lapse(self) -> None:
        if not (self._lapsed or self._unattended or self.session.control.stopping):
            self._lapsed = True
            if self.drive is not None:
                self.drive.still()
            text = f"no key was looked at for {BLIND_S} s, the terminal blocks: enable counts as released"
            self.session.say(Level.WARNING, "session.blind", text)

    def look(self) -> bool:
        """The operator's keys are looked at now; whether that was too long ago, so that they were typed blind."""
        before, self._looked = self._looked, self.session.clock.now()
        blind = before is not None and self._looked - before > BLIND_S * 1e9
        if blind and self.enable:
            self._lapse()
        return blind

    def reset(self) -> None:
        """Ask for the e-stop's reset, with the enable of this moment."""
        self._reset = self.session.control.newest_press

    def end(self) -> None:
        """Stop beating (the session must be ending)."""
        self._end.set()
        self.join()

    def episode(self, command: EpisodeCommand, text: str = "") -> None:
        """Ask something of the recorder."""
        sample = episode_sample("session", command, self.session.clock.now(), text)
        self.session.writer("session/episode").write(sample)


def wait_until_running(session: Session, limit_s: float = 30.0) -> None:
    """Until every process has given a sign of life.  :raises DeviceError: one ended or took too long; its last words."""
    deadline = session.clock.now() + int(limit_s * 1e9)
    pause = threading.Event()
    while not session.started():
        if session.failed:
            raise DeviceError(session.failed)
        if session.clock.now() > deadline:
            late = [n for n, i in session.beats.items() if n != "session" and not session.control.last_beat(i)]
            words = "; ".join(f"{n}: {session.last_words(n)}" for n in late)
            raise DeviceError(f"did not start within {limit_s:.0f} s: {words}")
        pause.wait(0.05)
    session.control.go()
