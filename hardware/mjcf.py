"""The little of MJCF that kinematics needs: the bodies and joints between two frames.  No MuJoCo here.

Understood: body and site ``pos`` with ``quat``, ``axisangle``, ``euler`` (sequence xyz) or ``xyaxes``; hinges and
slides with their own ``type``, ``axis``, ``pos`` and ``range``; the compiler's ``angle``.  Not understood, and refused:
other orientations and Euler sequences, ball joints, ``include``, joint geometry in default classes.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from telerig.hardware.errors import ConfigError
from telerig.hardware.rotations import Array, quaternion_to_matrix, rotation_about


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """A step of a chain: a body's or site's transform (4, 4), or a joint with the offset (4, 4) of its anchor."""

    transform: Array
    joint: str | None = None
    axis: Array = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    slide: bool = False
    range: tuple[float, float] = (-np.inf, np.inf)


def chain_elements(path: str | Path, base: str, tip: str) -> list[Element]:
    """Everything from body ``base`` (exclusive; ``world`` is the root) to site or body ``tip`` (inclusive), in order.

    :raises ConfigError: unknown base or tip, tip not below base, or something this reader does not understand.
    """
    world, unit = read_world(path)
    line = _line(world, tip)
    if not line:
        raise ConfigError(f"{path}: no body or site '{tip}'")
    names = ["world", *(e.get("name", "") for e in line)]
    if base not in names:
        raise ConfigError(f"{path}: '{tip}' is not below body '{base}' (it is below {', '.join(names[:-1])})")
    out: list[Element] = []
    for element in line[names.index(base) :]:
        out.append(Element(transform_of(element, unit, path)))
        if element.tag == "body":
            out += [joint_of(j, unit, path) for j in element if j.tag in ("joint", "freejoint")]
    return out


def read_world(path: str | Path) -> tuple[ET.Element, float]:
    """The file's ``<worldbody>`` and what its angles have to be multiplied with to be rad.

    :raises ConfigError: no world, or something this reader does not understand.
    """
    root = ET.parse(path).getroot()
    compiler = root.find("compiler")
    degrees = compiler is None or compiler.get("angle", "degree") == "degree"
    if compiler is not None and compiler.get("eulerseq", "xyz") != "xyz":
        raise ConfigError(f"{path}: eulerseq '{compiler.get('eulerseq')}' is not understood, write xyz")
    for inherited in ("type", "axis", "pos", "range"):
        if any(joint.get(inherited) for default in root.iter("default") for joint in default.iter("joint")):
            raise ConfigError(f"{path}: joint {inherited} in a default class is not understood, write it on each joint")
    if root.find(".//include") is not None:
        raise ConfigError(f"{path}: <include> is not understood, write one file")
    world = root.find("worldbody")
    if world is None:
        raise ConfigError(f"{path}: no <worldbody>")
    return world, np.pi / 180 if degrees else 1.0


def _line(parent: ET.Element, tip: str) -> list[ET.Element]:
    """Elements from below ``parent`` down to the site or body ``tip``; empty if it is not there."""
    for child in parent:
        if child.tag in ("body", "site") and child.get("name") == tip:
            return [child]
        if child.tag == "body":
            below = _line(child, tip)
            if below:
                return [child, *below]
    return []


def _numbers(element: ET.Element, key: str, default: str) -> Array:
    return np.array([float(v) for v in element.get(key, default).split()])


def transform_of(element: ET.Element, unit: float, path: str | Path) -> Array:
    """A body's, site's or geom's transform (4, 4) in its parent.  :raises ConfigError: it is written in an unknown way."""
    out = np.eye(4)
    out[:3, 3] = _numbers(element, "pos", "0 0 0")
    if element.get("zaxis") is not None:
        raise ConfigError(f"{path}: zaxis of '{element.get('name')}' is not understood, write quat")
    if element.get("quat"):
        out[:3, :3] = quaternion_to_matrix(_numbers(element, "quat", "1 0 0 0"))
    elif element.get("axisangle"):
        turn = _numbers(element, "axisangle", "")
        out[:3, :3] = rotation_about(turn[:3] / np.linalg.norm(turn[:3]), turn[3] * unit)
    elif element.get("euler"):
        for axis, angle in zip(np.eye(3), _numbers(element, "euler", ""), strict=True):
            out[:3, :3] = out[:3, :3] @ rotation_about(axis, angle * unit)
    elif element.get("xyaxes"):
        x, y = _numbers(element, "xyaxes", "").reshape(2, 3)
        x = x / np.linalg.norm(x)
        y = y - (y @ x) * x
        y /= np.linalg.norm(y)
        out[:3, :3] = np.column_stack([x, y, np.cross(x, y)])
    return out


def joint_of(element: ET.Element, unit: float, path: str | Path) -> Element:
    """A joint as a step of a chain.  :raises ConfigError: neither hinge nor slide."""
    name, kind = element.get("name", ""), element.get("type", "hinge")
    if element.tag == "freejoint" or kind not in ("hinge", "slide"):
        raise ConfigError(f"{path}: joint '{name}' is neither hinge nor slide: start the chain below it")
    axis = _numbers(element, "axis", "0 0 1")
    anchor = np.eye(4)
    anchor[:3, 3] = _numbers(element, "pos", "0 0 0")
    low, high = _numbers(element, "range", "-inf inf") * (1.0 if kind == "slide" else unit)
    return Element(anchor, name, axis / np.linalg.norm(axis), kind == "slide", (float(low), float(high)))
