"""The types of Unitree's topics, for Cyclone: names, fields and order of the published IDL module ``unitree_hg.msg.dds_``.

Needs the extra ``g1``; imported by :mod:`telerig.drivers.unitree_g1.dds` when a bus is opened.  The names in quotation
marks are those that other participants compare.
"""

# mypy: disable-error-code="misc, call-arg"
# (Cyclone's classes are not looked at by the type checker)

from dataclasses import dataclass

from cyclonedds.idl import IdlStruct
from cyclonedds.idl.annotations import autoid, final
from cyclonedds.idl.types import array, float32, int16, sequence, uint8, uint32

_MODULE = "unitree_hg.msg.dds_."


@dataclass
@final
@autoid("sequential")
class MotorCmd_(IdlStruct, typename=f"{_MODULE}MotorCmd_"):
    """One motor's command."""

    mode: uint8
    q: float32
    dq: float32
    tau: float32
    kp: float32
    kd: float32
    reserve: uint32


@dataclass
@final
@autoid("sequential")
class MotorState_(IdlStruct, typename=f"{_MODULE}MotorState_"):
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


@dataclass
@final
@autoid("sequential")
class IMUState_(IdlStruct, typename=f"{_MODULE}IMUState_"):
    """An inertial unit."""

    quaternion: array[float32, 4]
    gyroscope: array[float32, 3]
    accelerometer: array[float32, 3]
    rpy: array[float32, 3]
    temperature: int16


@dataclass
@final
@autoid("sequential")
class PressSensorState_(IdlStruct, typename=f"{_MODULE}PressSensorState_"):
    """One touch sensor of a hand."""

    pressure: array[float32, 12]
    temperature: array[float32, 12]


@dataclass
@final
@autoid("sequential")
class LowCmd_(IdlStruct, typename=f"{_MODULE}LowCmd_"):
    """Commands of all body motors."""

    mode_pr: uint8
    mode_machine: uint8
    motor_cmd: array[MotorCmd_, 35]
    reserve: array[uint32, 4]
    crc: uint32


@dataclass
@final
@autoid("sequential")
class LowState_(IdlStruct, typename=f"{_MODULE}LowState_"):
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


@dataclass
@final
@autoid("sequential")
class HandCmd_(IdlStruct, typename=f"{_MODULE}HandCmd_"):
    """Commands of a hand's motors."""

    motor_cmd: sequence[MotorCmd_]
    reserve: array[uint32, 4]


@dataclass
@final
@autoid("sequential")
class HandState_(IdlStruct, typename=f"{_MODULE}HandState_"):
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
