"""Unitree's messages: the CRC against long division, the CDR bytes against Cyclone's own serializer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.wire import unitree_cdr as cdr
from telerig.hardware.wire import unitree_hg as hg
from telerig.hardware.wire.unitree_cdr import HandState, WireError

SEEDS = st.integers(0, 2**32 - 1)
PADDING = {"pad"}


def filled(layout: np.dtype[Any], seed: int, shape: tuple[int, ...] = ()) -> np.ndarray[Any, Any]:
    """A message in which every field but padding is random; floats are finite, so that they can be compared."""
    random = np.random.default_rng(seed)
    made = np.zeros(shape, layout)
    for name in layout.names or ():
        if name in PADDING:
            continue
        field, value = layout[name], made[name]
        if field.base.names:
            made[name] = filled(field.base, int(random.integers(2**32)), value.shape)
        elif field.base.kind == "f":
            made[name] = random.normal(size=value.shape) * 10.0
        else:
            top = np.iinfo(field.base)
            made[name] = random.integers(top.min, top.max, value.shape, field.base, endpoint=True)
    return made


def long_division(message: np.ndarray[Any, Any]) -> int:
    """CRC-32/MPEG-2 as its definition: the remainder of a polynomial over GF(2), first word at the top."""
    words = np.frombuffer(message.tobytes(), "<u4")[:-1]
    bits = 32 * len(words)
    value = 0
    for word in words:
        value = value << 32 | int(word)
    value = (value << 32) ^ (0xFFFFFFFF << bits)
    for at in range(bits + 31, 31, -1):
        if value >> at & 1:
            value ^= 0x104C11DB7 << (at - 32)
    return value


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_crc_is_the_remainder_of_the_published_polynomial(seed: int) -> None:
    for layout in (hg.LOW_CMD, hg.LOW_STATE):
        message = filled(layout, seed)
        assert hg.crc(message) == long_division(message)
        assert hg.sealed(hg.seal(message))


def test_sizes_are_the_published_ones() -> None:
    """1004 and 2092 bytes: Unitree's format strings ``<2B2x`` + 35 x ``B3x5fI`` + ``5I`` and so on."""
    assert (hg.LOW_CMD.itemsize, hg.LOW_STATE.itemsize) == (1004, 2092)
    assert hg.LOW_CMD.fields is not None
    assert hg.LOW_STATE.fields is not None
    assert [hg.LOW_CMD.fields[k][1] for k in ("mode_machine", "motor", "reserve", "crc")] == [1, 4, 984, 1000]
    assert [hg.LOW_STATE.fields[k][1] for k in ("tick", "imu", "motor", "wireless_remote", "crc")] == [
        12, 16, 72, 2032, 2088,
    ]  # fmt: skip


@settings(deadline=None)
@given(SEEDS, st.integers(0, 1003), st.integers(0, 7))
def test_every_flipped_bit_is_seen(seed: int, at: int, bit: int) -> None:
    raw = bytearray(hg.seal(filled(hg.LOW_CMD, seed % 5)).tobytes())
    raw[at] ^= 1 << bit
    assert not hg.sealed(np.frombuffer(bytes(raw), hg.LOW_CMD)[0])


@given(SEEDS)
def test_messages_survive_the_wire(seed: int) -> None:
    cmd, state = filled(hg.LOW_CMD, seed), filled(hg.LOW_STATE, seed)
    assert cdr.decode_low_cmd(cdr.encode_low_cmd(cmd)).tobytes() == cmd.tobytes()
    assert cdr.decode_low_state(cdr.encode_low_state(state)).tobytes() == state.tobytes()
    motors = filled(hg.MOTOR_CMD, seed, (7,))
    assert cdr.decode_hand_cmd(cdr.encode_hand_cmd(motors)).tobytes() == motors.tobytes()
    hand = HandState(filled(hg.MOTOR_STATE, seed, (7,)), filled(hg.PRESSURE, seed, (9,)), filled(hg.HAND_TAIL, seed))
    back = cdr.decode_hand_state(cdr.encode_hand_state(hand))
    for a, b in ((back.motors, hand.motors), (back.pressure, hand.pressure), (back.tail, hand.tail)):
        assert a.tobytes() == b.tobytes()


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda d: cdr.HEADER + d))
def test_no_bytes_crash_a_decoder(data: bytes) -> None:
    for decode in (cdr.decode_low_cmd, cdr.decode_low_state, cdr.decode_hand_cmd, cdr.decode_hand_state):
        try:
            decode(data)
        except WireError as error:
            assert str(error)  # noqa: PT017


