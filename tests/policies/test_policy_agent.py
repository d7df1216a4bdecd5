"""Executing chunks: by absolute time, nothing expired, silence when there is nothing to say."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerig.hardware.commands import Mode, Source
from telerig.hardware.protocols import Agent
from telerig.hardware.samples import Sample
from telerig.hardware.specs import ArraySpec, StreamSpec
from telerig.policies.agent import PATIENCE_NS, PolicyAgent
from telerig.policies.chunk import Chunk, chunk_stream
from telerig.teleop.states import State

MS = 1_000_000
DT = 30 * MS


def _chunk(seq, t0, values, t_obs=None):
    actions = np.repeat(np.asarray(values, float)[:, None], 3, axis=1)
    return Chunk(t0, DT, actions, t_obs or (t0, t0 + 5 * MS), seq)


@pytest.fixture
def setup(fakes):
    agent: Agent = PolicyAgent(fakes.small_spec(), blend_ns=0)
    stream = fakes.FakeStream(chunk_stream(3, 4))
    agent.act({"policy/chunk": stream}, 0)
    return agent, stream, {"policy/chunk": stream}


def _value(commands):
    (command,) = commands
    assert np.ptp(command.data) == 0
    return command.data[0]


def test_commands_follow_the_chunk_by_absolute_time(setup):
    agent, stream, observation = setup
    stream.samples.append(_chunk(1, 100 * MS, [0, 1, 2, 3]).to_sample(150 * MS))
    assert _value(agent.act(observation, 160 * MS)) == pytest.approx(2.0)  # steps at 100 and 130 ms have expired
    assert _value(agent.act(observation, 175 * MS)) == pytest.approx(2.5)
    (command,) = agent.act(observation, 190 * MS)
    assert (command.target, command.mode, command.source) == ("robot/upper", Mode.JOINT_POSITION, Source.POLICY)
    assert (command.t_issued, command.t_inputs) == (190 * MS, (100 * MS, 105 * MS))
    assert command.data[0] == 3.0


def test_an_exhausted_chunk_means_silence(setup):
    agent, stream, observation = setup
    stream.samples.append(_chunk(1, 100 * MS, [0, 1, 2, 3]).to_sample(150 * MS))
    assert agent.act(observation, 190 * MS)
    assert not agent.act(observation, 190 * MS + 1)
    stream.samples.append(_chunk(2, 300 * MS, [5, 5, 5, 5]).to_sample(310 * MS))
    assert _value(agent.act(observation, 310 * MS)) == 5.0


def test_no_chunk_no_command(setup):
    agent, _, observation = setup
    assert not agent.act(observation, 10 * MS)
    assert not agent.act({}, 20 * MS)


def test_chunks_from_before_a_reset_are_ignored(setup):
    agent, stream, observation = setup
    stream.samples.append(_chunk(1, 100 * MS, [1] * 4).to_sample(110 * MS))
    assert agent.act(observation, 120 * MS)
    agent.reset()
    assert not agent.act(observation, 121 * MS)
    stream.samples.append(_chunk(2, 115 * MS, [2] * 4, (115 * MS, 130 * MS)).to_sample(131 * MS))
    assert not agent.act(observation, 132 * MS)  # one of its inputs is older than the reset
    stream.samples.append(_chunk(3, 140 * MS, [3] * 4).to_sample(150 * MS))
    assert _value(agent.act(observation, 151 * MS)) == 3.0


def test_command_numbers_rise_across_resets(setup):
    agent, stream, observation = setup
    stream.samples.append(_chunk(1, 100 * MS, [1] * 4).to_sample(110 * MS))
    first = agent.act(observation, 120 * MS)[0].seq
    agent.reset()
    agent.act(observation, 125 * MS)
    stream.samples.append(_chunk(1, 130 * MS, [1] * 4).to_sample(131 * MS))
    assert agent.act(observation, 132 * MS)[0].seq > first


def test_a_new_chunk_takes_over_gradually(fakes):
    agent = PolicyAgent(fakes.small_spec(), blend_ns=40 * MS)
    stream = fakes.FakeStream(chunk_stream(3, 4))
    observation = {"policy/chunk": stream}
    agent.act(observation, 0)
    stream.samples.append(_chunk(1, 10 * MS, [0] * 4).to_sample(20 * MS))
    assert _value(agent.act(observation, 20 * MS)) == 0.0
    stream.samples.append(_chunk(2, 30 * MS, [1] * 4).to_sample(40 * MS))
    shares = [_value(agent.act(observation, t * MS)) for t in (40, 50, 60, 70, 80, 90)]
    assert shares == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0, 1.0])


def _session(fakes, state):
    spec = StreamSpec("session/state", (ArraySpec("state", (), "<u1"),), 200.0)
    return fakes.FakeStream(spec, [Sample("session/state", 0, 0, {"state": np.array(state, np.uint8)})])


def test_until_engaged_it_intends_where_the_robot_stands(fakes):
    agent, stream, state = PolicyAgent(fakes.small_spec()), fakes.FakeStream(chunk_stream(3, 4)), fakes.state_stream()
    observation = {"policy/chunk": stream, "robot/state": state, "session/state": _session(fakes, State.IDLE)}
    state.samples.append(Sample("robot/state", 9 * MS, 8 * MS, {"position": np.full(3, 0.3)}))
    stream.samples.append(_chunk(1, 8 * MS, [2] * 4).to_sample(9 * MS))
    assert not agent.act(observation, 10 * MS)
    agent.reset()
    observation["session/state"] = _session(fakes, State.MATCHING)
    assert _value(agent.act(observation, 15 * MS)) == 0.3
    state.samples.append(Sample("robot/state", 19 * MS, 18 * MS, {"position": np.full(3, 0.2)}))
    assert _value(agent.act(observation, 20 * MS)) == 0.3  # the pose is latched: it does not sag with the robot
    observation["session/state"] = _session(fakes, State.ENGAGED)
    (command,) = agent.act(observation, 25 * MS)  # the only chunk is from before
    assert (command.data[0], command.t_inputs) == (0.3, (9 * MS, 9 * MS))
    stream.samples.append(_chunk(2, 30 * MS, [1] * 4).to_sample(40 * MS))
    assert _value(agent.act(observation, 45 * MS)) == 1.0
    assert not agent.act(observation, 200 * MS)  # used up: silence, not the old pose
    observation["session/state"] = _session(fakes, State.HOLD)
    assert not agent.act(observation, 205 * MS)


def test_it_does_not_wait_for_a_first_chunk_for_ever(fakes):
    agent, state = PolicyAgent(fakes.small_spec()), fakes.state_stream()
    observation = {"robot/state": state, "session/state": _session(fakes, State.MATCHING)}
    state.samples.append(Sample("robot/state", 9 * MS, 8 * MS, {"position": np.full(3, 0.3)}))
    agent.act(observation, 0)
    observation["session/state"] = _session(fakes, State.ENGAGED)
    assert agent.act(observation, 5 * MS)
    assert agent.act(observation, 5 * MS + PATIENCE_NS)
    assert not agent.act(observation, 6 * MS + PATIENCE_NS)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=8), st.integers(0, 400 * MS))
def test_targets_lie_between_their_neighbours(values, t):
    chunk = _chunk(1, 50 * MS, values)
    target = chunk.at(t)
    if t > 50 * MS + (len(values) - 1) * DT:
        assert target is None
        return
    k = max(0, (t - 50 * MS) // DT)
    pair = values[k : k + 2]
    assert min(pair) - 1e-9 <= target[0] <= max(pair) + 1e-9


def test_requires_state_and_cameras_but_not_its_chunks(setup):
    assert setup[0].requires == ("robot/state", "head/color")


def test_the_loop_needs_no_torch():
    code = "import sys, telerig.policies.agent, telerig.policies.checkpoint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
