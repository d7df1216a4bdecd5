"""A session that runs in other processes, as a benchmark watches it: its state, its recorder, how to get it engaged."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from telerig.hardware import events
from telerig.hardware.clock import RealClock
from telerig.hardware.errors import DeviceError
from telerig.teleop.attach import Attached
from telerig.teleop.episodes import RecorderState
from telerig.teleop.states import State

TRIES = 4


class WatchedSession(ABC):
    """What can be seen from outside.  Whoever derives from it starts the session and sets the attributes.

    :ivar attached: its streams.  :ivar clock: its clock.
    """

    attached: Attached
    clock: RealClock

    @abstractmethod
    def enable(self, on: bool) -> None:
        """Hold or release enable."""

    @abstractmethod
    def last_words(self) -> str:
        """The last line that the session's command line wrote."""

    def reset(self) -> None:
        """Reset the e-stop, as the key r does."""
        self.attached.control.reset_estop()

    def engage(self) -> None:
        """Release enable, reset what is latched, press, match.  :raises DeviceError: it does not engage in 4 tries."""
        moving = (State.MATCHING, State.ENGAGED)
        for _ in range(TRIES):
            if self.state() is State.ENGAGED:
                return
            self.enable(False)
            self.wait(lambda: self.state() not in moving, 10.0, "letting go")
            self.holds(lambda: not self._loop_sees_enable(), 0.3)  # else the next press is none
            for _ in range(20):
                if self.state() is not State.ESTOP:
                    break
                self.reset()
                self.holds(lambda: self.state() is not State.ESTOP, 0.3)
            self.enable(True)
            if self.holds(lambda: self.state() in moving, 1.5):
                self.holds(lambda: self.state() is not State.MATCHING, 30.0)
        if self.state() is not State.ENGAGED:
            raise DeviceError(f"the robot did not engage ({self.reason()}; {self.last_words()})")

    # --- what is seen --------------------------------------------------------------------------------------------

    def state(self) -> State:
        """The loop's newest state."""
        sample = self.attached.readers["session/state"].latest()
        return State.IDLE if sample is None else State(int(sample.array("state")))

    def _loop_sees_enable(self) -> bool:
        sample = self.attached.readers["session/state"].latest()
        return sample is not None and bool(sample.array("enable"))

    def reason(self) -> str:
        """The loop's newest event, for error messages."""
        sample = self.attached.readers["loop/events"].latest()
        return "no event" if sample is None else events.from_sample(sample).text

    def recorder(self) -> RecorderState:
        """The recorder's newest report."""
        sample = self.attached.readers["recorder/state"].latest()
        return RecorderState() if sample is None else RecorderState.from_sample(sample)

    def holds(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Look every 5 ms until a condition holds; False after ``limit_s``."""
        pause, deadline = threading.Event(), self.clock.now() + int(limit_s * 1e9)
        while not condition():
            if self.clock.now() > deadline:
                return False
            pause.wait(0.005)
        return True

    def wait(self, condition: Callable[[], bool], limit_s: float, what: str) -> None:
        """:meth:`holds`, or :raises DeviceError: it does not in time."""
        if not self.holds(condition, limit_s):
            raise DeviceError(f"{what}: not within {limit_s:.0f} s ({self.reason()}; {self.last_words()})")

    def pass_time(self, seconds: float) -> None:
        """Let so much time go by."""
        self.clock.sleep_until(self.clock.now() + int(seconds * 1e9))


def is_alive(pid: int) -> bool:
    """Whether any thread of a process runs (a process that only waits to be reaped has none)."""
    try:
        stats = [p.read_text() for p in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        return False
    return any(stat.rsplit(")", 1)[1].split()[0] not in "ZX" for stat in stats)
