"""The Homunculus text format: the firmware's lines, and nothing that is not one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerig.hardware.wire.homunculus import MAX_LINE, LineParser, encode_line

COUNTS = st.lists(st.integers(0, 4095), min_size=16, max_size=16)


def test_the_line_is_the_firmwares() -> None:
    assert encode_line([0, 4095, *range(14)]) == b"0 4095 0 1 2 3 4 5 6 7 8 9 10 11 12 13 \r\n"


@given(st.lists(COUNTS, min_size=1, max_size=6), st.lists(st.integers(0, 50), max_size=30), st.integers(0, 80))
def test_lines_survive_any_cutting_and_a_start_in_the_middle(
    lines: list[list[int]], sizes: list[int], start: int
) -> None:
    parser, found, at = LineParser(), [], 0
    data = encode_line([1234] * 16)[start:] + b"".join(map(encode_line, lines))
    for size in [*sizes, len(data)]:
        found += parser.feed(data[at : at + size])
        at += size
    # the first line may be cut in a number (1234 -> 34): it never counts, however whole it looks
    assert found == [tuple(line) for line in lines]
    assert parser.lines == len(found)
    assert parser.refused == 0


@pytest.mark.parametrize(
    "line",
    [
        b"1 " * 15, b"1 " * 17, b"1 " * 21, b"4096 " + b"1 " * 15, b"-1 " + b"1 " * 15, b"1.5 " + b"1 " * 15,
        b"\xff " + b"1 " * 15, b"", b"0x10 " + b"1 " * 15, b"00001 " + b"1 " * 15, "٣ ".encode() + b"1 " * 15,
    ],
)  # fmt: skip
def test_other_lines_are_refused_and_counted(line: bytes) -> None:
    parser = LineParser()
    good = encode_line(range(16))
    assert parser.feed(b"\n" + line + b"\r\n" + good) == [tuple(range(16))]
    assert (parser.lines, parser.refused) == (1, 1)
    assert parser.last_refused == line + b"\r"


def test_bytes_without_lines_do_not_pile_up() -> None:
    parser = LineParser()
    for _ in range(100):
        assert parser.feed(bytes(range(128, 228))) == []
    assert parser.resync_bytes > 100 * 100 - 2 * MAX_LINE
    assert parser.feed(b"12\r\n" + encode_line(range(16))) == [tuple(range(16))]
