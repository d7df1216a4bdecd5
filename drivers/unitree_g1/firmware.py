"""An emulated G1's low-level side, sans-IO: takes commands, lets go when they stop, says how it is.

What a real robot's motors do when commands stop is not published; this one damps every motor after ``watchdog_ms``, and
follows the next command that is in order.  A hand's motors have a published switch for the same, after a second.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.unitree_g1.motors import BODY, SIDES, gains, hand_joints
from telerig.drivers.unitree_g1.state import BUTTONS, EMULATED, N
from telerig.hardware.wire import unitree_cdr as cdr
from telerig.hardware.wire import unitree_hg as hg
from telerig.hardware.wire.unitree_cdr import HandState, WireError
from telerig.hardware.wire.unitree_hg import PitchRoll

Array = NDArray[np.float64]
HAND_TIMEOUT_NS = 1_000_000_000
AMBIENT, WARMING, COOLING_S = 30.0, 0.02, 120.0  # degC; K/s at the square of 1 N m per N m of rating; time constant
FAULTS = ("silent", "freeze", "corrupt", "deaf", "machine", "none")


class Motion(NamedTuple):
    """What every motor is to do until told otherwise, ``(n,)`` each: torque is tau + kp (q − …) + kd (dq − …)."""

    q: Array
    dq: Array
    tau: Array
    kp: Array
    kd: Array


class Inertial(NamedTuple):
    """Attitude wxyz, angular velocity rad/s and specific force m/s² of the pelvis, in its own axes."""

    attitude: Array
    angular_velocity: Array
    acceleration: Array


class G1Firmware:
    """:param machine: its ``mode_machine``.  :param watchdog_ns: without a command for so long, it damps.

    :param fingers: order of a hand's fingers, by side; :param effort: ``(n,)`` rating of each motor, N m.
    :ivar joints: every motor's joint, body then hands;  ``given``: what their motors were last made to do.
    :ivar taken: commands to the body obeyed;  ``hands``: to the hands;  ``refused``: by reason;  ``trips``: how often it
        let go by itself;  ``fastest``: rad/s, of any motor now.
    """

    def __init__(self, machine: int, watchdog_ns: int, fingers: dict[str, tuple[str, ...]], effort: Array) -> None:
        self.machine, self._watchdog, self._effort = machine, watchdog_ns, effort
        self.joints = BODY + tuple(j for side in SIDES for j in hand_joints(side, fingers.get(side, ())))
        n = len(self.joints)
        self._soft = gains(self.joints, {})[:, 2]
        self._motion = Motion(*(np.zeros(n) for _ in range(5)))
        self.given = self._motion
        self._enabled = np.zeros(n, bool)
        self._guarded = np.zeros(n, bool)  # a hand's motors that time out
        ends = (0, N, N + hg.HAND_MOTORS, n)
        self._parts = {part: slice(ends[k], ends[k + 1]) for k, part in enumerate(("body", *SIDES))}
        self._heard: dict[str, int] = {}
        self._limp: set[str] = set()
        self.taken = self.hands = self.trips = 0
        self.refused: Counter[str] = Counter()
        self.temperature = np.full(n, AMBIENT)
        self._measured = np.zeros((3, n))
        self._t0 = self._t = 0
        self._faults: set[str] = set()
        self._state, self._hand_tail = hg.new(hg.LOW_STATE), hg.new(hg.HAND_TAIL)
        self._state["mode_machine"], self._state["reserve"][0] = machine, EMULATED
        self._sent_tick = 0

    @property
    def damped(self) -> bool:
        """Whether the body lets go now, because nobody has said anything, or not for too long."""
        return "body" not in self._heard or "body" in self._limp

    @property
    def position(self) -> Array:
        """Where every motor is, ``(n,)`` rad."""
        where: Array = self._measured[0]
        return where

    @property
    def fastest(self) -> float:
        """How fast the fastest motor turns, rad/s."""
        return float(np.abs(self._measured[1]).max())

    # --- commands --------------------------------------------------------------------------------------------------

    def low_cmd(self, now: int, data: bytes) -> bool:
        """A message on ``rt/lowcmd``; False where it is refused."""
        if "deaf" in self._faults:
            return False
        try:
            cmd = cdr.decode_low_cmd(data)
        except WireError:
            return self._refuse("bytes")
        if not hg.sealed(cmd):
            return self._refuse("crc")
        if int(cmd["mode_machine"]) != self.machine:
            return self._refuse("machine")
        if int(cmd["mode_pr"]) != PitchRoll.SERIES:
            return self._refuse("mode_pr")
        motors = cmd["motor"][:N]
        if not self._follow(motors, self._parts["body"]):
            return self._refuse("values")
        self._enabled[:N] = motors["mode"] == hg.MotorMode.ENABLE
        self._heard["body"] = now
        self._limp.discard("body")
        self.taken += 1
        return True

    def hand_cmd(self, now: int, side: str, data: bytes) -> bool:
        """A message on a hand's topic; False where it is refused."""
        if "deaf" in self._faults:
            return False
        try:
            motors = cdr.decode_hand_cmd(data)
        except WireError:
            return self._refuse("bytes")
        mine = self._parts[side]
        parts = [hg.hand_mode_parts(int(m)) for m in motors["mode"]]
        if len(motors) != hg.HAND_MOTORS or [p[0] for p in parts] != list(range(hg.HAND_MOTORS)):
            return self._refuse("hand")
        if not self._follow(motors, mine):
            return self._refuse("values")
        self._enabled[mine], self._guarded[mine] = [p[1] == 1 for p in parts], [p[2] for p in parts]
        self._heard[side] = now
        self._limp.discard(side)
        self.hands += 1
        return True

    def _follow(self, motors: NDArray[np.void], part: slice) -> bool:
        rows = [motors[key].astype(np.float64) for key in Motion._fields]
        if not all(np.isfinite(row).all() for row in rows) or (rows[3] < 0).any() or (rows[4] < 0).any():
            return False
        for mine, row in zip(self._motion, rows, strict=True):
            mine[part] = row
        return True

    def _refuse(self, why: str) -> bool:
        self.refused[why] += 1
        return False

    # --- motors ----------------------------------------------------------------------------------------------------

    def motion(self, now: int) -> Motion:
        """What the motors do now; looks at how long ago the last command was.  A motor switched off stays off."""
        soft = np.zeros(len(self.joints), bool)
        for part, mine in self._parts.items():
            heard = self._heard.get(part)
            if heard is None:
                soft[mine] = True
                continue
            limit = self._watchdog if part == "body" else HAND_TIMEOUT_NS
            if now - heard > limit and (part == "body" or self._guarded[mine].any()):
                self._trip(part)
            if part in self._limp:
                soft[mine] = self._enabled[mine]
        m, on = self._motion, self._enabled & ~soft
        kd = np.where(soft, self._soft, np.where(on, m.kd, 0.0))
        self.given = Motion(m.q, np.where(on, m.dq, 0.0), np.where(on, m.tau, 0.0), np.where(on, m.kp, 0.0), kd)
        return self.given

    def _trip(self, part: str) -> None:
        if part not in self._limp:
            self._limp.add(part)
            self.trips += 1

    # --- state -----------------------------------------------------------------------------------------------------

    def measured(self, now: int, q: Array, dq: Array, tau: Array, inertial: Inertial) -> None:
        """What encoders, currents and the inertial unit measure at ``now``."""
        dt = (now - self._t) / 1e9 if self._t else 0.0
        self._t0, self._t = self._t0 or now, now
        self._measured[:] = q, dq, tau
        warming = WARMING * (tau / self._effort) ** 2 * 100.0 - (self.temperature - AMBIENT) / COOLING_S
        self.temperature += dt * warming
        imu = self._state["imu"]
        imu["quaternion"], imu["gyroscope"], imu["accelerometer"] = inertial
        imu["temperature"] = round(AMBIENT)

    def low_state(self) -> bytes | None:
        """The next message on ``rt/lowstate``; None while it is silent."""
        if "silent" in self._faults:
            return None
        state, motors = self._state, self._state["motor"][:N]
        if "freeze" not in self._faults:
            self._sent_tick = (self._t - self._t0) // 1_000_000 + 1
        state["tick"] = self._sent_tick % (1 << 32)
        state["mode_machine"] = self.machine + 1 if "machine" in self._faults else self.machine
        motors["q"], motors["dq"], motors["tau_est"] = self._measured[:, :N]
        motors["mode"] = self._enabled[:N]
        motors["temperature"] = np.round(self.temperature[:N, None])
        motors["vol"] = 48.0
        hg.seal(state)
        if "corrupt" in self._faults:
            state["crc"] ^= 1
        return cdr.encode_low_state(state)

    def hand_state(self, side: str) -> bytes | None:
        """The next message on a hand's topic; None while it is silent."""
        if "silent" in self._faults:
            return None
        mine = self._parts[side]
        motors = np.zeros(hg.HAND_MOTORS, hg.MOTOR_STATE)
        motors["q"], motors["dq"], motors["tau_est"] = self._measured[:, mine]
        motors["mode"] = [hg.hand_mode(i, bool(on)) for i, on in enumerate(self._enabled[mine])]
        motors["temperature"] = np.round(self.temperature[mine, None])
        return cdr.encode_hand_state(HandState(motors, np.zeros(hg.PRESSURE_SENSORS, hg.PRESSURE), self._hand_tail))

    def press(self, *buttons: str) -> None:
        """Hold these buttons of the remote control down, and no others."""
        mask = sum(BUTTONS[b] for b in buttons)
        self._state["wireless_remote"][2:4] = mask & 0xFF, mask >> 8

    def fault(self, kind: str, **how: float) -> None:
        """Misbehave: ``silent`` (says nothing), ``freeze`` (always the same tick), ``corrupt`` (wrong CRC), ``deaf`` (obeys
        nothing), ``machine`` (says that it is another robot); ``none``: well again.

        :raises ValueError: another kind.
        """
        if kind not in FAULTS:
            raise ValueError(f"unitree_g1: unknown fault '{kind}' ({', '.join(FAULTS)})")
        self._faults = set() if kind == "none" else {*self._faults, kind}
