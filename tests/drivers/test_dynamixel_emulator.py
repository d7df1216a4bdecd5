"""The emulated chain: instructions, the firmware's rules, wire time, the motor, faults and the journal.  No SDK here."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerig.drivers.dynamixel_emulator import DynamixelChain
from telerig.drivers.dynamixel_servo import Servo, follow
from telerig.hardware.errors import ConfigError
from telerig.hardware.wire import dynamixel as wire
from telerig.hardware.wire import dynamixel_table as table
from telerig.hardware.wire.dynamixel import ALERT, BROADCAST, Error, Instruction, Packet
from telerig.hardware.wire.dynamixel_table import OperatingMode, Register

MODEL = table.MODEL_NAMES["XM430-W350"]
MS = 1_000_000


def chain(n: int = 3, **how: object) -> DynamixelChain:
    return DynamixelChain((Servo(i, MODEL) for i in range(1, n + 1)), 1_000_000, **how)  # type: ignore[arg-type]


def ask(bus: DynamixelChain, now: int, ident: int, instruction: int, params: bytes = b"") -> list[Packet]:
    parser = wire.Parser()
    packets = parser.feed(bus.step(now, wire.build(ident, instruction, params)))
    assert (parser.skipped, parser.crc_errors) == (0, 0)
    return packets


def words(*values: int) -> bytes:
    return b"".join(v.to_bytes(2, "little") for v in values)


def read(bus: DynamixelChain, now: int, ident: int, register: Register) -> int:
    (reply,) = ask(bus, now, ident, Instruction.READ, words(register.address, register.size))
    assert reply.error & ~ALERT == 0
    return register.decode(reply.data)


def write(bus: DynamixelChain, now: int, ident: int, register: Register, value: int) -> int:
    (reply,) = ask(bus, now, ident, Instruction.WRITE, words(register.address) + register.encode(value))
    return reply.error


def test_ping_one_and_all() -> None:
    bus = chain()
    (reply,) = ask(bus, 0, 2, Instruction.PING)
    assert (reply.id, reply.error, reply.data) == (2, 0, words(1020) + b"\x30")
    assert [p.id for p in ask(bus, 0, BROADCAST, Instruction.PING)] == [1, 2, 3]
    assert ask(bus, 0, 9, Instruction.PING) == []


def test_write_is_read_back_and_waits_for_action() -> None:
    bus = chain()
    assert write(bus, 0, 1, table.PROFILE_VELOCITY, 77) == 0
    assert read(bus, 0, 1, table.PROFILE_VELOCITY) == 77
    (reply,) = ask(bus, 0, 2, Instruction.REG_WRITE, words(65) + b"\x01")
    assert reply.error == 0
    assert (read(bus, 0, 2, table.LED), read(bus, 0, 2, table.REGISTERED)) == (0, 1)
    assert ask(bus, 0, BROADCAST, Instruction.ACTION) == []
    assert (read(bus, 0, 2, table.LED), read(bus, 0, 2, table.REGISTERED)) == (1, 0)


def test_sync_and_bulk_write_are_carried_out_and_not_answered() -> None:
    bus = chain()
    params = words(table.LED.address, 1) + bytes((1, 1, 3, 1))
    assert ask(bus, 0, BROADCAST, Instruction.SYNC_WRITE, params) == []
    assert [read(bus, 0, i, table.LED) for i in (1, 2, 3)] == [1, 0, 1]
    params = b"\x01" + words(65, 1) + b"\0" + b"\x02" + words(112, 4) + (99).to_bytes(4, "little")
    assert ask(bus, 0, BROADCAST, Instruction.BULK_WRITE, params) == []
    assert (read(bus, 0, 1, table.LED), read(bus, 0, 2, table.PROFILE_VELOCITY)) == (0, 99)


def test_group_reads_answer_in_the_order_asked() -> None:
    bus = chain()
    for ident, goal in ((1, 0.1), (2, -0.2), (3, -4.0)):
        bus.servos[ident].angle = goal
    replies = ask(bus, 0, BROADCAST, Instruction.SYNC_READ, words(132, 4) + bytes((3, 1, 2)))
    ticks = [table.PRESENT_POSITION.decode(p.data) for p in replies]
    assert [p.id for p in replies] == [3, 1, 2]
    assert ticks == [2048 + round(a * 4096 / 2 / math.pi) for a in (-4.0, 0.1, -0.2)]
    assert ticks[0] < 0  # beyond the first turn: a negative register
    bulk = b"".join(bytes((i,)) + words(a, n) for i, a, n in ((2, 132, 4), (1, 0, 2)))
    assert [(p.id, len(p.data)) for p in ask(bus, 0, BROADCAST, Instruction.BULK_READ, bulk)] == [(2, 4), (1, 2)]


def test_fast_reads_come_as_one_packet() -> None:
    bus = chain()
    (packet,) = ask(bus, 0, BROADCAST, Instruction.FAST_SYNC_READ, words(0, 2) + bytes((1, 2, 3)))
    assert wire.split_fast(packet.params, {1: 2, 2: 2, 3: 2}) == dict.fromkeys((1, 2, 3), (0, words(1020)))
    bulk = b"\x01" + words(0, 2) + b"\x03" + words(7, 1)
    (packet,) = ask(bus, 0, BROADCAST, Instruction.FAST_BULK_READ, bulk)
    assert wire.split_fast(packet.params, {1: 2, 3: 1}) == {1: (0, words(1020)), 3: (0, b"\x03")}
    bus.fault("silent", servo=2)
    assert ask_raw(bus, Instruction.FAST_SYNC_READ, words(0, 2) + bytes((1, 2, 3)))[-1:] != b""  # begins, never ends
    parser = wire.Parser()
    assert parser.feed(ask_raw(bus, Instruction.FAST_SYNC_READ, words(0, 2) + bytes((1, 2, 3)))) == []


def ask_raw(bus: DynamixelChain, instruction: int, params: bytes, now: int = 0) -> bytes:
    return bus.step(now, wire.build(BROADCAST, instruction, params))


@pytest.mark.parametrize(
    ("instruction", "params", "error"),
    [
        (Instruction.READ, words(250, 20), Error.DATA_RANGE),
        (Instruction.READ, words(132), Error.DATA_LENGTH),
        (Instruction.WRITE, words(132) + bytes(4), Error.ACCESS),
        (Instruction.WRITE, words(0) + words(5), Error.ACCESS),
        (Instruction.WRITE, words(64) + b"\x07", Error.DATA_RANGE),
        (Instruction.WRITE, words(116) + bytes(2), Error.DATA_LENGTH),
        (Instruction.WRITE, words(116) + (5000).to_bytes(4, "little"), Error.DATA_LIMIT),
        (Instruction.CLEAR, b"\x01DXL\x22", Error.INSTRUCTION),
        (0x77, b"", Error.INSTRUCTION),
    ],
)
def test_refusals(instruction: int, params: bytes, error: int) -> None:
    bus = chain()
    (reply,) = ask(bus, 0, 1, instruction, params)
    assert (reply.error, reply.data) == (error, b"")
    assert read(bus, 0, 1, table.GOAL_POSITION) == 2048


def test_eeprom_is_locked_while_torque_is_on() -> None:
    bus = chain()
    assert write(bus, 0, 1, table.RETURN_DELAY, 0) == 0
    write(bus, 0, 1, table.TORQUE_ENABLE, 1)
    assert write(bus, 0, 1, table.RETURN_DELAY, 5) == Error.ACCESS
    assert read(bus, 0, 1, table.RETURN_DELAY) == 0


def test_status_return_level() -> None:
    bus = chain()
    ask(bus, 0, 1, Instruction.WRITE, words(68) + b"\x01")
    assert ask(bus, 0, 1, Instruction.WRITE, words(65) + b"\x01") == []
    assert read(bus, 0, 1, table.LED) == 1


def test_alert_bit_shutdown_and_reboot() -> None:
    bus = chain()
    write(bus, 0, 2, table.TORQUE_ENABLE, 1)
    bus.fault("alert", servo=2, code=0x20)
    replies = ask(bus, 0, BROADCAST, Instruction.SYNC_READ, words(132, 4) + bytes((1, 2)))
    assert [p.error for p in replies] == [0, ALERT]
    assert read(bus, 0, 2, table.HARDWARE_ERROR) == 0x20
    assert read(bus, 0, 2, table.TORQUE_ENABLE) == 0
    assert write(bus, 0, 2, table.TORQUE_ENABLE, 1) == Error.RESULT_FAIL | ALERT
    ask(bus, 0, 2, Instruction.REBOOT)
    assert write(bus, 0, 2, table.TORQUE_ENABLE, 1) == 0


def test_bus_watchdog_stops_and_locks_the_goals() -> None:
    bus = chain(1)
    servo = bus.servos[1]
    write(bus, 0, 1, table.PROFILE_VELOCITY, 20)
    write(bus, 0, 1, table.TORQUE_ENABLE, 1)
    write(bus, 0, 1, table.BUS_WATCHDOG, 5)
    write(bus, 0, 1, table.GOAL_POSITION, 4000)
    bus.step(90 * MS, b"")
    assert servo.velocity > 0.4  # still in time
    bus.step(300 * MS, b"")
    speed = 20 * table.RAD_S_PER_UNIT
    assert servo.angle == pytest.approx(speed * 0.1, rel=0.01)  # it moved for 100 ms, to the ns
    assert abs(servo.velocity) < 1e-3
    assert read(bus, 300 * MS, 1, table.BUS_WATCHDOG) == table.WATCHDOG_TRIPPED
    assert write(bus, 300 * MS, 1, table.GOAL_POSITION, 3000) == Error.DATA_RANGE
    assert write(bus, 300 * MS, 1, table.BUS_WATCHDOG, 0) == 0
    assert write(bus, 300 * MS, 1, table.GOAL_POSITION, 3000) == 0
    bus.step(10_000 * MS, b"")
    assert servo.angle == pytest.approx(table.to_angle(3000), abs=1e-3)


def test_any_word_on_the_bus_feeds_the_watchdog() -> None:
    bus = chain(1)
    write(bus, 0, 1, table.TORQUE_ENABLE, 1)
    write(bus, 0, 1, table.BUS_WATCHDOG, 1)
    for now in range(0, 200, 10):
        ask(bus, now * MS, BROADCAST, Instruction.SYNC_READ, words(132, 4) + b"\x01")
    assert read(bus, 200 * MS, 1, table.BUS_WATCHDOG) == 1


@given(st.floats(-2, 2), st.floats(0.1, 6), st.lists(st.floats(1e-4, 0.2), min_size=1, max_size=20))
def test_the_motor_does_not_depend_on_the_steps(gap: float, speed: float, steps: list[float]) -> None:
    once, velocity = follow(gap, speed, 0.05, sum(steps))
    many = gap
    for dt in steps:
        many, _ = follow(many, speed, 0.05, dt)
    assert many == pytest.approx(once, abs=1e-9)
    assert abs(velocity) <= speed + 1e-12
    assert abs(once) <= abs(gap) + 1e-12
    assert once * gap >= 0  # never overshoots


def test_velocity_mode_and_hand() -> None:
    bus = chain(1)
    write(bus, 0, 1, table.OPERATING_MODE, OperatingMode.VELOCITY)
    write(bus, 0, 1, table.TORQUE_ENABLE, 1)
    write(bus, 0, 1, table.GOAL_VELOCITY, -10)
    bus.step(1000 * MS, b"")
    assert bus.servos[1].angle == pytest.approx(-10 * table.RAD_S_PER_UNIT)
    write(bus, 1000 * MS, 1, table.TORQUE_ENABLE, 0)
    for k in range(40):
        bus.servos[1].move_hand(0.01 * k)
        bus.step((1005 + 5 * k) * MS, b"")
    assert bus.servos[1].angle == 0.39
    assert bus.servos[1].velocity == pytest.approx(2.0, rel=0.05)
    bus.step(1400 * MS, b"")
    assert bus.servos[1].velocity == 0  # a hand that stopped moving


def test_wire_time() -> None:
    """At 1 Mbit/s a byte takes 10 µs; each servo waits its return delay before it answers."""
    bus = chain(2, wire_time=True)
    request = wire.build(BROADCAST, Instruction.SYNC_READ, words(132, 4) + b"\x01\x02")
    assert bus.step(0, request) == b""
    first = len(request) * 10_000 + 500_000 + 15 * 10_000  # ns
    assert bus.next_due(0) == first
    assert bus.step(first - 1, b"") == b""
    assert len(bus.step(first, b"")) == 15
    assert bus.next_due(first) == first + 500_000 + 150_000
    assert len(bus.step(first + 650_000, b"")) == 15
    assert bus.next_due(first + 650_000) is None


def test_behind_a_silent_servo_nobody_answers() -> None:
    bus = chain(4)
    bus.fault("silent", servo=2)
    assert [p.id for p in ask(bus, 0, BROADCAST, Instruction.SYNC_READ, words(132, 4) + bytes((1, 2, 3, 4)))] == [1]
    assert ask(bus, 0, 2, Instruction.PING) == []
    bus.fault("silent", servo=2, on=0)
    assert len(ask(bus, 0, BROADCAST, Instruction.SYNC_READ, words(132, 4) + bytes((1, 2, 3, 4)))) == 4


def test_a_mute_servo_does_what_it_is_told() -> None:
    bus = chain(2)
    bus.fault("mute", servo=1)
    assert ask(bus, 0, 1, Instruction.PING) == []
    assert ask(bus, 0, BROADCAST, Instruction.SYNC_READ, words(132, 4) + bytes((1, 2))) == []
    assert (
        ask(bus, 0, 1, Instruction.WRITE, words(table.PROFILE_VELOCITY.address) + table.PROFILE_VELOCITY.encode(7))
        == []
    )
    assert bus.servos[1].get(table.PROFILE_VELOCITY) == 7
    bus.fault("clear")
    assert len(ask(bus, 0, 1, Instruction.PING)) == 1


def test_spoiled_replies() -> None:
    bus = chain(1)
    bus.fault("corrupt_crc", servo=1, times=1)
    parser = wire.Parser()
    assert parser.feed(bus.step(0, wire.build(1, Instruction.PING))) == []
    assert parser.crc_errors == 1
    bus.fault("garbage", servo=1, count=9, times=1)
    parser = wire.Parser()
    assert len(parser.feed(bus.step(0, wire.build(1, Instruction.PING)))) == 1
    assert parser.skipped == 9
    bus.fault("status_error", servo=1, code=Error.DATA_RANGE, times=1)
    assert [p.error for p in ask(bus, 0, 1, Instruction.PING)] == [Error.DATA_RANGE]
    assert [p.error for p in ask(bus, 0, 1, Instruction.PING)] == [0]


def test_freeze_firmware_power_and_clear() -> None:
    bus = chain(1)
    servo = bus.servos[1]
    bus.fault("freeze")
    servo.angle = 1.0
    assert read(bus, 0, 1, table.PRESENT_POSITION) == 2048
    bus.fault("wrong_firmware", version=9)
    assert read(bus, 0, 1, table.FIRMWARE_VERSION) == 9
    bus.fault("clear")
    assert read(bus, 0, 1, table.PRESENT_POSITION) == 2048 + 652
    write(bus, 0, 1, table.TORQUE_ENABLE, 1)
    write(bus, 0, 1, table.PROFILE_VELOCITY, 7)
    bus.fault("power_cycle")
    assert (servo.torque, read(bus, 0, 1, table.PROFILE_VELOCITY)) == (False, 0)
    bus.fault("freeze", seconds=0.5)
    servo.angle = 0.0
    assert [read(bus, t * MS, 1, table.PRESENT_POSITION) for t in (0, 499, 500)] == [2048 + 652, 2048 + 652, 2048]
    with pytest.raises(ConfigError, match="fault 'explode' is unknown here; known: silent, freeze"):
        bus.fault("explode")
    with pytest.raises(ConfigError, match="no servo 9"):
        bus.fault("silent", servo=9)


def test_damaged_requests_are_not_obeyed_and_stale_halves_forgotten() -> None:
    bus = chain(1)
    raw = bytearray(wire.build(1, Instruction.WRITE, words(65) + b"\x01"))
    raw[-3] ^= 1
    assert bus.step(0, bytes(raw)) == b""
    assert bus.servos[1].get(table.LED) == 0
    bus.step(1, wire.build(1, Instruction.PING)[:8])
    bus.step(200 * MS, b"")
    assert len(ask(bus, 201 * MS, 1, Instruction.PING)) == 1


def test_journal_counts_group_reads_of_state_only() -> None:
    bus = chain(2)
    journal: list[tuple[int, int]] = []
    bus.journal = lambda t, seq: journal.append((t, seq))
    ask(bus, 5, BROADCAST, Instruction.SYNC_READ, words(128, 8) + b"\x01\x02")
    ask(bus, 6, BROADCAST, Instruction.SYNC_READ, words(132, 4) + b"\x01\x02")
    ask(bus, 7, 1, Instruction.READ, words(128, 8))
    bus.fault("silent", servo=1)
    ask(bus, 8, BROADCAST, Instruction.SYNC_READ, words(128, 8) + b"\x01\x02")
    ask(bus, 9, BROADCAST, Instruction.SYNC_READ, words(126, 10) + b"\x02")
    assert journal == [(5, 0), (9, 1)]
