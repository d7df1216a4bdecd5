"""Curves of a live view: what is drawn late is not lost, and what is too much becomes evenly less."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.teleop.stream import LocalReader, LocalStream
from telerig.teleop.view.collect import MOST, Collected, Collector

SPEC = StreamSpec("robot/state", (ArraySpec("position", (1,)),), 200.0)  # its ring holds 400


def write(stream: LocalStream, count: int) -> None:
    """So many further samples, 5 ms apart."""
    for _ in range(count):
        t = stream.written * 5_000_000
        stream.write(Sample(SPEC.name, t, t, {"position": np.array([stream.written], float)}))


def numbers(samples: list[Sample]) -> list[int]:
    """Which samples these are; their values must agree."""
    assert all(s.array("position")[0] == s.seq for s in samples)
    return [s.seq for s in samples]


def test_every_fourth_sample_of_200_a_second_from_now_on() -> None:
    stream = LocalStream(SPEC)
    write(stream, 10)
    found = Collected(LocalReader(stream), 50.0)
    assert found.take() == []
    write(stream, 20)
    assert numbers(found.take()) == [12, 16, 20, 24, 28]
    write(stream, 3)
    assert numbers(found.take()) == [32]


def test_what_is_collected_outlives_the_ring() -> None:
    stream = LocalStream(SPEC)
    found = Collected(LocalReader(stream), 50.0)
    for _ in range(10):
        write(stream, 300)
        found.collect()  # nobody draws for 15 s; the ring holds 2
    assert numbers(found.take()) == list(range(0, 3000, 4))
    assert found.lost == 0


def test_without_anybody_collecting_the_loss_is_counted() -> None:
    stream = LocalStream(SPEC)
    found = Collected(LocalReader(stream), 50.0)
    write(stream, 1000)
    assert numbers(found.take()) == list(range(600, 1000, 4))
    assert found.lost == 600


@pytest.mark.parametrize("minutes", [1, 5])
def test_a_view_that_never_draws_thins_evenly(minutes: int) -> None:
    stream = LocalStream(SPEC)
    found = Collected(LocalReader(stream), 50.0)
    for _ in range(minutes * 60 * 5):
        write(stream, 40)
        found.collect()
    kept = numbers(found.take())
    assert MOST / 2 - 1 <= len(kept) <= MOST
    assert len(set(np.diff(kept))) == 1
    assert kept[0] == 0
    assert stream.written - kept[-1] <= kept[1]
    write(stream, 400)
    assert set(np.diff(numbers(found.take()))) == {4}  # who draws again gets all there is to see


def test_events_are_never_thinned() -> None:
    stream = LocalStream(SPEC)
    found = Collected(LocalReader(stream))
    for _ in range(20):
        write(stream, 300)
        found.collect()
    assert numbers(found.take()) == list(range(6000))


def test_a_thread_collects_while_the_view_is_busy() -> None:
    stream, drawn = LocalStream(SPEC), threading.Event()

    class Watched(LocalReader):
        def get(self, seq: int) -> Sample | None:
            drawn.set()
            return super().get(seq)

    found = Collected(Watched(stream), 50.0)
    collector = Collector([found])
    collector.start()
    write(stream, 4)
    assert drawn.wait(20.0)
    collector.end()
    write(stream, 2000)
    assert numbers(found.take())[0] == 0  # overwritten in the ring, but set aside before
