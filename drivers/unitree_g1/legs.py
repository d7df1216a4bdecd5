"""The legs of a G1 that stands: what a body policy sends them, laid over what the commander has for all motors.  Sans-IO."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.unitree_g1.commander import Commander, Drive
from telerig.hardware.legs import LegCommand, LegMode

Array = NDArray[np.float64]
RIGID_KP, RIGID_KD = 200.0, 5.0  # of joints that are to be as good as locked (waist roll and pitch)
RIGID_RATE = 0.3  # rad/s with which they are brought home
_RIGID_STEP_NS = 20_000_000  # at most so much of it at once


class LegDrive:
    """Arms hold and damp without the legs, and the other way round; what the robot itself does (silence, its stop
    button) is about both.

    A target that is not renewed stands, as the last one of a supervisor that comes late; after ``damp_ns`` the legs damp.

    :param which: the legs among all motors ``(m,)``;  :param rigid: joints kept at ``home`` (k,) rad while the legs follow.
    :ivar mode: what the legs do.
    """

    def __init__(self, which: NDArray[np.intp], rigid: NDArray[np.intp], home: Array, damp_ns: int) -> None:
        self._which, self._rigid, self._home, self._damp_ns = which, rigid, home, damp_ns
        self.mode = LegMode.OFF
        self._command: LegCommand | None = None
        self._stay = home
        self._renewed = self._ticked = 0

    def follow(self, now: int, command: LegCommand, measured: Array) -> None:
        """A new target; ``measured`` (n,) rad of all motors, from where rigid joints are brought home."""
        if self.mode is not LegMode.FOLLOW:
            self._stay, self._ticked = measured[self._rigid], now
        self.mode, self._command, self._renewed = LegMode.FOLLOW, command, now

    def damp(self) -> None:
        """Let go, damped."""
        self.mode, self._command = LegMode.DAMP, None

    def off(self) -> None:
        """Nothing of its own any more."""
        self.mode, self._command = LegMode.OFF, None

    def tick(self, now: int, drive: Drive | None, commander: Commander) -> tuple[Drive | None, str]:
        """What all motors are told, and what has happened; see :meth:`Commander.tick`."""
        news = ""
        if self.mode is LegMode.FOLLOW:
            if commander.lost(now):
                news = "nothing heard of the robot: legs damped"
            elif now - self._renewed > self._damp_ns:
                news = f"no target for the legs for {round(self._damp_ns / 1e6)} ms: damped"
            if news:
                self.damp()
        if self.mode is LegMode.OFF:
            return drive, news
        base = commander.damped() if drive is None else drive
        return (base if self._command is None else self._laid_over(now, base, self._command)), news

    def _laid_over(self, now: int, base: Drive, command: LegCommand) -> Drive:
        most = RIGID_RATE * min(now - self._ticked, _RIGID_STEP_NS) / 1e9
        self._stay = self._stay + np.clip(self._home - self._stay, -most, most)
        self._ticked = now
        q, tau, kp, kd = (np.array(v) for v in base[:4])
        q[self._which], kp[self._which], kd[self._which] = command.position, command.kp, command.kd
        q[self._rigid], kp[self._rigid], kd[self._rigid] = self._stay, RIGID_KP, RIGID_KD
        tau[self._which] = tau[self._rigid] = 0.0
        return Drive(q, tau, kp, kd, base.enabled)
