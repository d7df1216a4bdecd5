"""Fakes shared by the policies' tests: episodes in memory and streams made of lists."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch

from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, BlobSpec, StreamSpec
from telerig.policies.data import load, statistics
from telerig.policies.options import Options
from telerig.policies.spec import CameraInput, PolicySpec

SMALL = Options(channels=(4, 8, 8), width=32, blocks=1, draws=2, sample_steps=4)


def small_spec(n=3, cameras=("head",), size=(16, 16), horizon=4):
    inputs = tuple(CameraInput(c, f"{c}/color") for c in cameras)
    joints = tuple(f"j{i}" for i in range(n))
    return PolicySpec("toy", 1, "robot/upper", joints, "robot/state", "position", inputs, size, 30.0, horizon, 1, 2)


@dataclass
class FakeEpisode:
    """An episode with the interface of ``telerig.datasets.dataset.EpisodeFile``, in memory."""

    name: str
    state: np.ndarray
    action: np.ndarray
    pictures: dict[str, list[bytes]] = field(default_factory=dict)
    outcome: str | None = "success"
    waiting: int = 0  # rows at the start and, `held`, at the end, in which only the guard moves
    held: int = 0

    @property
    def rows(self):
        return len(self.state)

    @property
    def engaged(self):
        rows = np.arange(len(self.state))
        return (rows >= self.waiting) & (rows < len(rows) - self.held)

    def jpeg(self, camera, row):
        return self.pictures[camera][row]


def jpeg_of(image):
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=95, colorspace="RGB")


def fake_episodes(count=3, rows=12, n=3, cameras=("head",), seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        state = np.cumsum(rng.normal(0, 0.05, (rows, n)), axis=0)
        pictures = {c: [jpeg_of(rng.integers(0, 255, (24, 32, 3), np.uint8)) for _ in range(rows)] for c in cameras}
        made.append(FakeEpisode(f"e{i}", state, state + 0.02, pictures))
    return made


def fake_data(spec=None, options=SMALL, **how):
    spec = spec or small_spec()
    cameras = tuple(c.name for c in spec.cameras)
    data = load(fake_episodes(n=spec.size, cameras=cameras, **how), spec, seed=0, validation=0.4)
    limit = np.full(spec.size, 3.0)
    return data, statistics(data, options, -limit, limit)


@dataclass
class FakeStream:
    """A stream reader over a list of samples."""

    spec: StreamSpec
    samples: list[Sample] = field(default_factory=list)

    def latest(self):
        return self.samples[-1] if self.samples else None

    def window(self, t0, t1):
        return [s for s in self.samples if t0 <= s.t_sample <= t1]


def state_stream(n=3):
    return FakeStream(StreamSpec("robot/state", (ArraySpec("position", (n,), "<f8", "rad"),), 200.0))


def camera_stream(name="head"):
    return FakeStream(StreamSpec(f"{name}/color", (BlobSpec("jpeg", 100_000, "image/jpeg"),), 30.0))


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def fakes():
    """This module's helpers, which tests cannot import by name."""
    import types

    return types.SimpleNamespace(**{k: v for k, v in globals().items() if not k.startswith("_")})


@pytest.fixture(scope="session")
def toy():
    """The small pick-and-place world beside this file."""
    return _beside("toy")


@pytest.fixture(scope="session")
def body_toy():
    """A body policy's manifest and tiny ONNX models, beside this file."""
    return _beside("body_toy")


def _beside(name):
    spec = importlib.util.spec_from_file_location(f"policies_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
