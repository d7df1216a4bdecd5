"""Body-policy manifests: what an ONNX policy sees, in which order and scale, and what its outputs mean.

A manifest is a TOML file (docs/body.md has every key).  Angles rad, gains N m/rad and N m s/rad, torques N m, lengths m,
times s.  Unknown keys, strings for numbers, NaN: refused, one line a mistake.  What the parts say of each other is
checked in ``checks.py``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from telerig.hardware.errors import ConfigError
from telerig.teleop.config_values import describe

COMMANDS = ("vx", "vy", "yaw_rate", "height")  # as every embodiment's walking base names them, in its order
VELOCITIES = COMMANDS[:3]
RESPONSES = ("response", "response_back", "response_low", "response_low_back")  # keys of a command, each pairs
CommandName = Literal["vx", "vy", "yaw_rate", "height"]

# TOML has lists only; strictness is kept for what is inside.
Names = Annotated[tuple[str, ...], Field(strict=False)]
Floats = Annotated[tuple[float, ...], Field(strict=False)]
Integers = Annotated[tuple[int, ...], Field(strict=False)]
Pair = Annotated[tuple[float, float], Field(strict=False)]
# One number for all elements, or one for each.
OneOrEach = Annotated[tuple[float, ...], BeforeValidator(lambda v: (v,) if isinstance(v, int | float) else v),
                      Field(strict=False)]  # fmt: skip


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelFile(_Table):
    """``[model]``: the ONNX file and its one input and output.

    :param file: beside the manifest, or inside the installed Python package ``package``.
    :param inputs, outputs: numbers that go in and come out a call.
    :param obtain: for files that telerig does not ship: one line on where users get them.
    :param unusual_order: the file says nothing of its joints, and their order in the manifest is not the robot's.
    """

    file: str
    package: str = ""
    sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    size_bytes: int | None = Field(None, gt=0)
    input: str
    output: str
    inputs: int = Field(gt=0, le=100_000)
    outputs: int = Field(gt=0, le=1000)
    obtain: str = ""
    unusual_order: bool = False


class Joint(_Table):
    """A joint that the policy sees.  A joint that it drives has gains (kp, kd) and a torque limit too."""

    name: str
    default: float
    kp: float | None = Field(None, gt=0, le=1000)
    kd: float | None = Field(None, gt=0, le=100)
    torque: float | None = Field(None, gt=0, le=1000)


class Action(_Table):
    """``[action]``: target = base + scale · clip(output); the base is the reference's pose, or without one the default.

    :param joints: in the order of the outputs; without it, all joints with gains, in their order.
    :param clip: outputs are clipped to ± this, before they count as last action.
    :param overridden: what the last-action slots of joints hold that somebody else drives: the policy's ``own`` output,
        the ``executed`` target as an output (target − base) / scale, or ``zero``.
    """

    joints: Names = ()
    scale: OneOrEach
    clip: float | None = Field(None, gt=0)
    overridden: Literal["own", "executed", "zero"] = "own"


class ObservationTerm(_Table):
    """``[[observation.terms]]``: scale · value + bias of one term of ``terms.py``.

    :param joints, items, phases: which of a term's elements, in this order; without it, all of them.
    :param history: steps of this term, where ``layout`` is ``term``.
    """

    term: str
    scale: OneOrEach = (1.0,)
    bias: OneOrEach = (0.0,)
    joints: Names | None = None
    items: Names | None = None
    phases: Integers | None = None
    history: int | None = Field(None, ge=1, le=200)


class Observation(_Table):
    """``[observation]``: terms in order, and how several steps of them lie in the input.

    :param layout: ``step``: whole steps one after another; ``term``: for each term its steps.
    :param fill: before there are enough steps, ``zero``, or the first one repeated (``repeat``).
    :param clip: every element, once scaled, is clipped to ± this.
    """

    history: int = Field(1, ge=1, le=200)
    layout: Literal["step", "term"] = "step"
    order: Literal["oldest_first", "newest_first"] = "oldest_first"
    fill: Literal["zero", "repeat"] = "zero"
    clip: float | None = Field(None, gt=0)
    terms: Annotated[tuple[ObservationTerm, ...], Field(strict=False)]


class CommandItem(_Table):
    """``[command.vx]`` and the like.

    :param range: of what the policy is given.
    :param home: where it starts (height).
    :param slew: how fast the wish may change, per second; without it, at once.
    :param stop_below: a walk that is to end goes on until the slewed velocity is this small; else ``rest_below``.
    :param response: (given, achieved) pairs as measured, from the largest that achieves nothing; the runtime gives the
        policy what achieves the wish.  Without it, the wish is given as it is.
    :param response_back: the same for negative wishes, as sizes; without it, ``response`` is valid for both signs.
    :param response_low, response_low_back: the same low (``[command] low_heights``); the runtime mixes by the height.
    """

    range: Pair
    home: float = 0.0
    slew: float | None = Field(None, gt=0)
    stop_below: float | None = Field(None, ge=0, le=0.5)
    response: Annotated[tuple[Pair, ...], Field(strict=False)] = ()
    response_back: Annotated[tuple[Pair, ...], Field(strict=False)] = ()
    response_low: Annotated[tuple[Pair, ...], Field(strict=False)] = ()
    response_low_back: Annotated[tuple[Pair, ...], Field(strict=False)] = ()


class CommandTable(_Table):
    """``[command]``: what the policy can be asked for.  Velocities within ± ``rest_below`` are rest.

    :param low_heights: m: down to the first, ``response`` holds; at the second and below, ``response_low``.
    """

    rest_below: float = Field(0.01, ge=0, le=0.5)
    low_heights: Pair | None = None
    vx: CommandItem | None = None
    vy: CommandItem | None = None
    yaw_rate: CommandItem | None = None
    height: CommandItem | None = None

    @property
    def names(self) -> tuple[CommandName, ...]:
        """Commands that the policy takes, in the order of :data:`COMMANDS`."""
        return tuple(name for name in _COMMAND_NAMES if getattr(self, name) is not None)

    def item(self, name: CommandName) -> CommandItem:
        """:raises ConfigError: the policy takes no such command."""
        found: CommandItem | None = getattr(self, name)
        if found is None:
            raise ConfigError(f"the policy takes no command '{name}' (it takes {', '.join(self.names)})")
        return found


_COMMAND_NAMES: tuple[CommandName, ...] = ("vx", "vy", "yaw_rate", "height")


class Clock(_Table):
    """``[clock]``: phases that run with a period while the command is not rest.

    :param offsets: each phase's start, rad.
    :param at_rest: ``zero``: sine and cosine are both 0; ``fixed``: every phase is ``rest_phase``; ``run``: it runs on.
    :param restart: leaving rest begins at the offsets again.
    """

    period_s: float = Field(gt=0, le=100)
    offsets: Floats = (0.0,)
    at_rest: Literal["zero", "fixed", "run"] = "zero"
    rest_phase: float = math.pi
    restart: bool = True


class HeightTable(_Table):
    """``[reference.height_table]``: joint angles by commanded height; between them linear, beyond them the last ones."""

    height: Floats
    joints: dict[str, Floats]


class HeightCurve(_Table):
    """``[reference.factors.NAME]``: a number by commanded height, for waves: a lower hip needs wider angles for a stride."""

    height: Floats
    value: Floats


class Wave(_Table):
    """``[[reference.gait]]``: while walking, adds to each joint its amplitude · shape(phase) · command.

    :param shape: ``lift`` is the sine's positive half, ``one`` is constant.
    :param times: the command that it is multiplied by, if any; by its size with ``absolute``.
    :param factors: names of ``[reference.factors]`` that it is multiplied by too.
    """

    phase: int = Field(0, ge=0)
    shape: Literal["sin", "cos", "lift", "one"]
    times: CommandName | None = None
    absolute: bool = False
    factors: Names = ()
    joints: dict[str, float]


class ReferenceTable(_Table):
    """``[reference]``: an analytic pose that the action is added to."""

    height_table: HeightTable | None = None
    factors: dict[str, HeightCurve] = {}
    gait: Annotated[tuple[Wave, ...], Field(strict=False)] = ()


class Manifest(_Table):
    """A whole manifest."""

    format: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str = ""
    licence: str
    source: str
    embodiment: str
    rate_hz: float = Field(gt=0, le=1000)
    model: ModelFile
    joints: Annotated[tuple[Joint, ...], Field(strict=False)]
    action: Action
    observation: Observation
    command: CommandTable
    clock: Clock | None = None
    reference: ReferenceTable | None = None

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Joints it sees, in order."""
        return tuple(j.name for j in self.joints)

    @property
    def action_joints(self) -> tuple[str, ...]:
        """Joints it drives, in the order of its outputs."""
        return self.action.joints or tuple(j.name for j in self.joints if j.kp is not None)

    def joint(self, name: str) -> Joint:
        """:raises ConfigError: the policy sees no such joint."""
        for joint in self.joints:
            if joint.name == name:
                return joint
        raise ConfigError(f"body policy {self.name}: it has no joint '{name}'")

    def column(self, key: Literal["default", "kp", "kd", "torque"], joints: Sequence[str]) -> NDArray[np.float64]:
        """One key of several joints, ``(n,)``; NaN where a joint has none."""
        values = [getattr(self.joint(name), key) for name in joints]
        return np.array([math.nan if v is None else v for v in values], np.float64)


def parse_manifest(tables: Mapping[str, Any], where: str) -> Manifest:
    """A manifest from its TOML tables.  :raises ConfigError: one line for every key that is wrong; ``where`` leads it."""
    try:
        return Manifest.model_validate(dict(tables))
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {line}" for line in describe(error, "").splitlines()))


def read_manifest(path: Path) -> Manifest:
    """Read a manifest file; its parts are not yet compared with each other.

    :raises ConfigError: not there, not TOML, or :func:`parse_manifest` refuses it.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the manifest: {error.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a manifest: {error}")
    return parse_manifest(tables, str(path))
