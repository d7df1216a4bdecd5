"""The simulated robot's bus as bytes: what survives, what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from telerig.hardware.errors import DeviceIdentityError
from telerig.hardware.wire import simbus
from telerig.hardware.wire.simbus import Decoder, Identity, Kind, Message, RobotMode, State

messages = st.builds(
    Message, st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=60) | st.just(b"x" * simbus.MAX_PAYLOAD)
)
floats = st.floats(-100, 100, width=32)


@given(st.lists(messages, max_size=5), st.lists(st.integers(0, 400), max_size=6))
def test_messages_survive_any_portions(sent: list[Message], cuts: list[int]) -> None:
    data = b"".join(simbus.encode(m) for m in sent)
    decoder, got, edges = Decoder(), [], [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    for a, b in pairwise(edges):
        got += decoder.feed(data[a:b])
    assert got == sent


@given(st.binary(min_size=8, max_size=40).filter(lambda d: d[:2] != b"SB"))
def test_foreign_bytes_are_refused_once(data: bytes) -> None:
    decoder = Decoder()
    with pytest.raises(simbus.BusError, match="no simbus message"):
        decoder.feed(data)
    message = Message(Kind.HOLD, 7)
    assert decoder.feed(simbus.encode(message)) == [message]


def test_another_version_is_told() -> None:
    data = bytearray(simbus.encode(Message(Kind.HOLD, 1)))
    data[2] = simbus.VERSION + 1
    with pytest.raises(DeviceIdentityError, match=r"version 2, this side 1"):
        Decoder().feed(bytes(data))


def test_too_long_is_refused_on_both_sides() -> None:
    with pytest.raises(simbus.BusError, match="at most 8192"):
        simbus.encode(Message(1, 1, b"x" * (simbus.MAX_PAYLOAD + 1)))
    head = simbus.HEADER.pack(simbus.MAGIC, simbus.VERSION, 1, 1, simbus.MAX_PAYLOAD + 1)
    with pytest.raises(simbus.BusError):
        Decoder().feed(head)


@given(
    st.integers(0, 2**60), st.integers(0, 2**60), st.integers(0, 2**32 - 1), st.integers(0, 65535),
    st.sampled_from(list(RobotMode)), hnp.arrays(np.float64, (3, 5), elements=floats),
)  # fmt: skip
def test_state_round_trip(t: int, now: int, steps: int, seq: int, mode: RobotMode, x: np.ndarray) -> None:
    (reply,) = Decoder().feed(simbus.state_reply(9, State(t, now, steps, seq, mode, *x)))
    back = simbus.parse_state(reply.payload)
    assert (reply.kind, reply.seq) == (Kind.STATE | simbus.REPLY, 9)
    assert (back.t_us, back.now_us, back.steps, back.goal_seq, back.mode) == (t, now, steps, seq, mode)
    assert np.array_equal(np.stack((back.position, back.velocity, back.effort)), x)


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), max_size=5), st.integers(0, 65535))
def test_identity_round_trip(joints: list[str], version: int) -> None:
    identity = Identity("robot", version, tuple(joints), 150, 1000)
    (reply,) = Decoder().feed(simbus.identity_reply(1, identity))
    assert simbus.parse_identity(reply.payload) == identity


@given(st.binary(max_size=80))
def test_no_payload_crashes_a_parser(payload: bytes) -> None:
    for parse in (simbus.parse_state, simbus.parse_identity, simbus.parse_ack, simbus.parse_watchdog):
        try:
            parse(payload)
        except simbus.BusError as error:
            assert str(error).startswith("bus: ")  # noqa: PT017
