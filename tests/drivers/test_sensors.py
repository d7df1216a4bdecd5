"""Gloves and pedal box against their emulators, in virtual time: what was sent is what arrives, or it is told."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from telerig.drivers import table
from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError, DeviceIdentityError, DeviceLost, DeviceOpenError
from telerig.hardware.events import Event, Level
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample, round_trip
from telerig.hardware.wire.messages import GLOVE_JOINTS

MS = 1_000_000
CONFIGS: dict[str, dict[str, Any]] = {
    "hall_glove": {"side": "left"},
    "homunculus_glove": {"side": "right"},
    "pedal_box": {},
}
FRAMED = ("hall_glove", "pedal_box")


@dataclass
class Bench:
    """A driver and an emulator joined in virtual time."""

    driver: str
    config: dict[str, Any] = field(default_factory=dict)
    emulated: str = ""  # another emulator than the driver's own
    emulated_config: dict[str, Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock, self.random = VirtualClock(), random.Random(6)
        self.events: list[Event] = []
        self.journal: list[tuple[int, int]] = []
        self.plugged = True
        cls = table.driver(self.driver)
        config = cls.Config(**(self.config or CONFIGS[self.driver]))
        kind = self.emulated or self.driver
        own = self.emulated_config or (CONFIGS[kind] if self.emulated else None)
        self.emulator = table.emulator(kind)(table.driver(kind).Config(**own) if own else config, **self.options)
        self.emulator.journal = lambda t, seq: self.journal.append((t, seq))
        self.device = cls(config, DeviceContext("dev", self.clock, self._port, {}, self.events.append))

    def _port(self) -> LoopbackPort:
        return LoopbackPort(self.emulator, self.clock, lambda: self.plugged)

    def run(self, seconds: float) -> list[Sample]:
        """Read every 0.1 … 9.9 ms."""
        samples: list[Sample] = []
        end = self.clock.now() + round(seconds * 1e9)
        while self.clock.now() < end:
            self.clock.advance(min(self.random.randrange(MS // 10, 99 * MS // 10), end - self.clock.now()))
            samples += self.device.read(0)
        return samples

    def told(self, code: str) -> int:
        return sum(int(e.data["count"]) for e in self.events if e.code == code)


def opened(driver: str, **more: Any) -> Bench:
    bench = Bench(driver, **more)
    bench.device.open()
    return bench


@pytest.mark.parametrize("driver", CONFIGS)
def test_every_sample_sent_arrives_once_in_order_and_fits_its_stream(driver: str) -> None:
    bench = opened(driver)
    samples = bench.run(3.0)
    (spec,) = bench.device.streams
    first = 1 if driver == "homunculus_glove" else 0  # its first line may be cut, for all that can be told
    assert len(samples) == len(bench.journal) - first
    assert abs(len(samples) - 3 * spec.rate_hz) <= 4
    if driver in FRAMED:
        assert [s.seq_device for s in samples] == [seq for _, seq in bench.journal]
    assert bench.events == []
    for sample in samples[:5]:
        back = round_trip(sample, spec)
        assert all(np.array_equal(back.array(a.name), sample.array(a.name)) for a in spec.arrays)
        assert back.valid is not None
        assert back.valid.all()


@pytest.mark.parametrize("driver", FRAMED)
@pytest.mark.parametrize(("ppm", "offset"), [(50.0, 0), (-50.0, 2**32 - 1_500_000)])
def test_samples_are_stamped_when_they_were_measured(driver: str, ppm: float, offset: int) -> None:
    bench = opened(driver, options={"drift_ppm": ppm, "offset_us": offset})
    samples = bench.run(8.0)
    errors = [s.t_sample - t for s, (t, _) in zip(samples, bench.journal, strict=True)]
    assert max(map(abs, errors[50:])) < 1 * MS
    devices = [s.t_device for s in samples if s.t_device is not None]
    assert len(devices) == len(samples)
    period = 1e9 / bench.device.streams[0].rate_hz
    steps = np.diff(devices)
    assert np.allclose(steps, period, atol=1000), "the device's clock overflowed and was not unwrapped"
    assert all(s.t_sample <= s.t_arrival for s in samples)
    assert all(a.t_sample < b.t_sample for a, b in pairwise(samples))


@pytest.mark.parametrize("driver", ["hall_glove", "homunculus_glove"])
def test_the_glove_follows_the_hand(driver: str) -> None:
    bench = opened(driver)
    assert bench.device.streams[0].array("counts").axes == GLOVE_JOINTS
    flexion = np.linspace(0, 1, 16)
    bench.run(0.05)
    bench.emulator.set_values({"flexion": flexion})
    bench.run(0.05)
    mean = np.mean([s.array("counts") for s in bench.run(1.0)], axis=0)
    sensors = bench.emulator.sensors
    exact = sensors.open_counts + (sensors.closed_counts - sensors.open_counts) * flexion
    assert np.abs(mean - exact).max() < 1.0
    assert (sensors.closed_counts - sensors.open_counts).min() > 1000


def test_the_pedal_box_follows_the_feet() -> None:
    bench = opened("pedal_box")
    first = bench.run(0.1)[-1]
    assert first.array("switches").tolist() == [0, 0, 1], "at rest only 'stop' is closed"
    assert first.array("position").max() < 0.01
    bench.emulator.set_values({"position": [0.0, 0.5, 1.0], "switches": [1, 0, 0]})
    last = bench.run(0.1)[-1]
    assert np.allclose(last.array("position"), [0, 0.5, 1], atol=0.005)
    assert last.array("position").max() <= 1.0
    assert last.array("switches").tolist() == [1, 0, 0]
    bench.emulator.set_values({"switches": [np.nan, 1, np.nan], "position": [np.nan] * 3})
    assert bench.run(0.1)[-1].array("switches").tolist() == [1, 1, 0]
    assert np.allclose(bench.run(0.1)[-1].array("position"), [0, 0.5, 1], atol=0.005)


def test_a_pedal_may_be_built_in_backwards() -> None:
    config = {"released": (3600, 400, 400), "pressed": (400, 3600, 3600)}
    bench = opened("pedal_box", config=config)
    bench.emulator.set_values({"position": [0.25, 0.25, 0.25]})
    assert np.allclose(bench.run(0.1)[-1].array("position"), 0.25, atol=0.005)
    with pytest.raises(ConfigError, match="pedal yaw: released 400 and pressed 410 must be 100 counts apart"):
        table.driver("pedal_box").Config(released=(400, 400, 400), pressed=(3600, 410, 3600))


def test_a_dead_sensor_is_nan_and_not_valid_never_zero() -> None:
    for driver, name, channel in (("hall_glove", "counts", 5), ("pedal_box", "position", 1)):
        bench = opened(driver)
        bench.emulator.fault("dead_channel", channel=channel, seconds=0.5)
        bench.run(0.1)
        sample = bench.run(0.1)[-1]
        assert sample.valid is not None
        assert np.flatnonzero(~sample.valid).tolist() == [channel]
        assert np.flatnonzero(np.isnan(sample.array(name))).tolist() == [channel]
        assert bench.run(1.0)[-1].valid.all(), "the fault lasts half a second"


@pytest.mark.parametrize("driver", FRAMED)
def test_lost_samples_are_counted_exactly_and_told_once(driver: str) -> None:
    bench = opened(driver)
    bench.run(0.5)
    bench.emulator.fault("lose", n=7)
    bench.run(0.5)
    bench.emulator.fault("lose", n=3)
    samples = bench.run(2.0)
    assert bench.told("device.lost_samples") == 10
    assert bench.device.parser.lost == 10
    assert len([e for e in bench.events if e.level is Level.WARNING]) == 2
    assert {s.seq_device for s in samples} <= {seq for _, seq in bench.journal}


def test_what_was_not_told_yet_is_told_on_closing() -> None:
    bench = opened("hall_glove")
    bench.run(0.1)
    for _ in range(3):
        bench.emulator.fault("lose", n=2)
        bench.run(0.1)
    assert bench.told("device.lost_samples") == 2
    bench.device.close()
    assert bench.told("device.lost_samples") == 6
    assert [e.data["total"] for e in bench.events] == [2, 6]


@pytest.mark.parametrize("driver", FRAMED)
def test_damaged_frames_are_refused_and_counted(driver: str) -> None:
    bench = opened(driver, options={"seed": 5})
    bench.run(0.1)
    before = len(bench.journal)
    bench.emulator.fault("corrupt", p=0.3)
    got = bench.run(3.0)
    bench.emulator.fault("clear")
    got += bench.run(0.1)
    sent = {seq for _, seq in bench.journal[before:]}
    arrived = {s.seq_device for s in got}
    assert 0.6 * len(sent) < len(arrived) < 0.8 * len(sent)
    assert arrived <= sent
    assert bench.device.parser.lost == len(sent) - len(arrived)
    bench.device.close()  # tells the rest
    assert bench.told("device.lost_samples") == bench.device.parser.lost
    assert bench.told("device.crc_errors") == bench.device.parser.crc_errors > 0
    assert len(bench.events) <= 2 * 5, "at most one of a kind a second"
    values = {tuple(s.array(bench.device.streams[0].arrays[0].name)) for s in got}
    limit = 3300 if driver == "hall_glove" else 0.01
    assert all(max(v) < limit for v in values), "a damaged value came through"


def test_lines_that_are_damaged_beyond_reading_are_counted() -> None:
    bench = opened("homunculus_glove", options={"seed": 1})
    bench.run(0.5)
    bench.emulator.fault("corrupt", p=1.0, seconds=1.0)
    bench.run(2.5)
    assert bench.told("device.bad_lines") == bench.device.parser.refused > 50


def test_lines_that_arrive_together_are_spaced_back() -> None:
    bench = opened("homunculus_glove")
    bench.run(0.1)
    bench.clock.advance(39 * MS)
    samples = bench.device.read(0)
    assert len(samples) >= 9
    assert all(s.spaced and s.t_arrival == samples[-1].t_arrival == s.t_arrival for s in samples)
    assert np.diff([s.t_sample for s in samples]).tolist() == [4 * MS] * (len(samples) - 1)
    assert samples[-1].t_sample == samples[-1].t_arrival
    assert all(s.seq_device is None and s.t_device is None for s in samples)
    bench.clock.advance(4 * MS)
    (single,) = bench.device.read(0)
    assert not single.spaced


@pytest.mark.parametrize(
    ("driver", "config", "emulated", "emulated_config", "message"),
    [
        (
            "pedal_box",
            {},
            "hall_glove",
            {},
            "a pedal box belongs on this port; left glove EMULATED-LEFT says",
        ),
        ("hall_glove", {"side": "left"}, "hall_glove", {"side": "right"}, "a left glove belongs .* says right glove"),
        ("hall_glove", {"side": "left"}, "pedal_box", {"serial": "X"}, "a left glove belongs on .*; pedal box X says"),
        ("hall_glove", {"side": "left", "serial": "TG-7"}, "hall_glove", {}, "serial number TG-7 belongs"),
        ("hall_glove", {"side": "left", "rate_hz": 100.0}, "hall_glove", {}, "rate in Hz 100 belongs"),
    ],
)
def test_another_device_on_the_port_is_refused(
    driver: str, config: dict[str, Any], emulated: str, emulated_config: dict[str, Any], message: str
) -> None:
    bench = Bench(driver, config, emulated, emulated_config or CONFIGS[emulated])
    with pytest.raises(DeviceIdentityError, match=f"^dev: {message}") as caught:
        bench.device.open()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("driver", FRAMED)
def test_wrong_firmware_is_refused_in_one_line(driver: str) -> None:
    bench = Bench(driver)
    bench.emulator.fault("wrong_version", version=3)
    with pytest.raises(DeviceIdentityError, match=r"^dev: wrong firmware: it speaks wire version 3, this telerig 1$"):
        bench.device.open()
    bench = Bench(driver)
    bench.emulator.fault("wrong_device")
    with pytest.raises(DeviceIdentityError, match="belongs on this port"):
        bench.device.open()


def test_nobody_on_the_port_or_nobody_who_answers_is_told_apart() -> None:
    bench = Bench("hall_glove")
    bench.emulator.fault("silent")
    with pytest.raises(DeviceOpenError, match=r"nothing answers on it within 0\.6 s"):
        bench.device.open()
    bench.emulator.fault("clear")
    bench.device.open()
    bench.device.close()
    bench.plugged = False
    with pytest.raises(DeviceOpenError, match="unplugged"):
        bench.device.open()
    text = Bench("hall_glove", emulated="homunculus_glove")
    with pytest.raises(DeviceOpenError, match="no telerig frame among them"):
        text.device.open()
    driver = table.driver("hall_glove")
    alone = driver(driver.Config("left"), DeviceContext("dev", VirtualClock()))
    with pytest.raises(DeviceOpenError, match=r"no port; give devices\.dev\.port, or emulate = true"):
        alone.open()
    with pytest.raises(DeviceOpenError, match="read before open"):
        alone.read(0)


def test_a_homunculus_arm_or_a_binary_glove_is_no_homunculus_glove() -> None:
    bench = opened("homunculus_glove")
    bench.emulator.fault("wrong_device")
    with pytest.raises(DeviceIdentityError, match="lines of 21 words where a Homunculus glove sends 16 numbers"):
        bench.run(1.0)
    binary = opened("homunculus_glove", emulated="hall_glove")
    with pytest.raises(DeviceIdentityError, match=r"dev: (\d+ bytes without a line|lines of \d+ words)"):
        binary.run(2.0)


@pytest.mark.parametrize("driver", CONFIGS)
def test_unplugged_and_back(driver: str) -> None:
    bench = opened(driver)
    before = bench.run(0.5)
    bench.plugged = False
    with pytest.raises(DeviceLost):
        bench.run(0.1)
    bench.device.close()
    bench.clock.advance(2_000 * MS)
    bench.plugged = True
    bench.device.open()
    after = bench.run(0.5)
    assert len(after) >= 50
    assert after[0].t_sample > before[-1].t_sample
    assert bench.told("device.lost_samples") == 0, "what was not connected was not lost on the way"
    fields = [a.name for a in bench.device.streams[0].arrays]
    assert all(not np.isnan(s.array(f)).any() for s in after for f in fields)


@pytest.mark.parametrize("driver", CONFIGS)
def test_silent_freeze_and_their_end(driver: str) -> None:
    bench = opened(driver)
    bench.run(0.2)
    bench.emulator.fault("silent", seconds=0.5)
    bench.run(0.02)
    assert bench.run(0.4) == []
    assert len(bench.run(0.5)) > 30
    assert bench.told("device.lost_samples") == 0
    bench.emulator.fault("freeze", seconds=0.5)
    bench.run(0.02)
    name = bench.device.streams[0].arrays[0].name
    assert len({tuple(s.array(name)) for s in bench.run(0.4)}) == 1
    bench.run(0.3)
    assert len({tuple(s.array(name)) for s in bench.run(0.4)}) > 3
    with pytest.raises(ConfigError, match="fault 'explode' is unknown here; known: silent, freeze"):
        bench.emulator.fault("explode")


@pytest.mark.parametrize("driver", CONFIGS)
def test_the_same_seed_gives_the_same_bytes(driver: str) -> None:
    runs = [
        [s.array(b.device.streams[0].arrays[0].name).tolist() for s in b.run(0.5)]
        for b in (opened(driver), opened(driver))
    ]
    assert runs[0] == runs[1]
    emulator = opened(driver).emulator
    with pytest.raises(ValueError, match="controls: 'nonsense'"):
        emulator.set_values({"nonsense": [1.0]})


def test_a_board_that_nobody_served_does_not_flood_who_comes_back() -> None:
    bench = opened("hall_glove")
    bench.run(0.1)
    bench.clock.advance(60_000 * MS)
    assert len(bench.device.read(0)) <= 251
    assert bench.device.parser.lost == 15_000 - 250
