"""When a camera's frames are due: absolute deadlines; late ones are left out and counted, never made up for."""

from __future__ import annotations

from telerig.hardware.protocols import Clock


class FrameClock:
    """Deadlines of a camera, numbered by time: a frame that was left out is missing from the numbers."""

    def __init__(self, clock: Clock, fps: float) -> None:
        self._clock, self._period = clock, 1e9 / fps
        self._t0: int | None = None
        self._next = 0
        self._before = 0  # frames due before the last restart

    @property
    def due(self) -> int:
        """How many frames have been due so far."""
        return self._before + self._next

    def restart(self) -> None:
        """The next frame is due at once; numbers go on."""
        self._before, self._next, self._t0 = self.due, 0, None

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the next deadline, at most ``timeout_s``; its frame's number, None if it was not reached."""
        now = self._clock.now()
        if self._t0 is None:
            self._t0 = now
        deadline = self._t0 + round(self._next * self._period)
        if deadline > now:
            self._clock.sleep_until(min(deadline, now + round(timeout_s * 1e9)))
            now = self._clock.now()
            if now < deadline:
                return None
        self._next = max(self._next, int((now - self._t0) / self._period)) + 1
        return self.due - 1
