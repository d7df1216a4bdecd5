"""Protocol 2.0 packets: what is built is understood, what is damaged is refused, and the vendor's SDK agrees."""

import pytest
from dynamixel_sdk.protocol2_packet_handler import Protocol2PacketHandler
from hypothesis import assume, given
from hypothesis import strategies as st

from telerig.hardware.wire import dynamixel as wire
from telerig.hardware.wire import dynamixel_table as table

ids = st.integers(0, wire.MAX_ID)
# bytes that stress stuffing: mostly FF and FD
nasty = st.lists(st.sampled_from([0xFF, 0xFF, 0xFD, 0x00, 0x55]), max_size=40).map(bytes)
payloads = st.one_of(st.binary(max_size=60), nasty)
instructions = st.sampled_from([0x01, 0x02, 0x03, 0x55, 0x82, 0x83])


@given(ids, instructions, payloads)
def test_round_trip(ident: int, instruction: int, params: bytes) -> None:
    raw = wire.build(ident, instruction, params)
    parser = wire.Parser()
    assert parser.feed(raw) == [wire.Packet(ident, instruction, params)]
    assert (parser.crc_errors, parser.skipped, parser.pending) == (0, 0, 0)
    assert raw.count(wire.HEADER + b"\0") == 1  # nothing inside looks like a header


@given(ids, payloads, st.data())
def test_any_damaged_byte_is_refused(ident: int, params: bytes, data: st.DataObject) -> None:
    raw = bytearray(wire.build_status(ident, 0, params))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    parser = wire.Parser()
    assert parser.feed(bytes(raw)) + parser.flush() == []
    assert parser.skipped == len(raw)


@given(st.binary(max_size=30), ids, payloads, st.integers(1, 7))
def test_resynchronises_after_garbage_in_any_chunks(garbage: bytes, ident: int, params: bytes, size: int) -> None:
    assume(wire.HEADER + b"\0" not in garbage)
    packets = [wire.Packet(ident, 0x55, b"\0" + params), wire.Packet(ident, 0x55, b"\x80" + params)]
    stream = garbage + b"".join(wire.build(p.id, p.instruction, p.params) for p in packets)
    parser = wire.Parser()
    got = [p for i in range(0, len(stream), size) for p in parser.feed(stream[i : i + size])]
    assert got == packets
    assert parser.skipped == len(garbage)


def test_a_damaged_length_does_not_swallow_the_packets_behind_it() -> None:
    first, second = wire.build_status(1, 0, b"abcd"), wire.build_status(2, 0, b"efgh")
    damaged = bytearray(first)
    damaged[5] += 9  # reaches into the second packet
    parser = wire.Parser()
    assert parser.feed(bytes(damaged) + second) == [wire.Packet(2, 0x55, b"\0efgh")]
    damaged[5] += 200  # reaches beyond everything: only the end of the wait tells
    assert parser.feed(bytes(damaged) + second) == []
    assert parser.flush() == [wire.Packet(2, 0x55, b"\0efgh")]
    assert parser.pending == 0


def test_unbelievable_lengths_are_not_waited_for() -> None:
    raw = wire.HEADER + bytes((0, 1)) + (900).to_bytes(2, "little") + wire.build_status(3, 0, b"x")
    assert wire.Parser(max_length=40).feed(raw) == [wire.Packet(3, 0x55, b"\0x")]


@given(st.binary(max_size=200))
def test_crc_is_the_sdks(data: bytes) -> None:
    assert wire.crc16(data) == Protocol2PacketHandler().updateCRC(0, data, len(data))
    assert wire.crc16(data[7:], wire.crc16(data[:7])) == wire.crc16(data)


class _Tap:
    """Just enough of a port to catch what the SDK sends."""

    is_using = False

    def clearPort(self) -> None:
        pass

    def writePort(self, packet: list[int]) -> int:
        self.sent = bytes(packet)
        return len(packet)


@given(ids, nasty.filter(bool))
def test_packets_are_the_sdks(ident: int, data: bytes) -> None:
    """But for stuffing, which SDK 4.1 computes and then forgets to send; what it sends is understood all the same."""
    tap = _Tap()
    Protocol2PacketHandler().writeTxOnly(tap, ident, 116, len(data), list(data))
    params = (116).to_bytes(2, "little") + data
    if wire.HEADER not in data:
        assert tap.sent == wire.build(ident, wire.Instruction.WRITE, params)
    if wire.HEADER + b"\xfd" not in data:
        assert wire.Parser().feed(tap.sent) == [wire.Packet(ident, wire.Instruction.WRITE, params)]


@given(st.lists(st.tuples(st.integers(0, 255), nasty), min_size=1, max_size=7))
def test_fast_replies_are_split_again(items: list[tuple[int, bytes]]) -> None:
    replies = dict(enumerate(items, 1))
    raw = b"".join(wire.build_fast_status(replies))
    (packet,) = wire.Parser().feed(raw)
    assert wire.split_fast(packet.params, {i: len(d) for i, (_, d) in replies.items()}) == replies


def test_fast_reply_of_somebody_else_is_refused() -> None:
    (packet,) = wire.Parser().feed(b"".join(wire.build_fast_status({4: (0, b"1234")})))
    with pytest.raises(ValueError, match="byte 0"):
        wire.split_fast(packet.params, {5: 4})


@pytest.mark.parametrize("ident", [-1, 253, 255])
def test_impossible_ids(ident: int) -> None:
    with pytest.raises(ValueError, match="servo id"):
        wire.build(ident, 1)


def test_too_long() -> None:
    with pytest.raises(ValueError, match="length"):
        wire.build(1, 3, bytes(1100))


@given(st.sampled_from(table.REGISTERS), st.data())
def test_registers_keep_their_sign(register: table.Register, data: st.DataObject) -> None:
    bits = 8 * register.size
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if register.signed else (0, (1 << bits) - 1)
    value = data.draw(st.integers(low, high))
    assert register.decode(register.encode(value)) == value


def test_minus_five_is_minus_five() -> None:
    assert table.PRESENT_POSITION.decode(bytes.fromhex("fbffffff")) == -5


def test_registers_do_not_overlap() -> None:
    taken = [r.address + i for r in table.REGISTERS for i in range(r.size)]
    assert len(taken) == len(set(taken))


def test_registers_are_those_of_the_vendors_tables() -> None:
    """The vendor's second Python package ships the control tables of every model."""
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("dynamixel_easy_sdk")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "control_table"
    for model in ("xl330_m077", "xm430_w350", "xm540_w270"):
        rows = [line.split("\t") for line in (folder / f"{model}.model").read_text().splitlines()]
        theirs = {row[2]: (int(row[0]), int(row[1])) for row in rows if len(row) == 3 and row[0].isdigit()}
        ours = {r.name: (r.address, r.size) for r in table.REGISTERS}
        common = ours.keys() & theirs.keys()
        assert len(common) > 35
        assert {n: ours[n] for n in common} == {n: theirs[n] for n in common}


@given(st.floats(-3.1, 3.1))
def test_angles(angle: float) -> None:
    assert table.to_angle(table.to_ticks(angle)) == pytest.approx(angle, abs=table.RAD_PER_TICK / 2)
