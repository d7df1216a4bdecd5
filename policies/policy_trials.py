"""Trials of a policy in real time: a new scene with the robot at home, eight seconds, the world's verdict."""

from __future__ import annotations

from telerig.hardware.events import Level
from telerig.hardware.scene import SceneRequest
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.live import Steward
from telerig.teleop.session import Session
from telerig.teleop.states import State
from telerig.teleop.trials import Trial

LIMIT_S = 8.0
GRACE_S = 30.0
SETTLE_S = 1.0  # home again, streams filled with the new scene


class PolicyTrials:
    """Poll :meth:`step` several times a second; done when all trials are.

    The robot is driven home by the guard between trials (HOLD, then the home pose), never by the policy.
    """

    def __init__(self, session: Session, steward: Steward, world: str, seeds: list[int], recording: bool) -> None:
        self._session, self._steward, self._recording = session, steward, recording
        self._truth, self._state = session.reader(f"{world}/truth"), session.reader("session/state")
        self._seeds = seeds
        self.results: list[Trial] = []
        self._asked = self._begun = 0
        self._scene()

    def _scene(self) -> None:
        now = self._session.clock.now()
        number = len(self.results)
        request = SceneRequest(number + 1, self._seeds[number], reset_robot=True)
        self._session.writer("session/scene").write(request.to_sample(now))
        self._asked, self._begun = now, 0

    def step(self) -> bool:
        """Look at what happened; whether all is done."""
        if len(self.results) >= len(self._seeds):
            return True
        now = self._session.clock.now()
        truth, state = self._truth.latest(), self._state.latest()
        if truth is None or state is None or int(truth.array("episode")) != len(self.results) + 1:
            return False
        engaged = int(state.array("state")) == State.ENGAGED
        if not self._begun:
            if engaged and now - self._asked > SETTLE_S * 1e9:
                self._begun = now
                if self._recording:
                    self._steward.episode(EpisodeCommand.START)
            elif now - self._asked > GRACE_S * 1e9:
                self._end(False, 0.0, "was not engaged")
            return False
        seconds = (now - self._begun) / 1e9
        if bool(truth.array("success")):
            self._end(True, seconds)
        elif seconds > LIMIT_S:
            self._end(False, seconds)
        return len(self.results) >= len(self._seeds)

    def _end(self, success: bool, seconds: float, reason: str = "") -> None:
        seed = self._seeds[len(self.results)]
        self.results.append(Trial(seed, success, seconds, reason))
        verdict = "success" if success else "failure"
        text = f"trial {len(self.results)}/{len(self._seeds)} (seed {seed}): {verdict}, {seconds:.1f} s"
        self._session.say(Level.INFO, "trial.ended", text, seed=seed, success=success)
        if self._recording and not reason:
            self._steward.episode(EpisodeCommand.KEEP, verdict)
        if len(self.results) < len(self._seeds):
            self._scene()
