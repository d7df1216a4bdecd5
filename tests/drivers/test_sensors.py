"""Gloves and pedal box against their emulators, in virtual time: what was sent is what arrives, when it was measured."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from telerig.drivers import table
from telerig.hardware.errors import ConfigError
from telerig.hardware.samples import round_trip
from telerig.hardware.wire.messages import GLOVE_JOINTS

from .sensor_bench import CONFIGS, FRAMED, MS, opened


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
