"""A G1's readings as samples of its two streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from telerig.drivers.unitree_g1.motors import BODY
from telerig.drivers.unitree_g1.state import TICK_NS, LowState, N
from telerig.hardware.commands import TargetSpec
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.hardware.wire.unitree_hg import REMOTE_BYTES

SIGMA_NS = 1_000_000  # the robot's clock ticks in milliseconds, and the way here takes less


class Motors(NamedTuple):
    """All motors of body and hands, ``(n,)`` each: rad, rad/s, N m.  NaN for a hand that is silent."""

    position: NDArray[np.float64]
    velocity: NDArray[np.float64]
    effort: NDArray[np.float64]


class Reading(NamedTuple):
    """One state of the body with the newest of the hands."""

    state: LowState
    motors: Motors


class Sampler:
    """:param joints: every motor's joint, in the order of :class:`Motors`."""

    def __init__(self, device: str, target: TargetSpec, joints: Sequence[str], rate_hz: float) -> None:
        self._which = np.array([joints.index(j) for j in target.names], np.intp)
        n, names = target.size, target.names
        state = (
            ArraySpec("position", (n,), "<f8", "rad", names, low=target.low, high=target.high),
            ArraySpec("velocity", (n,), "<f8", "rad/s", names),
            ArraySpec("effort", (n,), "<f8", "N*m", names),
        )
        xyz = ("x", "y", "z")
        low = (
            ArraySpec("position", (N,), "<f4", "rad", BODY),
            ArraySpec("velocity", (N,), "<f4", "rad/s", BODY),
            ArraySpec("effort", (N,), "<f4", "N*m", BODY),
            ArraySpec("temperature", (N, 2), "<i2", "degC", BODY),  # winding's and casing's, as the robot gives them
            ArraySpec("fault", (N,), "<u4", "", BODY),  # bits; 0: none
            ArraySpec("attitude", (4,), "<f4", "1", ("qw", "qx", "qy", "qz"), "world"),
            ArraySpec("angular_velocity", (3,), "<f4", "rad/s", xyz, "pelvis"),
            ArraySpec("acceleration", (3,), "<f4", "m/s^2", xyz, "pelvis"),
            ArraySpec("remote", (REMOTE_BYTES,), "<u1"),
        )
        self.streams = (StreamSpec(f"{device}/state", state, rate_hz), StreamSpec(f"{device}/lowstate", low, rate_hz))

    def samples(self, reading: Reading) -> list[Sample]:
        """One of each stream.  ``t_device`` is the robot's own count of milliseconds."""
        state, motors = reading.state, reading.motors
        arrived, t_device = state.arrived, state.tick * TICK_NS
        data = {
            "position": motors.position[self._which],
            "velocity": motors.velocity[self._which],
            "effort": motors.effort[self._which],
        }
        valid = np.tile(np.isfinite(data["position"]), 3)
        record, body, imu = state.record, state.motors, state.record["imu"]
        low = {
            "position": body["q"], "velocity": body["dq"], "effort": body["tau_est"],
            "temperature": body["temperature"], "fault": body["motorstate"], "attitude": imu["quaternion"],
            "angular_velocity": imu["gyroscope"], "acceleration": imu["accelerometer"],
            "remote": record["wireless_remote"],
        }  # fmt: skip
        names = [s.name for s in self.streams]
        return [
            Sample(names[0], arrived, arrived, data, SIGMA_NS, t_device, state.tick, valid),
            Sample(names[1], arrived, arrived, low, SIGMA_NS, t_device, state.tick),
        ]
