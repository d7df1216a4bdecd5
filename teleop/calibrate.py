"""The calibration wizard: a list of steps that eat samples and end in calibration values.  Pure: no clock, no terminal.

Whoever runs it shows :attr:`Wizard.prompt`, calls :meth:`Wizard.confirm` when the wearer is ready, and feeds samples until
:attr:`Wizard.result` is there.  A step that is not good enough is refused with figures and repeated; nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.calibration import (
    GLOVE_CLOSED,
    GLOVE_OPEN,
    MIN_GLOVE_COUNTS,
    MIN_PEDAL_TRAVEL,
    Calibration,
    GloveCalibration,
    JointCalibration,
    PedalCalibration,
)
from telerig.hardware.errors import ConfigError
from telerig.teleop.retarget.joints import wrap

Vector = NDArray[np.float64]
STILL_NS = 1_000_000_000
MIN_SAMPLES = 20
STILL = {JointCalibration.kind: 0.03, GloveCalibration.kind: 40.0, PedalCalibration.kind: 0.02}  # standard deviation
UNIT = {JointCalibration.kind: "rad", GloveCalibration.kind: "counts", PedalCalibration.kind: "of the travel"}
SIGN_RAD = 0.35
SIGN_SHARE = 0.6  # of the joint that moved most: nobody turns one joint of an arm alone
OPTIONAL = "abduction"  # a fist does not spread the fingers
DIRECTIONS = {  # right-hand rule about x forward, y left, z up, the arm hanging, the forearm forward
    "shoulder_pitch": "swing the whole arm backwards",
    "shoulder_roll": "swing the whole arm to your left",
    "shoulder_yaw": "turn the upper arm so that the forearm points to your left",
    "elbow": "stretch the elbow, the hand goes down",
    "wrist_roll": "turn the wrist clockwise, as you see it",
    "wrist_pitch": "bend the hand down",
    "wrist_yaw": "bend the hand to your left",
}


@dataclass
class Step:
    """One thing to do.

    :param prompt: what the wearer is asked.
    :param still: capture 1 s and demand stillness; else wait for a movement.
    :param judge: for a still step: mean (n,) → why it is refused, or "".  For a movement: change (n,) since the confirmation →
        None while it is too small, "" when it is good, else why it is refused.
    """

    name: str
    prompt: str
    still: bool
    judge: Callable[[Vector], str | None]
    value: Vector = field(default_factory=lambda: np.empty(0))


class Wizard:
    """Runs steps, then makes values of them.

    :param kind: of calibration.  :param names: the device's elements, in order.
    """

    def __init__(
        self, kind: str, names: Sequence[str], *, signs: bool = True, directions: Mapping[str, str] = DIRECTIONS
    ) -> None:
        makers = {
            JointCalibration.kind: lambda: _joint_steps(names, signs, directions),
            GloveCalibration.kind: lambda: _glove_steps(names),
            PedalCalibration.kind: lambda: _pedal_steps(names),
        }
        if kind not in makers:
            raise ConfigError(f"nothing to calibrate in a device of kind '{kind}'; known: {', '.join(makers)}")
        self.kind, self.names = kind, tuple(names)
        self.steps = makers[kind]()
        self.at = 0
        self.refusal = ""
        self.result: Calibration | None = None
        self._window: list[tuple[int, Vector]] | None = None

    @property
    def prompt(self) -> str:
        """What to show: the task, and when to press Enter."""
        if self.result is not None:
            return "done"
        head = f"step {self.at + 1} of {len(self.steps)}: {self.steps[self.at].prompt}"
        return head if self._window is None else f"{head} …"

    @property
    def waiting(self) -> bool:
        """Whether it waits for :meth:`confirm`."""
        return self.result is None and self._window is None

    def confirm(self) -> None:
        """The wearer is ready: start to capture."""
        if self.waiting:
            self._window, self.refusal = [], ""

    def feed(self, t: int, value: Vector) -> None:
        """One sample's values (n,), NaN where not measured, and its instant."""
        if self._window is None or self.result is not None:
            return
        step = self.steps[self.at]
        if not np.isfinite(value).all():
            lost = [n for n, v in zip(self.names, value, strict=True) if not math.isfinite(v)]
            self._refuse(f"{', '.join(lost)}: not measured; check the cable")
            return
        self._window.append((t, np.array(value, float)))
        if step.still:
            self._still(step, self._window)
        else:
            change = value - self._window[0][1]
            verdict = step.judge(change)
            if verdict == "":
                self._done(step, change)
            elif verdict is not None:
                self._refuse(verdict)

    def _still(self, step: Step, window: list[tuple[int, Vector]]) -> None:
        if window[-1][0] - window[0][0] < STILL_NS:
            return
        if len(window) < MIN_SAMPLES:
            self._refuse(f"only {len(window)} samples in a second; at least {MIN_SAMPLES} are needed")
            return
        values = np.array([v for _, v in window])
        if self.kind == JointCalibration.kind:  # a servo at its seam flickers between +π and −π
            values = values[0] + wrap(values - values[0])
        spread = values.std(axis=0)
        limit, unit = STILL[self.kind], UNIT[self.kind]
        moved = [f"{n} ±{s:.3g}" for n, s in zip(self.names, spread, strict=True) if s > limit]
        mean: Vector = values.mean(axis=0)
        problem = f"hold still: {', '.join(moved)} {unit} (at most ±{limit:g})" if moved else step.judge(mean)
        if problem:
            self._refuse(problem)
        else:
            self._done(step, mean)

    def _refuse(self, why: str) -> None:
        self.refusal, self._window = why, None

    def _done(self, step: Step, value: Vector) -> None:
        step.value, self._window = value, None
        self.at += 1
        if self.at == len(self.steps):
            self.result = _result(self.kind, self.names, {s.name: s.value for s in self.steps})


