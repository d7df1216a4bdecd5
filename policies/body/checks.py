"""Whether the parts of a manifest fit each other, and the robot.  The first difference is one ``ConfigError`` line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from telerig.hardware.embodiment import Embodiment, JointGroup
from telerig.hardware.errors import ConfigError
from telerig.hardware.legs import gain_limits
from telerig.policies.body.manifest import (
    RESPONSES,
    VELOCITIES,
    CommandItem,
    CommandTable,
    Joint,
    Manifest,
    ReferenceTable,
)
from telerig.policies.body.observation import Assembler, term_sizes
from telerig.policies.body.terms import TERMS, spread

TOLERANCE = 1e-6


def check(manifest: Manifest) -> None:
    """Compare a manifest's parts with each other.  :raises ConfigError: the first thing that does not fit."""
    try:
        _joints(manifest)
        _commands(manifest.command)
        if manifest.clock is not None and not manifest.clock.offsets:
            raise ConfigError("[clock] offsets is empty")
        _terms(manifest)
        if manifest.reference is not None:
            _reference(manifest.reference, manifest)
    except ConfigError as error:
        raise ConfigError(f"body policy {manifest.name}: {error}")


def _joints(manifest: Manifest) -> None:
    _unique(manifest.joint_names, "[[joints]]")
    driven = manifest.action_joints
    if not driven:
        raise ConfigError("no joint has gains, so it drives nothing")
    _unique(driven, "[action] joints")
    for name in driven:
        if name not in manifest.joint_names:
            raise ConfigError(f"[action] drives '{name}', which is not in [[joints]]")
        joint = manifest.joint(name)
        for key in ("kp", "kd", "torque"):
            if getattr(joint, key) is None:
                raise ConfigError(f"[action] drives '{name}', whose {key} is missing")
    if len(driven) != manifest.model.outputs:
        raise ConfigError(f"[action] drives {len(driven)} joints, [model] outputs says {manifest.model.outputs}")
    if (spread(manifest.action.scale, len(driven), "[action] scale") <= 0).any():
        raise ConfigError("[action] scale must be positive")


def _terms(manifest: Manifest) -> None:
    observation = manifest.observation
    if not observation.terms:
        raise ConfigError("[[observation.terms]] is empty")
    if observation.layout == "step" and any(t.history is not None for t in observation.terms):
        raise ConfigError("observation: a term's own history needs layout = 'term'")
    sizes = term_sizes(manifest)
    total, wanted = sum(n for _, n in sizes), manifest.model.inputs
    if total != wanted:
        listed = ", ".join(f"{name} {n}" for name, n in sizes)
        few = f"{abs(wanted - total)} too {'few' if total < wanted else 'many'}"
        raise ConfigError(
            f"observation terms are {total} numbers ({listed}), [model] inputs says {wanted}: {few}{_absent(manifest)}"
        )
    Assembler(manifest)


def _absent(manifest: Manifest) -> str:
    """Terms that the manifest does not list: one of them is usually what is missing."""
    listed = {t.term for t in manifest.observation.terms}
    absent = [name for name in TERMS if name not in listed]
    return f"; not listed: {', '.join(absent)}" if absent else ""


def _commands(table: CommandTable) -> None:
    low = table.low_heights
    if low is not None and (table.height is None or not table.height.range[0] <= low[1] < low[0] <= table.height.home):
        raise ConfigError(
            f"[command] low_heights {list(low)}: they fall, between [command.height]'s home and its lowest"
        )
    for name in table.names:
        _command(table.item(name), f"[command.{name}]")
        if table.item(name).response_low and low is None:
            raise ConfigError(f"[command.{name}] response_low: [command] low_heights is missing: where it holds")
        if name in VELOCITIES and table.item(name).home:
            raise ConfigError(f"[command.{name}] home is not 0: at home the robot rests")


def _command(item: CommandItem, where: str) -> None:
    low, high = item.range
    if not low < high:
        raise ConfigError(f"{where} range: {low} is not below {high}")
    if not low <= item.home <= high:
        raise ConfigError(f"{where} home {item.home} is outside its range [{low}, {high}]")
    for key, other in (
        ("response_back", "response"),
        ("response_low", "response"),
        ("response_low_back", "response_low"),
    ):
        if getattr(item, key) and not getattr(item, other):
            raise ConfigError(f"{where} {key}: there is no {other} that it differs from")
    for key in RESPONSES:
        found = getattr(item, key)
        pairs = np.array(found)
        if found and (len(found) < 2 or (np.diff(pairs, axis=0) <= 0).any() or pairs[0, 0] < 0 or pairs[0, 1] != 0):
            raise ConfigError(f"{where} {key}: pairs (given, achieved) must both rise, from (dead band, 0)")


