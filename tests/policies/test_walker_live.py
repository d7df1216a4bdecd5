"""The humanoid on its own feet in real time: processes, and the bus on a socket."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from telerig.drivers.emulation_control import send_fault
from telerig.hardware.legs import Balance
from telerig.teleop.bench.loop_bench import hand_process, in_state, wait_for
from telerig.teleop.live import LiveOptions
from telerig.teleop.operate import running
from telerig.teleop.states import State

from .walker import walking_rig

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.realtime
HAND = {
    "factory": "telerig.teleop.bench.hands:SineHand",
    "config": {
        "embodiment": "g1_like",
        "arms": {"exo_left": ["left_arm"], "exo_right": ["right_arm"]},
        "gloves": ["glove_left", "glove_right"],
        "pedals": "pedals",
    },
}


def test_without_its_pedal_box_it_stands(tmp_path: Path) -> None:
    rig, options = walking_rig(tmp_path, rise_s=1.0), LiveOptions(extra=(hand_process(HAND),))
    with running(rig, options, tmp_path / "run") as (session, _):
        wait_for(session, lambda: in_state(session, State.ENGAGED), 40.0, "engaging")
        send_fault(tmp_path / "run" / "ports", "pedals", "unplug", seconds=60.0)
        wait_for(session, lambda: in_state(session, State.DAMPED), 5.0, "holding, not stopping")
        newest = session.reader("robot/balance").latest()
        assert newest is not None
        assert Balance(int(newest.array("state"))) is Balance.BALANCING
        assert not session.control.estop


def test_when_the_loop_is_killed_it_stands_goes_down_and_is_damped(tmp_path: Path) -> None:
    rig = walking_rig(tmp_path, rise_s=1.0)
    options = LiveOptions(extra=(hand_process(HAND),))
    with running(rig, options, tmp_path / "run") as (session, _):
        wait_for(session, lambda: in_state(session, State.ENGAGED), 40.0, "engaging")
        tap, before = session.reader("robot/balance").tap(), session.reader("robot/balance").latest()
        assert before is not None
        assert Balance(int(before.array("state"))) is Balance.BALANCING
        killed = session.clock.now()
        os.kill(session.pids()["loop"], signal.SIGKILL)
        while not session.control.stopping:  # a session without its loop ends
            session.clock.sleep_until(session.clock.now() + 5_000_000)
        samples = tap.read()[0]
    samples += tap.read()[0]
    states = [Balance(int(s.array("state"))) for s in samples]
    # the session may end within one step of the legs
    went = [s for s in dict.fromkeys(states) if s is not Balance.BALANCING]
    assert went == [Balance.LOWERING, Balance.LIMP]
    late = [s.array("wish")[:3] for s in samples if s.t_arrival > killed + 300_000_000]
    assert late
    np.testing.assert_array_equal(late, 0.0)