def _joint_steps(names: Sequence[str], signs: bool, directions: Mapping[str, str]) -> list[Step]:
    def turned(i: int) -> Callable[[Vector], str | None]:
        def judge(change: Vector) -> str | None:
            change = wrap(change)
            most = int(np.argmax(np.abs(change)))
            if abs(change[most]) < SIGN_RAD:
                return None
            if abs(change[i]) >= SIGN_SHARE * abs(change[most]):
                return "" if abs(change[i]) >= SIGN_RAD else None
            return (
                f"{names[most]} moved {change[most]:+.2f} rad, {names[i]} only {change[i]:+.2f}; go back and try again"
            )

        return judge

    steps = [
        Step(
            "neutral",
            "take the neutral pose (docs/calibration.md), press Enter and hold still for 1 s",
            True,
            lambda _: "",
        )
    ]
    if signs:
        for i, name in enumerate(names):
            how = directions.get(name, f"turn {name} the way in which the robot's joint angle grows")
            prompt = f"hold the neutral pose, press Enter, then {how}, by about 30° ({name})"
            steps.append(Step(f"sign {i}", prompt, False, turned(i)))
    return steps


def _glove_steps(names: Sequence[str]) -> list[Step]:
    flat = Step(
        "open", "hold the hand flat open, fingers together, press Enter and hold still for 1 s", True, lambda _: ""
    )

    def closed(mean: Vector) -> str:
        travel = np.abs(mean - flat.value)
        short = [
            f"{n} {t:.0f}" for n, t in zip(names, travel, strict=True) if t < MIN_GLOVE_COUNTS and OPTIONAL not in n
        ]
        if not short:
            return ""
        return f"too small a range: {', '.join(short)} counts (at least {MIN_GLOVE_COUNTS:g}); close the fist, or mend the sensor"

    return [
        flat,
        Step("closed", "close a fist, thumb across the fingers, press Enter and hold it for 1 s", True, closed),
    ]


def _pedal_steps(names: Sequence[str]) -> list[Step]:
    rest = Step("rest", "take both feet off the pedals, press Enter and wait 1 s", True, lambda _: "")

    def pressed(i: int) -> Callable[[Vector], str]:
        def judge(mean: Vector) -> str:
            travel = np.abs(mean - rest.value)
            if travel[i] < MIN_PEDAL_TRAVEL:
                return f"too small a range: {names[i]} {travel[i]:.2f} of the travel (at least {MIN_PEDAL_TRAVEL:g})"
            if int(np.argmax(travel)) != i:
                return f"{names[int(np.argmax(travel))]} is pressed further than {names[i]}; one pedal at a time"
            return ""

        return judge

    more = [
        Step(f"pressed {i}", f"press the {n} pedal all the way, press Enter and hold it for 1 s", True, pressed(i))
        for i, n in enumerate(names)
    ]
    return [rest, *more]


def _result(kind: str, names: tuple[str, ...], values: Mapping[str, Vector]) -> Calibration:
    def numbers(v: Vector) -> tuple[float, ...]:
        return tuple(round(float(x), 6) for x in v)

    if kind == JointCalibration.kind:
        signs = [values.get(f"sign {i}") for i in range(len(names))]
        turned = [1.0 if s is None else float(wrap(s)[i]) for i, s in enumerate(signs)]
        return JointCalibration(names, numbers(values["neutral"]), tuple(math.copysign(1.0, w) for w in turned))
    if kind == GloveCalibration.kind:
        opened, closed = values["open"].copy(), values["closed"].copy()
        half = (GLOVE_CLOSED - GLOVE_OPEN) / 2
        for i in np.flatnonzero(np.abs(closed - opened) < MIN_GLOVE_COUNTS):  # abduction: the flat hand is its middle
            opened[i], closed[i] = opened[i] - half, opened[i] + half
        return GloveCalibration(names, numbers(opened), numbers(closed))
    pressed = np.array([values[f"pressed {i}"][i] for i in range(len(names))])
    return PedalCalibration(names, numbers(values["rest"]), numbers(pressed))