def _reference(table: ReferenceTable, manifest: Manifest) -> None:
    driven, commands = manifest.action_joints, manifest.command.names
    heights = table.height_table
    if heights is not None:
        _heights(heights.height, heights.joints, "[reference.height_table]")
        _known(heights.joints, driven, "[reference.height_table] joints")
    for name, curve in table.factors.items():
        _heights(curve.height, {"value": curve.value}, f"[reference.factors.{name}]")
    if (heights is not None or table.factors) and "height" not in commands:
        raise ConfigError("[reference] follows the height, but there is no [command.height]")
    phases = len(manifest.clock.offsets) if manifest.clock else 0
    for number, wave in enumerate(table.gait):
        where = f"[[reference.gait]] {number}"
        _known(wave.joints, driven, f"{where} joints")
        if wave.times is not None:
            _known((wave.times,), commands, f"{where} times")
        _known(wave.factors, tuple(table.factors), f"{where} factors")
        if wave.phase >= phases:
            raise ConfigError(f"{where} phase {wave.phase}: the clock has {phases} phases")


def _heights(heights: Sequence[float], columns: Mapping[str, Sequence[float]], where: str) -> None:
    if len(heights) < 2 or (np.diff(heights) <= 0).any():
        raise ConfigError(f"{where} height must rise, over two heights at least")
    for name, values in columns.items():
        if len(values) != len(heights):
            raise ConfigError(f"{where} {name} has {len(values)} numbers, {len(heights)} heights")


def check_embodiment(manifest: Manifest, embodiment: Embodiment) -> None:
    """Compare a checked manifest with a robot: name, joints and their ranges, gains, torques, height.

    :raises ConfigError: the first thing that does not fit.
    """
    where = f"body policy {manifest.name}"
    if manifest.embodiment != embodiment.name:
        raise ConfigError(f"{where} is for embodiment '{manifest.embodiment}', this is '{embodiment.name}'")
    places = {joint: (group, k) for group in embodiment.groups for k, joint in enumerate(group.joints)}
    for joint in manifest.joints:
        if joint.name not in places:
            raise ConfigError(f"{where}: joint '{joint.name}' is not one of {embodiment.name}'s")
        group, k = places[joint.name]
        _within(joint.default, group, k, f"{where}: default")
        _gains(joint, embodiment, where)
        if joint.torque is not None and joint.torque > group.effort[k] + TOLERANCE:
            raise ConfigError(
                f"{where}: torque of {joint.name} is {joint.torque} N m, {embodiment.name}'s limit is {group.effort[k]}"
            )
    heights = manifest.reference.height_table if manifest.reference else None
    for name, angles in heights.joints.items() if heights else ():
        group, k = places[name]
        for angle in (min(angles), max(angles)):
            _within(angle, group, k, f"{where}: [reference.height_table]")
    _base_ranges(manifest, embodiment, where)


def _gains(joint: Joint, embodiment: Embodiment, where: str) -> None:
    for key, limit in zip(("kp", "kd"), gain_limits(embodiment), strict=True):
        value = getattr(joint, key)
        if value is not None and value > limit:
            raise ConfigError(f"{where}: {key} of {joint.name} is {value:g}, {embodiment.name}'s limit is {limit:g}")


def _base_ranges(manifest: Manifest, embodiment: Embodiment, where: str) -> None:
    if embodiment.base is None:
        raise ConfigError(f"{where}: {embodiment.name} has no walking base")
    names = list(embodiment.base["names"])
    for name in manifest.command.names:
        if name not in names:
            raise ConfigError(f"{where}: command '{name}' is not one of {embodiment.name}'s ({', '.join(names)})")
        k = names.index(name)
        (low, high), (base_low, base_high) = (
            manifest.command.item(name).range,
            (embodiment.base["low"][k], embodiment.base["high"][k]),
        )
        if max(low, base_low) > min(high, base_high):
            raise ConfigError(
                f"{where}: [command.{name}] range [{low}, {high}] has nothing in common with "
                f"{embodiment.name}'s [{base_low}, {base_high}]"
            )


def _within(angle: float, group: JointGroup, k: int, what: str) -> None:
    if not group.low[k] - TOLERANCE <= angle <= group.high[k] + TOLERANCE:
        raise ConfigError(f"{what} of {group.joints[k]} is {angle} rad, its range is [{group.low[k]}, {group.high[k]}]")


def _unique(names: Sequence[str], where: str) -> None:
    twice = [name for k, name in enumerate(names) if name in names[:k]]
    if twice:
        raise ConfigError(f"{where} lists '{twice[0]}' twice")


def _known(names: Iterable[str], known: Sequence[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: '{name}' is unknown (known: {', '.join(known)})")
