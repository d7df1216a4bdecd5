"""Running a policy: what it reads, when, and that pictures take the same way as in training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError, DataError
from telerig.hardware.samples import Sample, round_trip
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.policies.chunk import Chunk, chunk_stream
from telerig.policies.data import load as load_data
from telerig.policies.inference import PolicyRunner
from telerig.policies.train import TrainConfig, Trainer

MS = 1_000_000


@pytest.fixture(scope="module")
def checkpoint(fakes):
    spec = fakes.small_spec(cameras=("head", "side"))
    data, stats = fakes.fake_data(spec)
    return Trainer(data, stats, TrainConfig(max_steps=2, options=fakes.SMALL), VirtualClock(), 0).checkpoint({})


def _streams(fakes, rng=None):
    rng = rng or np.random.default_rng(0)
    state, head, side = fakes.state_stream(), fakes.camera_stream("head"), fakes.camera_stream("side")
    for t in range(0, 200, 5):
        state.samples.append(Sample("robot/state", t * MS + MS, t * MS, {"position": np.full(3, t / 1000.0)}))
    for stream, phase, delay in ((head, 10, 40), (side, 25, 20)):
        for t in range(phase, 170, 33):
            jpeg = fakes.jpeg_of(rng.integers(0, 255, (24, 32, 3), np.uint8))
            stream.samples.append(Sample(stream.spec.name, (t + delay) * MS, t * MS, {"jpeg": jpeg}))
    return {"robot/state": state, "head/color": head, "side/color": side, "glove/joints": fakes.state_stream()}


def test_inputs_describe_the_newest_instant_all_streams_have_reached(fakes, checkpoint):
    runner, streams = PolicyRunner(checkpoint), _streams(fakes)
    inputs = runner.observe(streams, 200 * MS)
    assert streams["head/color"].latest().t_sample == 142 * MS
    assert streams["side/color"].latest().t_sample == 157 * MS
    assert inputs.t_ns == 142 * MS  # head is behind
    np.testing.assert_allclose(inputs.state, 0.140)  # newest state at or before 142 ms
    side = [s for s in streams["side/color"].samples if s.t_sample <= 142 * MS][-1]
    assert side.t_sample == 124 * MS
    assert inputs.t_obs == (141 * MS, 182 * MS)  # the state arrived first, the head's picture last
    chunk = runner.infer(inputs)
    assert (chunk.t0_ns, chunk.dt_ns, chunk.t_obs) == (142 * MS, round(1e9 / 30), inputs.t_obs)
    assert chunk.actions.shape == (4, 3)


def test_images_may_be_as_old_as_in_training(fakes, checkpoint):
    spec = replace(checkpoint.spec, image_age_ns=12 * MS)
    inputs = PolicyRunner(replace(checkpoint, spec=spec)).observe(_streams(fakes), 200 * MS)
    assert inputs.t_ns == 154 * MS
    np.testing.assert_allclose(inputs.state, 0.150)
    assert PolicyRunner(replace(checkpoint, spec=spec)).observe(_streams(fakes), 150 * MS).t_ns == 150 * MS


def test_joints_are_found_by_name(fakes, checkpoint):
    streams = _streams(fakes)
    axes = ("waist", "j2", "j0", "j1")
    spec = StreamSpec("robot/state", (ArraySpec("position", (4,), axes=axes),), 200.0)
    values = np.array([9.0, 2.0, 0.0, 1.0])
    streams["robot/state"] = fakes.FakeStream(spec, [Sample("robot/state", 1, 141 * MS, {"position": values})])
    np.testing.assert_array_equal(PolicyRunner(checkpoint).observe(streams, 200 * MS).state, [0.0, 1.0, 2.0])
    spec = StreamSpec("robot/state", (ArraySpec("position", (3,), axes=("j0", "j1", "k2")),), 200.0)
    streams["robot/state"].spec = spec
    with pytest.raises(DataError, match="does not measure j2, which the policy needs"):
        PolicyRunner(checkpoint).observe(streams, 200 * MS)


def test_pictures_are_the_same_as_in_training(fakes, checkpoint):
    spec = checkpoint.spec
    episode = fakes.fake_episodes(count=1, cameras=("head", "side"))[0]
    data = load_data([episode], spec, seed=0, validation=0)
    streams = _streams(fakes)
    for camera in ("head", "side"):
        t = streams[f"{camera}/color"].latest().t_sample
        jpeg = episode.jpeg(camera, 5)
        streams[f"{camera}/color"].samples.append(Sample(f"{camera}/color", 180 * MS, t + MS, {"jpeg": jpeg}))
    inputs = PolicyRunner(checkpoint).observe(streams, 200 * MS)
    np.testing.assert_array_equal(inputs.images[0], data.images[5, 0].numpy())


def test_it_reads_no_other_stream(fakes, checkpoint):
    runner = PolicyRunner(checkpoint)
    asked = []

    class Spy(dict):
        def get(self, key, default=None):
            asked.append(key)
            return super().get(key, default)

        def __getitem__(self, key):
            asked.append(key)
            return super().__getitem__(key)

    runner.chunk(Spy(_streams(fakes)), 200 * MS)
    assert set(asked) == set(runner.requires) == {"robot/state", "head/color", "side/color"}


def test_without_all_inputs_there_is_no_chunk(fakes, checkpoint):
    runner = PolicyRunner(checkpoint)
    for name in runner.requires:
        streams = _streams(fakes)
        streams[name].samples.clear()
        assert runner.chunk(streams, 200 * MS) is None
    streams = _streams(fakes)
    newest = streams["robot/state"].samples[-1]
    streams["robot/state"].samples[:] = [Sample(newest.stream, 199 * MS, 199 * MS, {"position": np.full(3, np.nan)})]
    streams["robot/state"].samples[0] = Sample(newest.stream, 1, 100 * MS, {"position": np.full(3, np.nan)})
    assert runner.chunk(streams, 200 * MS) is None
    with pytest.raises(ConfigError, match="reads 'side/color', which is not among"):
        runner.chunk({k: v for k, v in _streams(fakes).items() if k != "side/color"}, 200 * MS)


def test_a_camera_far_behind_gives_no_chunk(fakes, checkpoint):
    streams = _streams(fakes)
    late = streams["robot/state"].samples
    late[:] = [Sample(s.stream, s.t_arrival + 900 * MS, s.t_sample + 900 * MS, s.data) for s in late]
    assert PolicyRunner(checkpoint).chunk(streams, 1200 * MS) is None


def test_wrong_number_of_joints_is_an_error(fakes, checkpoint):
    streams = _streams(fakes)
    streams["robot/state"].samples[:] = [Sample("robot/state", 1, 100 * MS, {"position": np.zeros(5)})]
    with pytest.raises(DataError, match="5 joints, the policy has 3"):
        PolicyRunner(checkpoint).chunk(streams, 200 * MS)


def test_ablated_images_are_the_mean_images(fakes, checkpoint):
    blind = PolicyRunner(checkpoint, ablate=["images"])
    a = blind.observe(_streams(fakes, np.random.default_rng(1)), 200 * MS)
    np.testing.assert_array_equal(a.images, checkpoint.stats.image_mean)
    b = blind.observe(_streams(fakes, np.random.default_rng(2)), 200 * MS)
    np.testing.assert_array_equal(blind.infer(a).actions, blind.infer(b).actions)
    seeing = PolicyRunner(checkpoint)
    seen = [seeing.chunk(_streams(fakes, np.random.default_rng(s)), 200 * MS).actions for s in (1, 2)]
    assert not np.array_equal(*seen)
    with pytest.raises(ConfigError, match="cannot ablate sound; known: images"):
        PolicyRunner(checkpoint, ablate=["sound"])


def test_targets_stay_within_joint_limits(fakes, checkpoint):
    streams = _streams(fakes)
    streams["robot/state"].samples[:] = [Sample("robot/state", 1, 100 * MS, {"position": np.array([5.0, -5.0, 0.0])})]
    actions = PolicyRunner(checkpoint).chunk(streams, 200 * MS).actions
    assert (np.abs(actions) <= 3.0).all()


def test_a_chunk_travels_as_a_sample():
    rng = np.random.default_rng(0)
    chunk = Chunk(10**18 + 7, 33_333_333, rng.normal(size=(4, 3)), (10**18, 10**18 + 5), 12)
    spec = chunk_stream(3, 4)
    sample = round_trip(chunk.to_sample(10**18 + 99), spec)
    back = Chunk.from_sample(sample)
    np.testing.assert_array_equal(back.actions, chunk.actions)
    assert (back.t0_ns, back.dt_ns, back.t_obs, back.seq) == (chunk.t0_ns, chunk.dt_ns, chunk.t_obs, chunk.seq)
    assert sample.t_arrival == 10**18 + 99
