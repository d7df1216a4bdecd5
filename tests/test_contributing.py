"""The worked example of CONTRIBUTING.md is a driver that works: its text is run as it stands there."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from telerig.drivers.ports import LoopbackPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.events import Event
from telerig.hardware.protocols import DeviceContext

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
PERIOD_NS = 12_500_000


@pytest.fixture
def example(tmp_path: Path) -> Iterator[ModuleType]:
    """The example's module."""
    (source,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "load_cell_of_the_guide.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[path.stem]


def test_driver_reads_its_emulator(example: ModuleType) -> None:
    """The force set on the emulator arrives, in newtons, at the nominal rate, numbered by nobody, none lost."""
    clock, events, sent = VirtualClock(), list[Event](), list[int]()
    config = example.LoadCell.Config(zero=0.5)
    emulator = example.LoadCellEmulator(config)
    emulator.journal = lambda t, seq: sent.append(seq)
    emulator.set_values({"force": [2.25]})
    context = DeviceContext("grip", clock, lambda: LoopbackPort(emulator, clock), emit=events.append)
    driver = example.LoadCell(config, context)
    driver.open()
    samples = []
    for _ in range(200):
        clock.advance(5_000_000)
        samples += driver.read(0.0)
    assert len(samples) == len(sent) == 80
    assert {s.stream for s in samples} == {driver.streams[0].name} == {"grip/force"}
    np.testing.assert_allclose([s.array("force") for s in samples], 2.25)
    assert events == []
    emulator.fault("corrupt", p=1.0)
    clock.advance(1_000_000_000)
    driver.read(0.0)
    driver.close()
    assert [e.code for e in events] == ["device.bad_lines"]


def test_lines_that_came_together_are_spaced_and_marked(example: ModuleType) -> None:
    clock = VirtualClock()
    driver = example.LoadCell(example.LoadCellConfig(), DeviceContext("grip", clock))
    one, *three = *driver.decode(b"1.0\n2.", 10**18), *driver.decode(b"5\n3\nnan\n4\n", 2 * 10**18)
    assert (one.spaced, one.t_sample) == (False, 10**18)
    assert [float(s.array("force")[0]) for s in three] == [2.5, 3.0, 4.0]
    assert [s.t_sample - 2 * 10**18 for s in three] == [-2 * PERIOD_NS, -PERIOD_NS, 0]
    assert all(s.spaced for s in three)
