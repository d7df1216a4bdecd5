"""Trials of a policy in real time: a new scene with the robot at home, the task's time, the world's verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from telerig.hardware.scene import SceneRequest
from telerig.teleop.episodes import EpisodeCommand
from telerig.teleop.live import Steward, is_simulated
from telerig.teleop.plan import DevicePlan
from telerig.teleop.session import Session
from telerig.teleop.states import State
from telerig.teleop.trials import Trial, say_newest

GRACE_S = 30.0
SETTLE_S = 1.0  # home again, streams filled with the new scene


class PolicyTrials:
    """Poll :meth:`step` several times a second; done when all trials are.

    Between trials enable is released, the robot holds, and the scene starts anew with the robot at home.

    :param limit_s: how long a trial may take.
    :param may_reset: whether this program may reset an e-stop of the emulated stop switch: where nothing is real.
    """

    def __init__(
        self,
        session: Session,
        steward: Steward,
        world: str,
        seeds: list[int],
        recording: bool,
        limit_s: float,
        may_reset: bool = False,
    ) -> None:
        self._session, self._steward, self._recording = session, steward, recording
        self._truth, self._state = session.reader(f"{world}/truth"), session.reader("session/state")
        self._seeds, self._limit_s, self._may_reset = seeds, limit_s, may_reset
        self.results: list[Trial] = []
        self._since = self._session.clock.now()
        self._phase: Callable[[int, State], None] = self._stand_still
        self._steward.enable = False
        self._reset = self._press = 0  # when the reset was last asked for; the newest press of the e-stop

    def step(self) -> bool:
        """Look at what happened; whether all is done."""
        if len(self.results) >= len(self._seeds):
            return True
        now, state = self._session.clock.now(), self._state.latest()
        if state is None:
            return False
        self._press = self._session.control.newest_press  # looked at before `estop`: what comes later is never reset
        if self._session.control.estop:
            return self._end_all(now, "the e-stop was pressed")
        if now - self._since > self._patience_s() * 1e9:
            if State(int(state.array("state"))) is State.ESTOP:  # nothing that a new scene would change
                return self._end_all(now, "the e-stop stays latched")
            self._end(now, False, 0.0, f"stuck: {self._phase.__name__.strip('_')}")
        else:
            self._phase(now, State(int(state.array("state"))))
        return len(self.results) >= len(self._seeds)

    def _patience_s(self) -> float:
        """Longer than this no phase lasts: a trial's own time comes on top."""
        return GRACE_S + (self._limit_s if self._phase == self._watch else 0.0)

    def _end_all(self, now: int, reason: str) -> bool:
        while len(self.results) < len(self._seeds):
            self._end(now, False, 0.0, reason)
        return True

    def _next(self, now: int, phase: Callable[[int, State], None]) -> None:
        self._phase, self._since, self._reset = phase, now, now

    def _stand_still(self, now: int, state: State) -> None:
        """Released: wait until nothing moves, then ask for the scene.

        An emulated stop switch that had opened is reset each second; a pressed e-stop, or a real switch, is a person's
        to reset.
        """
        if state is State.ESTOP and self._may_reset and now - self._reset > SETTLE_S * 1e9:
            self._session.control.reset_estop(self._press)
            self._reset = now
        if state in (State.IDLE, State.HOLD, State.DAMPED):
            request = SceneRequest(len(self.results) + 1, self._seeds[len(self.results)], reset_robot=True)
            self._session.writer("session/scene").write(request.to_sample(now))
            self._next(now, self._settle)

    def _settle(self, now: int, state: State) -> None:
        """Wait for the scene, and for every stream to show it; then allow enable."""
        truth = self._truth.latest()
        arrived = truth is not None and int(truth.array("episode")) == len(self.results) + 1
        if arrived and now - self._since > SETTLE_S * 1e9:
            self._steward.enable = True
            self._next(now, self._wait)

    def _wait(self, now: int, state: State) -> None:
        """Wait for engagement."""
        if state is State.ENGAGED:
            if self._recording:
                self._steward.episode(EpisodeCommand.START)
            self._next(now, self._watch)

    def _watch(self, now: int, state: State) -> None:
        """The trial itself."""
        truth = self._truth.latest()
        seconds = (now - self._since) / 1e9
        if truth is not None and bool(truth.array("success")) and seconds <= self._limit_s:
            self._end(now, True, seconds)
        elif state is State.ESTOP:
            self._end(now, False, seconds, "e-stop")
        elif seconds > self._limit_s:
            self._end(now, False, seconds)

    def _end(self, now: int, success: bool, seconds: float, reason: str = "") -> None:
        self.results.append(Trial(self._seeds[len(self.results)], success, seconds, reason))
        say_newest(self._session, self.results, len(self._seeds))
        if self._recording and not reason:
            self._steward.episode(EpisodeCommand.KEEP, "success" if success else "failure")
        elif self._recording:
            self._steward.episode(EpisodeCommand.DISCARD)  # ignored where nothing is recorded yet
        self._steward.enable = False
        self._next(now, self._stand_still)


def all_emulated(plans: Mapping[str, DevicePlan]) -> bool:
    """Whether robot and pedals are emulated, so that a program may reset the e-stop of the pedals' stop switch."""
    return is_simulated(plans) and all(p.device.rig.emulate for p in plans.values() if p.pedals)
