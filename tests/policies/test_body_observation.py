"""A body policy's input, number by number: order, scale, history, whatever the manifest says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerig.hardware.errors import ConfigError
from telerig.policies.body.manifest import parse_manifest
from telerig.policies.body.observation import Assembler, term_sizes
from telerig.policies.body.runtime import BodyPolicy
from telerig.policies.body.terms import TERMS, Sections

JOINTS = ("a", "b", "c")
CHOICES = {"joints": JOINTS, "items": ("vx", "height"), "phases": (0, 1)}


@st.composite
def terms(draw, with_history):
    name = draw(st.sampled_from(sorted(TERMS)))
    term = {"term": name, "scale": draw(st.floats(0.1, 3)), "bias": draw(st.floats(-1, 1))}
    choice = TERMS[name].choice
    if choice and draw(st.booleans()):
        known = CHOICES[choice]
        term[choice] = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
    if with_history and draw(st.booleans()):
        term["history"] = draw(st.integers(1, 4))
    return term


@st.composite
def observations(draw):
    layout = draw(st.sampled_from(("step", "term")))
    return {
        "layout": layout,
        "history": draw(st.integers(1, 4)),
        "order": draw(st.sampled_from(("oldest_first", "newest_first"))),
        "fill": draw(st.sampled_from(("zero", "repeat"))),
        "clip": draw(st.sampled_from((0.5, 100.0))),
        "terms": draw(st.lists(terms(layout == "term"), min_size=1, max_size=5)),
    }


def small(observation):
    tables = {
        "format": 1, "name": "small", "licence": "x", "source": "x", "embodiment": "x", "rate_hz": 50,
        "joints": [{"name": j, "default": 0.0, "kp": 1, "kd": 1, "torque": 1} for j in JOINTS],
        "model": {"file": "x", "input": "i", "output": "o", "inputs": 1, "outputs": 3},
        "action": {"scale": 1.0}, "command": {"vx": {"range": [-1, 1]}, "height": {"range": [0, 1]}},
        "clock": {"period_s": 1.0, "offsets": [0.0, 1.0]}, "observation": observation,
    }  # fmt: skip
    return parse_manifest(tables, "small.toml")


def naive(observation, sections, sources):
    """The input after these source vectors, by the words of the documentation."""

    def values(term, source):
        here = source[sections[term["term"]]]
        known = [str(n) for n in sections.elements[term["term"]]]
        choice = TERMS[term["term"]].choice
        wanted = [str(n) for n in term.get(choice, known)] if choice else known
        picked = [here[known.index(n)] * term["scale"] + term["bias"] for n in wanted]
        return np.clip(picked, -observation["clip"], observation["clip"])

    def steps(term, count):
        if observation["fill"] == "repeat":
            padded = [values(term, sources[0])] * count + [values(term, s) for s in sources]
        else:
            padded = [np.zeros(len(values(term, sources[0])))] * count + [values(term, s) for s in sources]
        last = padded[-count:]
        return last if observation["order"] == "oldest_first" else last[::-1]

    blocks = [steps(t, t.get("history", observation["history"])) for t in observation["terms"]]
    if observation["layout"] == "step":
        return np.concatenate([b[k] for k in range(observation["history"]) for b in blocks])
    return np.concatenate([np.concatenate(b) for b in blocks])


@given(observations(), st.integers(1, 7), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_every_number_stands_where_the_manifest_says(observation, pushes, seed):
    made = small(observation)
    assembler, rng = Assembler(made), np.random.default_rng(seed)
    sources = [rng.normal(size=assembler.sections.size) for _ in range(pushes)]
    for source in sources:
        got = assembler.push(source)
    want = naive(observation, Sections(made), sources)
    assert got.dtype == np.float32
    assert got.shape == (1, len(want)) == (1, sum(n for _, n in term_sizes(made)))
    np.testing.assert_allclose(got[0], want, rtol=1e-5, atol=1e-6)


@given(observations(), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_reset_forgets(observation, seed):
    made = small(observation)
    assembler, rng = Assembler(made), np.random.default_rng(seed)
    source = rng.normal(size=assembler.sections.size)
    first = assembler.push(source).copy()
    for _ in range(3):
        assembler.push(rng.normal(size=assembler.sections.size))
    assembler.reset()
    np.testing.assert_array_equal(assembler.push(source), first)


@given(st.permutations(range(21)), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_the_callers_joint_order_does_not_matter(body_toy, order, extra):
    """Joints are found by name: however the caller orders them, and whatever others it has, the input is the same."""
    made, seen = body_toy.manifest(), []

    def infer(x):
        seen.append(x.copy())
        return np.arange(12, dtype=np.float32)[None]

    def target(joints):
        policy = BodyPolicy(made, infer, joints, [-9.0] * len(joints), [9.0] * len(joints))
        return policy.step(body_toy.state(joints=joints, seed=extra), [0.3, 0, 0.1, 0.7]).position

    plain = target(made.joint_names)
    mixed = [made.joint_names[k] for k in order]
    mixed.insert(extra % 20, "left_hand_index_0_joint")
    np.testing.assert_array_equal(target(mixed), plain)
    np.testing.assert_array_equal(seen[0], seen[1])


def test_the_recipes_67_numbers(body_toy):
    """Shown on one step, so that nobody has to trust the oracle above."""
    made, seen = body_toy.manifest(), []
    joints = made.joint_names
    policy = BodyPolicy(
        made, lambda x: seen.append(x[0].copy()) or np.full((1, 12), 0.5, "f4"), joints, [-9] * 21, [9] * 21
    )
    state = body_toy.state()
    for _ in range(2):
        policy.step(state, [0.0, 0.0, 0.0, 0.74])
    x = seen[1]
    np.testing.assert_allclose(x[:4], [0, 0, 0, 3 * 0.74 - 2], atol=1e-6)
    np.testing.assert_allclose(x[4:7], 0.25 * state.angular_velocity, rtol=1e-6)
    np.testing.assert_allclose(x[7:10], state.gravity, rtol=1e-6)
    np.testing.assert_allclose(x[10:31], state.position - made.column("default", joints), rtol=1e-5)
    np.testing.assert_allclose(x[31:52], 0.05 * state.velocity, rtol=1e-5)
    np.testing.assert_allclose(x[52:64], 0.5)
    np.testing.assert_array_equal(x[64:], [0, 0, 0])  # at rest: no clock, no flag


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ({"term": "joint_acceleration"}, "observation term 'joint_acceleration' is unknown; known: command,"),
        ({"term": "joint_position", "joints": ["d"]}, "observation term 'joint_position' has no 'd' (it has a, b, c)"),
        ({"term": "angular_velocity", "joints": ["a"]}, "observation term 'angular_velocity' takes no 'joints'"),
        ({"term": "command", "items": ["vy"]}, "observation term 'command' has no 'vy' (it has vx, height)"),
        ({"term": "clock_sin", "phases": [2]}, "observation term 'clock_sin' has no '2' (it has 0, 1)"),
        ({"term": "joint_position", "scale": [1.0, 2.0]}, "joint_position: scale has 2 numbers, one or 3 are right"),
    ],
)
def test_terms_that_are_not_there(term, message):
    with pytest.raises(ConfigError) as error:
        Assembler(small({"terms": [term]}))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