def test_another_encoding_is_told() -> None:
    data = bytearray(cdr.encode_low_cmd(hg.new(hg.LOW_CMD)))
    data[1] = 7  # XCDR version 2
    with pytest.raises(WireError, match="LowCmd: encoding 00070000, expected 00010000"):
        cdr.decode_low_cmd(bytes(data))
    with pytest.raises(WireError, match="LowState: 1004 bytes, expected 2092"):
        cdr.decode_low_state(cdr.encode_low_cmd(hg.new(hg.LOW_CMD)))


@given(st.integers(0, 6), st.booleans(), st.booleans())
def test_hand_mode_has_its_parts(motor: int, enabled: bool, timeout: bool) -> None:
    assert hg.hand_mode_parts(hg.hand_mode(motor, enabled, timeout)) == (motor, int(enabled), timeout)


# --- against Cyclone -----------------------------------------------------------------------------------------------


def plain(record: np.ndarray[Any, Any], kind: Any) -> Any:
    """A record as an instance of Cyclone's type, field by field, by name."""
    import dataclasses
    import typing

    from telerig.drivers.unitree_g1 import idl

    names = {"imu_state": "imu", "motor_state": "motor", "motor_cmd": "motor"}
    inner = {"imu_state": idl.IMUState_, "motor_state": idl.MotorState_, "motor_cmd": idl.MotorCmd_}
    values = {}
    for f in dataclasses.fields(kind):
        value = record[names.get(f.name, f.name) if names.get(f.name, f.name) in record.dtype.names else f.name]
        if f.name in inner:
            made = [plain(v, inner[f.name]) for v in np.atleast_1d(value)]
            values[f.name] = made if value.shape else made[0]
        else:
            values[f.name] = value.tolist()
    return typing.cast(Any, kind(**values))


@pytest.mark.parametrize("seed", [0, 1])
def test_bytes_are_cyclone_s_own(seed: int) -> None:
    pytest.importorskip("cyclonedds", reason="cyclonedds is not installed")
    from telerig.drivers.unitree_g1 import idl

    cmd, state = filled(hg.LOW_CMD, seed), filled(hg.LOW_STATE, seed)
    assert plain(cmd, idl.LowCmd_).serialize(use_version_2=False) == cdr.encode_low_cmd(cmd)
    assert plain(state, idl.LowState_).serialize(use_version_2=False) == cdr.encode_low_state(state)
    motors = filled(hg.MOTOR_CMD, seed, (7,))
    hand = idl.HandCmd_([plain(m, idl.MotorCmd_) for m in motors], [0] * 4)
    assert hand.serialize(use_version_2=False) == cdr.encode_hand_cmd(motors)


@pytest.mark.parametrize("touch", [0, 9])
def test_a_hand_s_bytes_are_cyclone_s_own(touch: int) -> None:
    pytest.importorskip("cyclonedds", reason="cyclonedds is not installed")
    from telerig.drivers.unitree_g1 import idl

    motors, pressure = filled(hg.MOTOR_STATE, 3, (7,)), filled(hg.PRESSURE, 4, (touch,))
    tail = filled(hg.HAND_TAIL, 5)
    rest = [tail[k].tolist() for k in ("power_v", "power_a", "system_v", "device_v", "error", "reserve")]
    theirs = idl.HandState_(
        [plain(m, idl.MotorState_) for m in motors], [plain(p, idl.PressSensorState_) for p in pressure],
        plain(tail["imu"], idl.IMUState_), *rest,
    )  # fmt: skip
    assert theirs.serialize(use_version_2=False) == cdr.encode_hand_state(HandState(motors, pressure, tail))


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("LowCmd_", "ef636a54656de1d49ca65377b07c"),
        ("LowState_", "860cfa7cbdcd87fbdb066de53c1d"),
        ("HandCmd_", "3c1de971e83cba8855eae664e830"),
        ("HandState_", "93cae2bdaae0f784c8a884167099"),
    ],
)
def test_others_know_the_types_by_name_and_by_their_layout_s_hash(name: str, identifier: str) -> None:
    """XTypes' identifier covers the names, types and order of a type's fields, and of the types within it."""
    pytest.importorskip("cyclonedds", reason="cyclonedds is not installed")
    from telerig.drivers.unitree_g1 import idl

    told = getattr(idl, name).__idl__
    assert told.idl_transformed_typename == f"unitree_hg::msg::dds_::{name}"
    assert told.get_type_id().value.hex() == identifier
