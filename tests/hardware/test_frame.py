"""The binary frame: what is damaged is refused, what is whole is found, what is missing is counted."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.errors import DataError
from telerig.hardware.wire.frame import (
    HEADER_SIZE,
    MAX_PAYLOAD,
    OVERHEAD,
    SYNC,
    Frame,
    FrameParser,
    Unwrap,
    encode_frame,
    header_crc,
)
from telerig.hardware.wire.messages import (
    GLOVE_JOINTS,
    DeviceType,
    Identity,
    Message,
    Side,
    pack_glove,
    pack_pedals,
    unpack_glove,
    unpack_pedals,
)

U32 = st.integers(0, 2**32 - 1)
FRAMES = st.builds(Frame, st.integers(0, 255), U32, U32, st.binary(max_size=64), st.integers(0, 255))


def glove(seq: int) -> Frame:
    rng = random.Random(seq)
    return Frame(Message.GLOVE, seq, seq * 4000 & 0xFFFFFFFF, pack_glove([rng.randrange(4096) for _ in range(16)]))


def feed_in_pieces(parser: FrameParser, data: bytes, sizes: list[int]) -> list[Frame]:
    frames, at = [], 0
    for size in [*sizes, len(data)]:
        frames += parser.feed(data[at : at + size])
        at += size
    return frames


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 40), max_size=30))
def test_frames_survive_any_cutting(frames: list[Frame], sizes: list[int]) -> None:
    parser = FrameParser()
    assert feed_in_pieces(parser, b"".join(map(encode_frame, frames)), sizes) == frames
    assert (parser.frames, parser.crc_errors, parser.resync_bytes) == (len(frames), 0, 0)


@pytest.mark.parametrize("seq", [0, 7, 0xA55AA55A])
def test_every_damaged_byte_is_refused_and_the_next_frame_is_found(seq: int) -> None:
    good = encode_frame(glove(seq))
    for at in range(len(good)):
        for change in range(1, 256):
            bad = good[:at] + bytes([good[at] ^ change]) + good[at + 1 :]
            parser = FrameParser()
            # enough behind it for any length that a damaged header could claim
            found = parser.feed(bad + b"".join(encode_frame(glove(k)) for k in (101, 102)))
            assert [f.seq for f in found] == [101, 102], f"byte {at} ^ {change:#x}"


def test_every_burst_of_up_to_16_bits_is_refused() -> None:
    """In the order of a UART: least significant bit first.  All 2¹⁵ bursts of the header, by linearity of the CRC."""
    zero = header_crc(bytes(HEADER_SIZE - 2))
    for first in range((HEADER_SIZE) * 8 - 15):
        for pattern in (1, 3, 0x8001, 0xFFFF, *random.Random(first).sample(range(1, 1 << 16, 2), 200)):
            burst = (pattern << first).to_bytes(HEADER_SIZE, "little")
            assert header_crc(burst[:-2]) ^ zero != int.from_bytes(burst[-2:], "little"), (first, hex(pattern))


@settings(max_examples=300)
@given(FRAMES, st.data())
def test_bursts_anywhere_in_a_frame_are_refused(frame: Frame, data: st.DataObject) -> None:
    good = encode_frame(frame)
    first = data.draw(st.integers(0, len(good) * 8 - 16))
    pattern = data.draw(st.integers(1, 0xFFFF))
    bad = (int.from_bytes(good, "little") ^ pattern << first).to_bytes(len(good), "little")
    parser = FrameParser()
    found = parser.feed(bad + bytes(MAX_PAYLOAD + OVERHEAD))
    assert frame not in found
    assert parser.frames == len(found) == 0


@given(st.binary(max_size=300), st.integers(0, 51), st.lists(st.integers(0, 60), max_size=20))
def test_no_good_frame_is_lost_after_garbage_or_a_start_in_the_middle(junk: bytes, cut: int, sizes: list[int]) -> None:
    frames = [glove(k) for k in range(12, 30)]  # more than any false header could swallow
    parser = FrameParser()
    data = junk + encode_frame(glove(11))[cut + 1 :] + b"".join(map(encode_frame, frames))
    found = [f for f in feed_in_pieces(parser, data, sizes) if f in frames]
    assert found == frames
    assert parser.lost == 0


@given(st.binary(max_size=40))
def test_garbage_full_of_sync_words_is_survived(junk: bytes) -> None:
    parser = FrameParser()
    data = b"".join(SYNC + bytes([b]) for b in junk) + b"\xa5" + encode_frame(glove(1))
    assert parser.feed(data) == [glove(1)]
    assert parser.resync_bytes == 3 * len(junk) + 1


def test_a_hundred_thousand_frames_come_through_bit_by_bit_the_same() -> None:
    rng = random.Random(4)
    payloads = [rng.randbytes(32) for _ in range(100_000)]
    data = b"".join(encode_frame(Frame(Message.GLOVE, k, 4000 * k, p)) for k, p in enumerate(payloads))
    parser, found, at = FrameParser(), [], 0
    while at < len(data):
        size = rng.randrange(1, 2000)
        found += [f.payload for f in parser.feed(data[at : at + size])]
        at += size
    assert found == payloads
    assert (parser.frames, parser.lost, parser.crc_errors, parser.resync_bytes) == (100_000, 0, 0, 0)


def test_a_truncated_frame_costs_only_itself() -> None:
    parser = FrameParser()
    whole = [encode_frame(glove(k)) for k in range(4)]
    found = parser.feed(whole[0] + whole[1][:30] + whole[2] + whole[3])
    assert [f.seq for f in found] == [0, 2, 3]
    assert (parser.lost, parser.crc_errors) == (1, 1)
    assert parser.resync_bytes == 30


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30), U32)
def test_lost_frames_are_counted_across_the_overflow(steps: list[int], start: int) -> None:
    parser, seq = FrameParser(), start
    parser.feed(encode_frame(Frame(Message.GLOVE, seq, 0, b"")))
    for step in steps:
        seq = (seq + step) & 0xFFFFFFFF
        parser.feed(encode_frame(Frame(Message.GLOVE, seq, 0, b"")))
        parser.feed(encode_frame(Frame(Message.IDENTITY, 0, 0, b"")))  # counts for itself: it is no gap
    assert parser.lost == sum(steps) - len(steps)


def test_a_device_that_starts_again_has_lost_nothing() -> None:
    parser = FrameParser()
    for seq in (70_000, 70_001, 0, 1):
        parser.feed(encode_frame(Frame(Message.GLOVE, seq, 0, b"")))
    assert (parser.lost, parser.restarts) == (0, 1)


@given(st.integers(0, 2**40), st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=20))
def test_unwrap_follows_any_step_below_half_the_range(start: int, steps: list[int]) -> None:
    unwrap, value = Unwrap(), start
    base = unwrap(start & 0xFFFFFFFF) - start
    for step in steps:
        value += step
        assert unwrap(value & 0xFFFFFFFF) - base == value


def test_a_long_payload_is_refused_by_the_encoder() -> None:
    with pytest.raises(ValueError, match="at most 512"):
        encode_frame(Frame(1, 0, 0, bytes(MAX_PAYLOAD + 1)))
    longest = Frame(1, 0, 0, bytes(MAX_PAYLOAD))
    assert FrameParser().feed(encode_frame(longest)) == [longest]


COUNTS = st.integers(0, 65535)


@given(
    st.lists(COUNTS, min_size=16, max_size=16),
    st.lists(COUNTS, min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_payloads_come_back(counts: list[int], pedals: list[int], switches: list[bool]) -> None:
    assert unpack_glove(pack_glove(counts)) == tuple(counts)
    assert unpack_pedals(pack_pedals(pedals, switches)) == (tuple(pedals), tuple(map(int, switches)))


def test_identity_comes_back_and_short_payloads_are_refused() -> None:
    identity = Identity(DeviceType.GLOVE, (3, 14), Side.RIGHT, 16, 250, "TG-0001")
    assert Identity.unpack(identity.pack()) == identity
    for unpack in (Identity.unpack, unpack_glove, unpack_pedals):
        with pytest.raises(DataError, match=r"message of 5 bytes where \d+ belong"):
            unpack(bytes(5))
    assert len(set(GLOVE_JOINTS)) == 16


def test_the_published_examples_are_true() -> None:
    """docs/wire.md shows frames in hexadecimal; firmware authors will check theirs against them."""
    text = (Path(__file__).parents[2] / "docs/wire.md").read_text()
    shown = [bytes.fromhex(block) for block in re.findall(r"^    ((?:[0-9a-f]{2}[ \n]+)+)$", text, re.M)]
    frames = [f for block in shown for f in FrameParser().feed(block)]
    assert [(f.type, f.seq, f.clock_us) for f in frames] == [
        (Message.IDENTIFY, 0, 0),
        (Message.IDENTITY, 0, 1_000_000),
        (Message.GLOVE, 7, 28_000),
        (Message.PEDALS, 3, 30_000),
    ]
    assert Identity.unpack(frames[1].payload) == Identity(DeviceType.GLOVE, (1, 0), Side.LEFT, 16, 250, "TG-0001")
    assert unpack_glove(frames[2].payload) == tuple(range(1000, 1016))
    assert unpack_pedals(frames[3].payload) == ((400, 2000, 3600), (1, 0, 1))
    assert header_crc(b"123456789") == 0x6F91
