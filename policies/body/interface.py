"""What an ONNX file says of itself: a manifest's order and numbers, written into the file's metadata when it is made.

The shapes of a file cannot tell a left knee from a right one.  Where a file carries this (telerig's own do; holosoma's
carry names and gains), a manifest that says otherwise is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from telerig.hardware.errors import ConfigError
from telerig.policies.body.manifest import Manifest
from telerig.policies.body.observation import term_sizes
from telerig.policies.body.terms import spread

KEY = "telerig.interface"  # metadata key of telerig's own files
RELATIVE = 1e-3  # gains and poses agree to this, relatively: manifests are written by hand


def interface(manifest: Manifest) -> dict[str, Any]:
    """What must agree between a file and its manifest, as plain values; a trainer writes it under :data:`KEY` as JSON."""
    driven = manifest.action_joints
    numbers = {key: manifest.column(key, driven).tolist() for key in ("kp", "kd")}
    return {
        "joints": list(manifest.joint_names),
        "action joints": list(driven),
        "observation terms": [f"{name} {size}" for name, size in term_sizes(manifest)],
        "commands": list(manifest.command.names),
        "default pose": manifest.column("default", manifest.joint_names).tolist(),
        "action scale": spread(manifest.action.scale, len(driven), "[action] scale").tolist(),
        **numbers,
        "rate": [manifest.rate_hz],
    }


def check_interface(manifest: Manifest, metadata: Mapping[str, str]) -> None:
    """Compare a manifest with its file's metadata, as far as the file has any.

    :raises ConfigError: they differ: the first element that does; or the metadata cannot be read.
    """
    own = interface(manifest)
    said: dict[str, Any] = {}
    if KEY in metadata:
        said = _json(metadata[KEY], KEY, dict)
    elif "dof_names" in metadata:  # holosoma's files: joints in the order of the outputs
        said = {"action joints": _json(metadata["dof_names"], "dof_names", list)}
        said |= {k: _json(metadata[k], k, list) for k in ("kp", "kd") if k in metadata}
    for key, theirs in said.items():
        if key not in own:
            raise ConfigError(f"the model file speaks of '{key}', which this version does not know")
        _compare(key, own[key], theirs, own)


def _json(text: str, key: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise ConfigError(f"the model file's metadata '{key}' cannot be read")
    return value


def _compare(key: str, ours: Sequence[Any], theirs: Any, own: Mapping[str, Any]) -> None:
    if not isinstance(theirs, list) or len(theirs) != len(ours):
        n = len(theirs) if isinstance(theirs, list) else 0
        raise ConfigError(f"{key}: {len(ours)} in the manifest, {n} in the model file")
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        same = (
            a == b if isinstance(a, str) else isinstance(b, int | float) and np.isclose(a, b, rtol=RELATIVE, atol=1e-9)
        )
        if not same:
            of = {
                "kp": "action joints",
                "kd": "action joints",
                "action scale": "action joints",
                "default pose": "joints",
            }
            element = f" ({own[of[key]][k]})" if key in of else ""
            raise ConfigError(
                f"{key}: element {k}{element} is {_shown(a)} in the manifest, {_shown(b)} in the model file"
            )


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else f"{value:g}" if isinstance(value, int | float) else repr(value)
