"""The types of Unitree's topics, for Cyclone: names, fields and order of the published IDL module ``unitree_hg.msg.dds_``.

Needs the extra ``g1``; imported by :mod:`telerig.drivers.unitree_g1.dds` when a bus is opened.  A class's name, after the
module's, is what other participants compare.
"""

from typing import Any

from cyclonedds.idl import make_idl_struct
from cyclonedds.idl.annotations import autoid, final
from cyclonedds.idl.types import array, float32, int16, sequence, uint8, uint32

_MODULE = "unitree_hg.msg.dds_"


def _published(form: type) -> Any:
    """The data class of that name in Unitree's module: fields in this order, none may be added (XTypes ``final``)."""
    made = make_idl_struct(form.__name__, f"{_MODULE}.{form.__name__}", form.__annotations__)
    made.__doc__, made.__module__ = form.__doc__, form.__module__
    return autoid("sequential")(final(made))


@_published
class MotorCmd_:
    """One motor's command."""

    mode: uint8
    q: float32
    dq: float32
    tau: float32
    kp: float32
    kd: float32
    reserve: uint32


@_published
class MotorState_:
    """One motor's state."""

    mode: uint8
    q: float32
    dq: float32
    ddq: float32
    tau_est: float32
    temperature: array[int16, 2]
    vol: float32
    sensor: array[uint32, 2]
    motorstate: uint32
    reserve: array[uint32, 4]


@_published
class IMUState_:
    """An inertial unit."""

    quaternion: array[float32, 4]
    gyroscope: array[float32, 3]
    accelerometer: array[float32, 3]
    rpy: array[float32, 3]
    temperature: int16


@_published
class PressSensorState_:
    """One touch sensor of a hand."""

    pressure: array[float32, 12]
    temperature: array[float32, 12]


@_published
class LowCmd_:
    """Commands of all body motors."""

    mode_pr: uint8
    mode_machine: uint8
    motor_cmd: array[MotorCmd_, 35]
    reserve: array[uint32, 4]
    crc: uint32


@_published
class LowState_:
    """States of all body motors, the pelvis' inertial unit, the remote control."""

    version: array[uint32, 2]
    mode_pr: uint8
    mode_machine: uint8
    tick: uint32
    imu_state: IMUState_
    motor_state: array[MotorState_, 35]
    wireless_remote: array[uint8, 40]
    reserve: array[uint32, 4]
    crc: uint32


@_published
class HandCmd_:
    """Commands of a hand's motors."""

    motor_cmd: sequence[MotorCmd_]
    reserve: array[uint32, 4]


@_published
class HandState_:
    """States of a hand's motors, its touch sensors, its supply."""

    motor_state: sequence[MotorState_]
    press_sensor_state: sequence[PressSensorState_]
    imu_state: IMUState_
    power_v: float32
    power_a: float32
    system_v: float32
    device_v: float32
    error: array[uint32, 2]
    reserve: array[uint32, 2]
