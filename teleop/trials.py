"""Trials with a virtual operator in real time: a new scene, the operator does the task, the outcome is noted, again.

This is what a person beside the rig would do: put the object back, watch, say whether it worked.  The verdict is the
simulated world's own; the operator never sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from telerig.hardware.errors import ConfigError
from telerig.hardware.events import Level
from telerig.hardware.scene import SceneRequest
from telerig.teleop.episodes import EpisodeCommand, put_away
from telerig.teleop.live import Steward
from telerig.teleop.plan import DevicePlan
from telerig.teleop.session import Session

LIMIT_S = 8.0  # for the task, from the operator's press of *episode* on
GRACE_S = 30.0  # to be engaged and begin


@dataclass(frozen=True)
class Trial:
    """How one went."""

    seed: int
    success: bool
    seconds: float
    reason: str = ""


def say_newest(session: Session, results: Sequence[Trial], planned: int) -> None:
    """Say and log how the newest of the trials went."""
    t = results[-1]
    verdict = "success" if t.success else f"failure{': ' + t.reason if t.reason else ''}"
    text = f"trial {len(results)}/{planned} (seed {t.seed}): {verdict}, {t.seconds:.1f} s"
    session.say(Level.INFO, "trial.ended", text, seed=t.seed, success=t.success)


class Trials:
    """Poll :meth:`step` several times a second; it is done when all trials are.

    :param world: the simulated world's device.  :param recording: whether a recorder runs (labels are sent to it).
    """

    def __init__(self, session: Session, steward: Steward, world: str, seeds: list[int], recording: bool) -> None:
        self._session, self._steward, self._recording = session, steward, recording
        self._truth = session.reader(f"{world}/truth")
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
        request = SceneRequest(number + 1, self._seeds[number])
        self._session.writer("session/scene").write(request.to_sample(now))
        self._asked, self._begun = now, 0

    def step(self) -> bool:
        """Look at what happened; whether all is done."""
        if len(self.results) >= len(self._seeds):
            return self.done
        now = self._session.clock.now()
        presses = len(self._presses.read()[0])
        if not self._begun:
            if presses:
                self._begun = now
                presses -= 1
            elif now - self._asked > GRACE_S * 1e9:
                self._end(False, 0.0, "the operator did not begin")
                return self.done
        if not self._begun:
            return False
        seconds = (now - self._begun) / 1e9
        if presses:
            self._end(self._succeeded() and seconds <= LIMIT_S, seconds, "")
        elif seconds > LIMIT_S + 2.0:
            if self._recording:
                self._steward.episode(EpisodeCommand.DISCARD)
            self._end(False, seconds, "took too long")
        return self.done

    def _succeeded(self) -> bool:
        truth = self._truth.latest()
        return truth is not None and bool(truth.array("success"))

    def _end(self, success: bool, seconds: float, reason: str) -> None:
        self.results.append(Trial(self._seeds[len(self.results)], success, seconds, reason))
        say_newest(self._session, self.results, len(self._seeds))
        if self._recording and not reason:
            self._steward.episode(EpisodeCommand.LABEL_SUCCESS if success else EpisodeCommand.LABEL_FAILURE)
        self._ended = self._session.clock.now()
        if len(self.results) < len(self._seeds):
            self._scene()


def world_of(plans: Mapping[str, DevicePlan]) -> str:
    """The rig's simulated world.  :raises ConfigError: it has none."""
    for name, plan in plans.items():
        if plan.serves:
            return str(name)
    raise ConfigError("trials with a virtual operator need a simulated world; this rig has none")
