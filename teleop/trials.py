"""Trials with a virtual operator in real time: a new scene, the operator does the task, the outcome is noted, again.

This is what a person beside the rig would do: put the object back, watch, say whether it worked.  The verdict is the
simulated world's own; the operator never sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from telerig.hardware.errors import ConfigError
from telerig.hardware.events import Level
from telerig.hardware.samples import Sample
from telerig.hardware.scene import SceneRequest
from telerig.teleop.episodes import EpisodeCommand, put_away
from telerig.teleop.falls import Falls
from telerig.teleop.live import Steward
from telerig.teleop.operators import LIMIT_S
from telerig.teleop.phases import Progress
from telerig.teleop.plan import DevicePlan
from telerig.teleop.session import Session

GRACE_S = 30.0  # to be engaged and begin
LATE_S = 1.0  # a press so soon after the scene was new belongs to the trial before: nobody begins that early
REST_S = 2.5  # before a walking robot is put back: who wears it, and has ended the task, takes the arms home


@dataclass(frozen=True)
class Trial:
    """How one went.  ``missing``: the first part of the task that was never done, where the world tells."""

    seed: int
    success: bool
    seconds: float
    reason: str = ""
    missing: str = ""


def say_newest(session: Session, results: Sequence[Trial], planned: int) -> None:
    """Say and log how the newest of the trials went."""
    t = results[-1]
    verdict = "success" if t.success else f"failure{': ' + t.reason if t.reason else ''}"
    text = f"trial {len(results)}/{planned} (seed {t.seed}): {verdict}, {t.seconds:.1f} s"
    session.say(Level.INFO, "trial.ended", text, seed=t.seed, success=t.success)


class Trials:
    """Poll :meth:`step` several times a second; it is done when all trials are.

    A robot on its own feet is put back where it began, also when it fell; that fall's e-stop, and no other, is reset once
    the world shows that it hangs there.

    :param world: the simulated world's device.  :param recording: whether a recorder runs (labels are sent to it).
    :param limit_s: for the task, from the operator's press of *episode* on.
    :param walker: the robot's device, if it stands on its own feet; else "".
    :param may_reset: whether this program may reset a fall's e-stop: where nothing real moves.
    """

    def __init__(
        self, session: Session, steward: Steward, world: str, seeds: list[int], recording: bool, limit_s: float = LIMIT_S,
        walker: str = "", may_reset: bool = False,
    ) -> None:  # fmt: skip
        self._session, self._steward, self._recording = session, steward, recording
        self._limit_s, self._walks = limit_s, bool(walker)
        balance = session.reader(f"{walker}/balance") if walker else None
        self._falls = Falls(balance, session.control, may_reset)
        self._truth = session.reader(f"{world}/truth")
        self._progress = Progress(self._truth.spec)
        self._presses = session.reader("loop/episode").tap()
        self._seeds = seeds
        self.results: list[Trial] = []
        self._asked = self._begun = self._ended = 0
        self._scene()

    @property
    def done(self) -> bool:
        """All trials are over, and the recorder has put away what it recorded."""
        return len(self.results) >= len(self._seeds) and self._put_away()

    def _put_away(self) -> bool:
        newest = self._session.reader("recorder/state").latest() if self._recording else None
        return put_away(newest, self._ended, self._session.clock.now())

    def _scene(self) -> None:
        now = self._session.clock.now()
        number = len(self.results)
        request = SceneRequest(number + 1, self._seeds[number], reset_robot=self._walks)
        self._session.writer("session/scene").write(request.to_sample(now))
        self._asked, self._shown, self._begun, self._resting = now, 0, 0, False
        self._progress.reset()

    def step(self) -> bool:
        """Look at what happened; whether all is done."""
        if len(self.results) >= len(self._seeds):
            return self.done
        now = self._session.clock.now()
        fell, presses = self._falls.look(), len(self._presses.read()[0])
        if self._resting:
            if now - self._ended > REST_S * 1e9:
                self._scene()
        elif not self._begun:
            self._wait(now, presses, fell)
        else:
            self._watch(now, presses)
        return self.done

    def _wait(self, now: int, presses: int, fell: bool) -> None:
        """Until the operator begins; a robot that lies is set on its feet before."""
        if not self._shown and self._truth_now() is not None:
            self._shown = now
        early = not self._shown or now - self._shown < LATE_S * 1e9
        if presses and self._walks and early:
            if self._recording:
                self._steward.episode(EpisodeCommand.DISCARD)  # what it began
        elif presses:
            self._begun = now
        elif now - self._asked > GRACE_S * 1e9:
            self._end(False, 0.0, "the operator did not begin")
        elif self._shown and fell:
            self._give_up(0.0, "fell")
        elif self._shown:
            self._falls.reset(now, self._shown)

    def _watch(self, now: int, presses: int) -> None:
        """The trial itself."""
        if (truth := self._truth_now()) is not None:
            self._progress.look(truth)
        seconds = (now - self._begun) / 1e9
        if presses:
            self._end(self._succeeded() and seconds <= self._limit_s, seconds, "")
        elif self._falls.lies:
            self._give_up(seconds, "fell")
        elif seconds > self._limit_s + 2.0:
            self._give_up(seconds, "took too long")

    def _truth_now(self) -> Sample | None:
        """What the world says; None while it does not show this trial's scene yet."""
        truth = self._truth.latest()
        return truth if truth is not None and int(truth.array("episode")) == len(self.results) + 1 else None

    def _succeeded(self) -> bool:
        truth = self._truth_now()
        return truth is not None and bool(truth.array("success"))

    def _give_up(self, seconds: float, reason: str) -> None:
        if self._recording:
            self._steward.episode(EpisodeCommand.DISCARD)
        self._end(False, seconds, reason)

    def _end(self, success: bool, seconds: float, reason: str) -> None:
        missing = "" if success else self._progress.missing
        self.results.append(Trial(self._seeds[len(self.results)], success, seconds, reason, missing))
        say_newest(self._session, self.results, len(self._seeds))
        if self._recording and not reason:
            self._steward.episode(EpisodeCommand.LABEL_SUCCESS if success else EpisodeCommand.LABEL_FAILURE)
        self._ended = self._session.clock.now()
        if len(self.results) >= len(self._seeds):
            return
        if self._walks and not reason:
            self._resting = True
        else:
            self._scene()


def world_of(plans: Mapping[str, DevicePlan]) -> str:
    """The rig's simulated world.  :raises ConfigError: it has none."""
    for name, plan in plans.items():
        if plan.serves:
            return str(name)
    raise ConfigError("trials with a virtual operator need a simulated world; this rig has none")
