"""Linux joystick events, and the gamepad driver on a pipe: what the kernel would write, byte by byte."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerig.drivers.gamepad import Gamepad, GamepadConfig
from telerig.drivers.ports import FilePort
from telerig.hardware.clock import RealClock, VirtualClock
from telerig.hardware.errors import ConfigError, DeviceLost, DeviceOpenError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.wire.joystick import Decoder, JoystickEvent, encode

MS = 1_000_000
EVENTS = st.builds(
    JoystickEvent,
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.integers(0, 255),
    st.sampled_from([0.0, 1.0]),
    st.booleans(),
)


@given(st.lists(EVENTS, max_size=20), st.lists(st.integers(1, 17), max_size=30))
def test_events_survive_any_cutting_of_their_bytes(events: list[JoystickEvent], cuts: list[int]) -> None:
    data, decoder, got = b"".join(map(encode, events)), Decoder(), []
    for cut in [*cuts, len(data)]:
        got += decoder.feed(data[:cut])
        data = data[cut:]
    assert got == events


def test_the_kernel_s_own_bytes() -> None:
    # from joystick.h: time, value, type (AXIS | INIT, then BUTTON), number
    data = (
        bytes.fromhex("10270000 0180 82 01")
        + bytes.fromhex("11270000 0100 01 04")
        + bytes.fromhex("00000000 0000 10 00")
    )
    decoder = Decoder()
    assert decoder.feed(data) == [
        JoystickEvent(10000, True, 1, -1.0, True),
        JoystickEvent(10001, False, 4, 1.0, False),
    ]
    assert decoder.unknown == 1


class Pipe:
    """A named pipe that stands for ``/dev/input/js0``."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "js0")
        os.mkfifo(self.path)
        self.writer = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)  # both ends: it opens without a reader

    def send(self, *events: JoystickEvent) -> None:
        os.write(self.writer, b"".join(map(encode, events)))

    def everything(self, **values: float) -> None:
        """What the kernel says when the device is opened: all axes and buttons as they are."""
        axes = [JoystickEvent(1, True, a, values.get(f"a{a}", 0.0), True) for a in range(6)]
        self.send(*axes, *(JoystickEvent(1, False, b, values.get(f"b{b}", 0.0), True) for b in range(8)))


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path)
    yield made
    os.close(made.writer)


def gamepad(pipe: Pipe, clock: object, open_port: Callable[[], FilePort] | None = None, **config: object) -> Gamepad:
    opener = open_port or (lambda: FilePort(pipe.path))
    return Gamepad(GamepadConfig(**config), DeviceContext("pad", clock, opener))  # type: ignore[arg-type]


def test_sticks_and_buttons_become_axes_and_switches(pipe: Pipe) -> None:
    clock = VirtualClock()
    pad = gamepad(pipe, clock)
    pad.open()
    pipe.everything()
    (sample,) = pad.read(0)
    assert sample.stream == "pad/pedals"
    np.testing.assert_array_equal(sample.array("axes"), 0.0)
    np.testing.assert_array_equal(sample.array("switches"), (0, 0, 1))
    pipe.send(JoystickEvent(5, True, 1, -1.0), JoystickEvent(5, True, 3, 0.5), JoystickEvent(6, False, 4, 1.0))
    clock.advance(10 * MS)
    (sample,) = pad.read(0)
    np.testing.assert_allclose(sample.array("axes"), (1.0, 0.0, -0.5, 0.0), atol=1e-4)  # pushed forward; turned right
    np.testing.assert_array_equal(sample.array("switches"), (1, 0, 1))
    pipe.send(JoystickEvent(7, False, 1, 1.0))
    clock.advance(10 * MS)
    assert pad.read(0)[0].array("switches").tolist() == [1, 0, 0]  # stop pressed: open, as of a normally closed switch
    pad.close()


def test_nothing_until_every_control_has_been_heard(pipe: Pipe) -> None:
    clock = VirtualClock()
    pad = gamepad(pipe, clock)
    pad.open()
    pipe.send(*(JoystickEvent(1, True, a, 0.0, True) for a in range(5)))
    for _ in range(5):
        clock.advance(10 * MS)
        assert pad.read(0) == []
    pipe.send(*(JoystickEvent(1, False, b, 0.0, True) for b in range(5)))
    clock.advance(10 * MS)
    assert len(pad.read(0)) == 1
    pad.close()
    pad.open()  # unplugged and back: what it was before is not what it is now
    clock.advance(10 * MS)
    assert pad.read(0) == []


def test_a_hundred_samples_a_second_whether_anything_changes_or_not(pipe: Pipe) -> None:
    clock = VirtualClock()
    pad = gamepad(pipe, clock)
    pad.open()
    pipe.everything()
    assert sum(len(pad.read(0)) for _ in range(200) if clock.advance(5 * MS)) == 100


def test_in_real_time_it_waits_for_its_deadline_and_hears_the_unplugging(pipe: Pipe) -> None:
    clock = RealClock(0)
    pad = gamepad(pipe, clock)
    pad.open()
    pipe.everything()
    samples = [s for _ in range(3) for s in pad.read(0.5)]
    assert len(samples) >= 2
    assert samples[1].t_arrival - samples[0].t_arrival > 5 * MS

    def gone(timeout_s: float = 0.0, max_bytes: int = 0) -> bytes:
        raise DeviceLost("unplugged")

    pad._port.read = gone  # type: ignore[union-attr, method-assign]
    with pytest.raises(DeviceLost):
        pad.read(0.1)


def test_a_port_that_ends_or_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DeviceOpenError, match="No such file"):
        FilePort(str(tmp_path / "js9"))
    path = tmp_path / "js0"
    os.mkfifo(path)
    port = FilePort(str(path))
    assert port.read(0.0) == b""
    os.close(os.open(path, os.O_WRONLY))
    with pytest.raises(DeviceLost, match="has ended"):
        port.read(0.1)
    with pytest.raises(DeviceLost, match="takes no bytes"):
        port.write(b"x")
    port.close()
    port.close()


@pytest.mark.parametrize(
    "how",
    [
        {"axes": (1, 1, 2, 3)},
        {"axes": (1, 0, 2, -2)},
        {"buttons": (-1, 0, 1)},
        {"buttons": (4, 0, 4)},
        {"rate_hz": 1.0},
    ],
)
def test_settings_that_cannot_work(how: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        GamepadConfig(**how)  # type: ignore[arg-type]
