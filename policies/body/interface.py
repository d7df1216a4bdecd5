"""What an ONNX file says of itself: all that a manifest must get right, written into the file's metadata when it is made.

The shapes of a file cannot tell a left knee from a right one, nor a scale of 0.5 from 0.25.  telerig's own files carry
every number and name that the runtime computes with; holosoma's carry joint names and gains.  A manifest that says
otherwise is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

from telerig.hardware.errors import ConfigError
from telerig.policies.body.manifest import RESPONSES, Manifest
from telerig.policies.body.observation import term_sizes
from telerig.policies.body.terms import Sections, spread

KEY = "telerig.interface"  # metadata key of telerig's own files
OWN, OTHERS = 1e-6, 1e-3  # relative: manifests of others' files are written by hand, with rounded gains
NONE = "none"


@dataclass(frozen=True, slots=True)
class _Part:
    """One thing that is compared: its elements, and what they are called (empty: a name says it all)."""

    values: Sequence[Any]
    names: Sequence[str] = ()


def interface(manifest: Manifest) -> dict[str, Any]:
    """What must agree between a file and its manifest, as plain values; a trainer writes it under :data:`KEY` as JSON."""
    return {key: list(part.values) for key, part in _parts(manifest).items()}


def _parts(manifest: Manifest) -> dict[str, _Part]:
    """In the order in which they are compared: what comes first explains what comes later."""
    driven, joints = manifest.action_joints, manifest.joint_names
    scale = spread(manifest.action.scale, len(driven), "[action] scale")
    return {
        "embodiment": _Part([manifest.embodiment]),
        "joints": _Part(joints),
        "action joints": _Part(driven),
        "commands": _Part(manifest.command.names),
        **_observation(manifest),
        "default pose": _Part(manifest.column("default", joints).tolist(), joints),
        "action scale": _Part(scale.tolist(), driven),
        "action clip": _Part([_or_none(manifest.action.clip)]),
        "last action of overridden joints": _Part([manifest.action.overridden]),
        "kp": _Part(manifest.column("kp", driven).tolist(), driven),
        "kd": _Part(manifest.column("kd", driven).tolist(), driven),
        "torque": _Part(manifest.column("torque", driven).tolist(), driven),
        "rate": _Part([manifest.rate_hz]),
        **_commands(manifest),
        "clock": _clock(manifest),
        "reference": _reference(manifest),
    }


def _observation(manifest: Manifest) -> dict[str, _Part]:
    observation, sections = manifest.observation, Sections(manifest)
    names: list[str] = []
    scale: list[float] = []
    bias: list[float] = []
    for term in observation.terms:
        chosen = [sections.name(int(i)) for i in sections.indices(term)]
        names += chosen
        scale += spread(term.scale, len(chosen), f"{term.term}: scale").tolist()
        bias += spread(term.bias, len(chosen), f"{term.term}: bias").tolist()
    return {
        "observation terms": _Part([f"{name} {size}" for name, size in term_sizes(manifest)]),
        "observation elements": _Part(names),
        "observation scale": _Part(scale, names),
        "observation bias": _Part(bias, names),
        "observation layout": _Part([observation.layout, observation.order, observation.fill]),
        "observation clip": _Part([_or_none(observation.clip)]),
    }


def _commands(manifest: Manifest) -> dict[str, _Part]:
    table = manifest.command
    names, items = table.names, [table.item(name) for name in table.names]
    stops = [table.rest_below if item.stop_below is None else item.stop_below for item in items]
    return {
        "command range": _Part([v for i in items for v in i.range], [f"{n} {end}" for n in names for end in _ENDS]),
        "command home": _Part([item.home for item in items], names),
        "command slew": _Part([_or_none(item.slew) for item in items], names),
        "command rest_below": _Part([table.rest_below]),
        "command stop_below": _Part(stops, names),
        "command low_heights": _Part([json.dumps(table.low_heights)]),
        **{f"command {key}": _Part([json.dumps(getattr(item, key)) for item in items], names) for key in RESPONSES},
    }


_ENDS = ("lowest", "highest")


def _clock(manifest: Manifest) -> _Part:
    clock = manifest.clock
    if clock is None:
        return _Part([])
    restart = "restarts" if clock.restart else "goes on"
    names = ("period_s", "at_rest", "rest_phase", "restart", *(f"offset {i}" for i in range(len(clock.offsets))))
    return _Part([clock.period_s, clock.at_rest, clock.rest_phase, restart, *clock.offsets], names)


def _reference(manifest: Manifest) -> _Part:
    """A digest of each part: there are hundreds of numbers."""
    table = manifest.reference
    if table is None:
        return _Part([])
    parts: dict[str, BaseModel] = {} if table.height_table is None else {"height_table": table.height_table}
    parts |= {f"factors {name}": table.factors[name] for name in sorted(table.factors)}
    parts |= {f"gait {k}": wave for k, wave in enumerate(table.gait)}
    return _Part([_digest(name, part) for name, part in parts.items()], tuple(parts))


def _digest(name: str, part: BaseModel) -> str:
    text = json.dumps([name, part.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _or_none(value: float | None) -> float | str:
    return NONE if value is None else value


def check_interface(manifest: Manifest, metadata: Mapping[str, str], groups: Sequence[Sequence[str]] = ()) -> None:
    """Compare a manifest with its file's metadata; if it has none, its joints' order with the robot's.

    :param groups: the robot's joints, group by group.
    :raises ConfigError: they differ: the first element that does; or the metadata cannot be read.
    """
    if KEY in metadata:
        _own(manifest, _json(metadata[KEY], KEY, dict))
    elif "dof_names" in metadata:
        _holosoma(manifest, metadata)
    elif not manifest.model.unusual_order:
        _usual_order(manifest, groups)


def _own(manifest: Manifest, said: Mapping[str, Any]) -> None:
    parts = _parts(manifest)
    if strange := [key for key in said if key not in parts]:
        raise ConfigError(f"the model file speaks of '{strange[0]}', which this version does not know")
    for key, part in parts.items():
        if key in said:
            _compare(key, part, said[key], OWN)
    if missing := [key for key in parts if key not in said]:
        raise ConfigError(f"the model file does not say its '{missing[0]}': export it again")


def _holosoma(manifest: Manifest, metadata: Mapping[str, str]) -> None:
    """Joints in the order of the outputs; what it sees of as many joints is in the same order."""
    parts = _parts(manifest)
    names = _json(metadata["dof_names"], "dof_names", list)
    _compare("action joints", parts["action joints"], names, OTHERS)
    if len(names) == len(manifest.joints):
        _compare("joints", parts["joints"], names, OTHERS)
    for term in manifest.observation.terms:
        if term.joints is not None and len(term.joints) == len(names):
            _compare(f"joints of {term.term}", _Part(term.joints), names, OTHERS)
    for key in ("kp", "kd"):
        if key in metadata:
            _compare(key, parts[key], _json(metadata[key], key, list), OTHERS)


def _usual_order(manifest: Manifest, groups: Sequence[Sequence[str]]) -> None:
    """Of a file that says nothing: left and right twins, and joints along a limb, stand as the robot's do."""
    lists: dict[str, Sequence[str]] = {"[[joints]]": manifest.joint_names, "[action] joints": manifest.action_joints}
    lists |= {
        f"joints of {t.term} (term {k})": t.joints
        for k, t in enumerate(manifest.observation.terms)
        if t.joints is not None
    }
    rank = {joint: (g, k) for g, group in enumerate(groups) for k, joint in enumerate(group)}
    for where, names in lists.items():
        for i, first in enumerate(names):
            for later in names[i + 1 :]:
                a, b = rank.get(first), rank.get(later)
                twins = first.replace("right", "left", 1) == later.replace("right", "left", 1)
                if a is not None and b is not None and b < a and (twins or a[0] == b[0]):
                    raise ConfigError(
                        f"it says nothing of its joints, and {where} has '{first}' before '{later}', the robot the other "
                        "way round; if the file is so, say [model] unusual_order = true"
                    )


def _json(text: str, key: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise ConfigError(f"the model file's metadata '{key}' cannot be read")
    return value


def _compare(key: str, ours: _Part, theirs: Any, relative: float) -> None:
    if not isinstance(theirs, list) or len(theirs) != len(ours.values):
        n = len(theirs) if isinstance(theirs, list) else 0
        raise ConfigError(f"{key}: {len(ours.values)} in the manifest, {n} in the model file")
    for k, (a, b) in enumerate(zip(ours.values, theirs, strict=True)):
        if not _same(a, b, relative):
            element = f" ({ours.names[k]})" if ours.names else ""
            raise ConfigError(
                f"{key}: element {k}{element} is {_shown(a)} in the manifest, {_shown(b)} in the model file"
            )


def _same(a: Any, b: Any, relative: float) -> bool:
    if isinstance(a, str) or not isinstance(b, int | float):
        return bool(a == b)
    return bool(np.isclose(a, b, rtol=relative, atol=1e-9))


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else f"{value:.9g}" if isinstance(value, int | float) else repr(value)
