"""From a manifest's ONNX file to a function: found, checked as bytes, opened on one thread, its shapes compared."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telerig.hardware.errors import ConfigError, MissingExtra
from telerig.policies.body.interface import check_interface
from telerig.policies.body.manifest import Manifest
from telerig.policies.body.onnx_scan import external_tensor
from telerig.policies.body.runtime import Infer

MAX_BYTES = 64 * 2**20


def find_model(manifest: Manifest, beside: Path, given: Path | None = None) -> Path:
    """Where the ONNX file is: as given, else in the installed package that the manifest names, else beside the manifest.

    The package is looked up, not imported.  :raises ConfigError: it is not there.
    """
    path = given or _in_package(manifest) or beside / manifest.model.file
    if path.is_file():
        return path
    obtain = f"; {manifest.model.obtain}" if manifest.model.obtain else ""
    raise ConfigError(f"body policy {manifest.name}: no model file {path}{obtain}")


def _in_package(manifest: Manifest) -> Path | None:
    package = manifest.model.package
    if not package:
        return None
    spec = find_spec(package) if package.isidentifier() else None
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        obtain = manifest.model.obtain or f"pip install {package}"
        raise ConfigError(f"body policy {manifest.name}: package {package} is not installed: {obtain}")
    return Path(places[0]) / manifest.model.file


def read_model(manifest: Manifest, path: Path) -> bytes:
    """The file's bytes, if they are the ones the manifest describes and stand alone.

    :raises ConfigError: another size or hash, no ONNX model, or weights in other files.
    """
    where, wanted = f"body policy {manifest.name}: {path.name}", manifest.model
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigError(f"{where} has {size} bytes, at most {MAX_BYTES} are read")
        model = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{where} cannot be read: {error.strerror}")
    if wanted.size_bytes is not None and len(model) != wanted.size_bytes:
        raise ConfigError(f"{where} has {len(model)} bytes, the manifest says {wanted.size_bytes}")
    digest = hashlib.sha256(model).hexdigest()
    if wanted.sha256 and digest != wanted.sha256:
        raise ConfigError(f"{where} has sha256 {digest[:12]}…, the manifest says {wanted.sha256[:12]}…")
    try:
        outside = external_tensor(model)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}")
    if outside is not None:
        raise ConfigError(f"{where} keeps tensor '{outside}' in another file; only files that stand alone are loaded")
    return model


def open_model(manifest: Manifest, path: Path, groups: Sequence[Sequence[str]] = ()) -> Infer:
    """The model as a function ``(1, inputs)`` → ``(1, outputs)``, on one thread, tried once with zeros.

    :param groups: the robot's joints, group by group, for files that say nothing of theirs.
    :raises ConfigError: :func:`read_model` refuses it, ONNX Runtime does, or its input, output or metadata differ from
        the manifest's.
    :raises MissingExtra: onnxruntime is not installed.
    """
    model = read_model(manifest, path)
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("onnxruntime", "learn")
    where = f"body policy {manifest.name}: {path.name}"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what goes wrong is raised; nothing else is printed
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base but Exception
        raise ConfigError(f"{where}: ONNX Runtime refuses it: {_one_line(error)}")
    try:
        _compare(manifest, session)
        check_interface(manifest, session.get_modelmeta().custom_metadata_map, groups)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}")
    infer = _function(manifest, session)
    _try(manifest, infer, where)
    return infer


def _compare(manifest: Manifest, session: Any) -> None:
    wanted = manifest.model
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if [i.name for i in inputs] != [wanted.input]:
        raise ConfigError(f"its inputs are {', '.join(i.name for i in inputs)}, the manifest says {wanted.input}")
    found = [o for o in outputs if o.name == wanted.output]
    if not found:
        raise ConfigError(f"its outputs are {', '.join(o.name for o in outputs)}, the manifest says {wanted.output}")
    _shape(f"input {wanted.input}", inputs[0], wanted.inputs)
    _shape(f"output {wanted.output}", found[0], wanted.outputs)


def _shape(what: str, found: Any, n: int) -> None:
    """One row of ``n`` float32; a batch of any size is fine, and so is a width that the file leaves open."""
    shape = list(found.shape)
    fits = len(shape) == 2 and all(not isinstance(s, int) or s == w for s, w in zip(shape, (1, n), strict=True))
    if not fits or found.type != "tensor(float)":
        raise ConfigError(f"{what} is {found.type} {shape}, the manifest says tensor(float) [1, {n}]")


def _function(manifest: Manifest, session: Any) -> Infer:
    name, wanted = manifest.model.input, [manifest.model.output]

    def infer(values: NDArray[np.float32]) -> NDArray[np.float32]:
        out: NDArray[np.float32] = session.run(wanted, {name: values})[0]
        return out

    return infer


def _try(manifest: Manifest, infer: Infer, where: str) -> None:
    try:
        out = infer(np.zeros((1, manifest.model.inputs), np.float32))
    except Exception as error:
        raise ConfigError(f"{where}: it does not run on {manifest.model.inputs} inputs: {_one_line(error)}")
    if out.shape != (1, manifest.model.outputs):
        raise ConfigError(f"{where}: it gives {list(out.shape)}, the manifest says [1, {manifest.model.outputs}]")
    if not np.isfinite(out).all():
        raise ConfigError(f"{where}: on zeros its output is not finite")


def _one_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
