"""Gloves and pedal box with dead sensors, lost and damaged frames, silence, a pulled plug: all of it is told."""

from __future__ import annotations

import numpy as np
import pytest

from telerig.hardware.errors import ConfigError, DeviceLost
from telerig.hardware.events import Level

from .sensor_bench import CONFIGS, FRAMED, MS, opened


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


def test_a_board_that_nobody_served_does_not_flood_who_comes_back() -> None:
    bench = opened("hall_glove")
    bench.run(0.1)
    bench.clock.advance(60_000 * MS)
    assert len(bench.device.read(0)) <= 251
    assert bench.device.parser.lost == 15_000 - 250
