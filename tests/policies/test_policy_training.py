"""Training: exact resumption, repeatability, what is learnt from and what is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import ConfigError, DataError
from telerig.policies.checkpoint import load, load_training, save
from telerig.policies.data import FAILURE
from telerig.policies.data import load as load_data
from telerig.policies.train import LEAST_STEPS, TrainConfig, Trainer


def _trainer(fakes, steps=8, clock=None, **changes):
    data, stats = fakes.fake_data()
    clock = clock or VirtualClock()
    options = changes.pop("options", replace(fakes.SMALL, state_dropout=0.1, shift=2))
    config = TrainConfig(max_steps=steps, batch=4, warmup=2, options=options, **changes)
    return Trainer(data, stats, config, clock, clock.now())


def _equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_half_and_resumed_half_equal_the_whole_bit_for_bit(fakes, tmp_path):
    whole = _trainer(fakes)
    whole.run()
    first = _trainer(fakes)
    first.run(stop=lambda: first.step == 4)
    save(tmp_path / "c", first.checkpoint({}), first.state())
    second = _trainer(fakes)
    second.restore(load_training(tmp_path / "c"))
    assert second.step == 4
    second.run()
    assert second.step == whole.step == 8
    assert _equal(second.policy.state_dict(), whole.policy.state_dict())
    assert _equal(second.average.state_dict(), whole.average.state_dict())
    assert _equal(second.state().tensors, whole.state().tensors)
    assert second.loss == whole.loss
    assert not _equal(first.policy.state_dict(), whole.policy.state_dict())


def test_the_seed_decides_everything(fakes):
    runs = [_trainer(fakes, seed=s) for s in (1, 1, 2)]
    for run in runs:
        run.run()
    assert _equal(runs[0].average.state_dict(), runs[1].average.state_dict())
    assert not _equal(runs[0].average.state_dict(), runs[2].average.state_dict())


def test_resuming_with_other_settings_is_refused(fakes):
    state = _trainer(fakes).state()
    with pytest.raises(DataError, match=r"learning_rate was 0\.001, now 0\.1"):
        _trainer(fakes, learning_rate=0.1).restore(state)
    with pytest.raises(DataError, match=r"options\.width was 32, now 16"):
        _trainer(fakes, options=replace(fakes.SMALL, state_dropout=0.1, shift=2, width=16)).restore(state)


def test_minutes_end_a_run_and_time_before_resumption_counts(fakes):
    clock = VirtualClock()
    run = _trainer(fakes, steps=None, minutes=1.0, clock=clock)
    clock.advance(9_000_000_000)  # reading the data
    run.run(report=lambda p: clock.advance(10_000_000_000))
    assert run.step == 6  # 9, 19 … 59, 69 s
    resumed = _trainer(fakes, steps=None, minutes=2.0, clock=clock)
    resumed.restore(run.state())
    assert resumed.seconds == pytest.approx(69.0)
    with pytest.raises(ConfigError, match="--minutes or --max-steps"):
        TrainConfig()


def test_failures_are_not_imitated_and_episodes_are_split_whole(fakes):
    episodes = fakes.fake_episodes(count=12, rows=10)
    episodes[3].outcome = FAILURE
    data = load_data(episodes, fakes.small_spec(), seed=1, validation=0.05)
    assert len(data.episodes) == 11
    assert "e3" not in data.episodes
    assert len(data.held_out) == 1
    held = {int(r) // 10 for r in data.validation}
    assert held == {data.episodes.index(data.held_out[0])}
    assert held.isdisjoint({int(r) // 10 for r in data.train})
    assert len(data.train) + len(data.validation) == 110
    with pytest.raises(DataError, match="all of them failures"):
        load_data([episodes[3]], fakes.small_spec(), seed=1, validation=0)


def test_chunks_stay_where_their_episode_ends(fakes):
    data, _ = fakes.fake_data(count=2, rows=6)
    batch = data.batch(torch.tensor([0, 4]), (0.1, 10.0))
    assert batch.valid.all()
    torch.testing.assert_close(batch.actions[0], data.action[0:4])
    torch.testing.assert_close(batch.actions[1], data.action[[4, 5, 5, 5]])
    torch.testing.assert_close(batch.future[0], data.state[[3, 5]])


def test_steps_that_nobody_sent_do_not_count(fakes):
    episodes = fakes.fake_episodes(count=1, rows=8)
    episodes[0].held = 3
    data = load_data(episodes, fakes.small_spec(), seed=0, validation=0)
    batch = data.batch(torch.tensor([0, 3]), ())
    np.testing.assert_array_equal(batch.valid, [[True] * 4, [True, True, False, False]])
    run = _trainer(fakes, policy="regress", options=replace(fakes.SMALL, future_weight=0.0))
    spoilt = replace(batch, actions=torch.where(batch.valid[..., None], batch.actions, 99.0))
    losses = [run.policy.loss(b, torch.Generator().manual_seed(0))[1]["chunk"] for b in (batch, spoilt)]
    assert losses[0] == losses[1]


def test_rows_without_picture_or_joints_start_no_sample(fakes):
    episodes = fakes.fake_episodes(count=1, rows=8)
    episodes[0].pictures["head"][2] = b""
    episodes[0].state[5, 1] = np.nan
    data = load_data(episodes, fakes.small_spec(), seed=0, validation=0)
    assert data.train.tolist() == [0, 1, 3, 4, 6, 7]
    assert torch.isfinite(data.state).all()
    assert data.state[5, 1] == data.state[4, 1]


def test_what_the_guard_did_by_itself_is_not_imitated(fakes):
    episodes = fakes.fake_episodes(count=2, rows=8)
    episodes[1].waiting = 5
    data = load_data(episodes, fakes.small_spec(), seed=0, validation=0)
    assert data.train.tolist() == [*range(8), 13, 14, 15]
    episodes[0].waiting = episodes[1].waiting = 8
    with pytest.raises(DataError, match="nobody moved the robot"):
        load_data(episodes, fakes.small_spec(), seed=0, validation=0)


def test_joints_that_do_not_fit_are_named(fakes):
    with pytest.raises(DataError, match=r"episode e0: state \(12, 2\)"):
        load_data(fakes.fake_episodes(n=2), fakes.small_spec(3), seed=0, validation=0)


def test_a_broken_off_save_leaves_the_old_checkpoint(fakes, tmp_path, monkeypatch):
    run = _trainer(fakes)
    save(tmp_path / "c", run.checkpoint({"mark": 1}))
    monkeypatch.setattr("telerig.policies.checkpoint._write_json", lambda *a: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        save(tmp_path / "c", run.checkpoint({"mark": 2}))
    assert load(tmp_path / "c").provenance["mark"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_run_whose_time_went_into_reading_still_trains(fakes):
    clock = VirtualClock()
    data, stats = fakes.fake_data()
    config = TrainConfig(minutes=0.05, batch=4, warmup=2, options=fakes.SMALL)
    trainer = Trainer(data, stats, config, clock, clock.now())
    clock.advance(60 * 1_000_000_000)  # a busy machine
    trainer.run()
    assert trainer.step == LEAST_STEPS
    assert np.isfinite(trainer.loss)
    trainer.run()  # and no more of them
    assert trainer.step == LEAST_STEPS
    short = Trainer(data, stats, replace(config, max_steps=3), clock, clock.now())
    clock.advance(60 * 1_000_000_000)
    short.run()
    assert short.step == 3
    stopped = Trainer(data, stats, config, clock, clock.now())
    stopped.run(stop=lambda: True)
    assert stopped.step == 0
