"""Before the humanoid stands on its own feet: what is not still is not engaged, and what goes wrong on the way lets go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from telerig.hardware.legs import Balance, LegMode
from telerig.teleop import body
from telerig.teleop.states import State

from .walker import Walker, firmware, folded, heard, lost, measured

pytest.importorskip("onnxruntime")


@pytest.fixture
def limp(tmp_path: Path) -> Iterator[Walker]:
    """On its gantry, at rest; nobody steers."""
    walker = Walker(tmp_path, rise_s=0.5, settle_s=0.2)
    with walker.session:
        walker.run(0.2, State.IDLE)
        walker.run(0.5)
        assert walker.state is Balance.LIMP
        yield walker


def rise(walker: Walker, until: Balance) -> None:
    walker.press()
    walker.run(1.5, until)
    assert walker.state is until


def let_go(walker: Walker, words: str) -> None:
    """Limp, damped, for this reason, and no fall of it was made."""
    assert walker.state is Balance.LIMP
    assert firmware(walker).leg_mode is LegMode.DAMP
    assert words in walker.happened("body.limp")[-1]
    assert not walker.happened("body.fall")


@pytest.mark.parametrize(
    ("field", "index", "rest", "motion"),
    [("velocity", 3, 0.9, 1.1), ("velocity", -1, -0.9, -1.1), ("angular_velocity", 2, -0.4, -0.6)],
)
def test_a_robot_that_moves_is_not_engaged(limp: Walker, field: str, index: int, rest: float, motion: float) -> None:
    """A knee, the waist, the pelvis, faster and slower than what counts as rest."""
    heard(limp, measured(field, index, motion))
    limp.press()
    limp.run(0.6)
    assert limp.state is Balance.LIMP
    assert "not level and still" in limp.happened("body.not_settled")[0]
    heard(limp, measured(field, index, rest))
    limp.run(0.15)
    assert limp.state is Balance.LIMP  # it must stay so
    limp.run(0.15)
    assert limp.state is Balance.RISING


@pytest.mark.parametrize("state", [Balance.RISING, Balance.SETTLING])
def test_legs_that_are_not_measured_on_the_way_up_let_go(limp: Walker, state: Balance) -> None:
    rise(limp, state)
    heard(limp, lost("robot/body"))
    limp.run(0.08)
    assert limp.state is state
    limp.run(0.07)
    let_go(limp, "not measured any more")
    assert not limp.session.control.estop


@pytest.mark.parametrize("state", [Balance.RISING, Balance.SETTLING])
def test_an_estop_on_the_way_up_lets_go_at_once(limp: Walker, state: Balance) -> None:
    rise(limp, state)
    limp.session.control.press_estop()
    limp.run(0.03)
    let_go(limp, "e-stop")


def crouching(walker: Walker) -> Any:
    return measured("position", *folded(walker, -2.5))


def kicking(walker: Walker) -> Any:
    return measured("velocity", 3, 1.1)


@pytest.mark.parametrize("trouble", [crouching, kicking])
def test_one_that_does_not_stand_still_in_its_stance_is_let_go(limp: Walker, trouble: Any, monkeypatch: Any) -> None:
    """Its legs do not come near the stance (and nobody calls that a fall while its gantry carries it), or they move."""
    assert body.SETTLE_LIMIT_NS == 5_000_000_000
    monkeypatch.setattr(body, "SETTLE_LIMIT_NS", 600_000_000)
    rise(limp, Balance.SETTLING)
    heard(limp, trouble(limp))
    limp.run(0.55)
    assert limp.state is Balance.SETTLING
    limp.run(0.1)
    let_go(limp, "does not stand still in its stance")
    assert limp.plant.rope == 1.0
