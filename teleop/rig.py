"""Rig files: what is plugged together, in TOML; every mistake is one line: file, key, what is allowed.

See docs/rigs.md for the format and rigs/ for examples.  ``[devices.NAME]`` has the keys below plus its driver's own
(the fields of the driver's ``Config``); ``[cockpit]`` says how the operator's devices become robot commands.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telerig.drivers import table
from telerig.hardware.errors import ConfigError
from telerig.teleop.config_values import build_config, describe, keys_of

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
RESERVED = ("session", "loop", "recorder", "emulation", "operator", "policy")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SessionRig(_Strict):
    """``[session]``."""

    rate_hz: float = Field(200.0, ge=20, le=500)
    task: str = ""
    kernel_workers: bool = True  # may raise the kernel threads that carry serial bytes, where the system lets it


class DeviceRig(BaseModel):
    """``[devices.NAME]``: keys every device has; the rest goes to the driver."""

    model_config = ConfigDict(extra="allow", frozen=True)
    driver: str
    port: str = ""
    emulate: bool = False
    record: bool = True
    stale_ms: float | None = Field(None, gt=0, le=1000)  # more would switch the guard's "stale" off
    calibrate: bool = True

    @property
    def own(self) -> dict[str, Any]:
        """The driver's own keys, as written."""
        return dict(self.model_extra or {})


class RigFile(_Strict):
    """A whole rig file."""

    name: Name
    title: str = ""
    session: SessionRig = SessionRig()  # type: ignore[call-arg]
    devices: dict[Name, DeviceRig] = Field(min_length=1)
    cockpit: dict[str, Any] = {}
    operator: dict[str, Any] = {}
    body: dict[str, Any] = {}


@dataclasses.dataclass(frozen=True)
class Device:
    """One device of a rig, checked: its driver class and that driver's config."""

    name: str
    rig: DeviceRig
    driver: type[Any]
    config: Any

    @property
    def config_values(self) -> dict[str, Any]:
        """The config as plain values, for other processes and for the session's record."""
        return dataclasses.asdict(self.config)

    @property
    def baud(self) -> int:
        """Serial speed, from the driver's config."""
        return int(getattr(self.config, "baud", 115200))


@dataclasses.dataclass(frozen=True)
class Rig:
    """A rig, checked as far as it can be without its hardware."""

    path: Path
    text: str
    file: RigFile
    devices: dict[str, Device]

    @property
    def name(self) -> str:
        """The rig's name."""
        return self.file.name

    @property
    def calibration_path(self) -> Path:
        """Where ``telerig calibrate`` writes and everything else reads."""
        return self.path.with_suffix(".calibration.json")


def load_rig(path: Path, emulate: bool = False, body: str = "") -> Rig:
    """Read and check a rig file.

    :param emulate: run every device that has an emulator against it, whatever the file says.
    :param body: a body policy, by name or a manifest's path, instead of the file's.
    :raises ConfigError: every mistake found, one line each: file, key, what is allowed.
    """
    try:
        text = path.read_text()
        raw = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}")
    if body:
        text = with_policy(text, body, path)
        raw = tomllib.loads(text)
    return parse_rig(raw, path, text, emulate)


def with_policy(text: str, policy: str, path: Path) -> str:
    """A rig file's text with another ``body.policy``; the text travels to the session's processes and into its record.

    :raises ConfigError: the file has no such line in a ``[body]`` table.
    """
    policy = str(Path(policy).resolve()) if policy.endswith(".toml") else policy
    try:
        policy.encode()
    except UnicodeEncodeError:  # bytes of the command line that are no text
        raise ConfigError(f"--body {policy!a}: not UTF-8")
    quoted = json.dumps(policy, ensure_ascii=False).replace("\x7f", "\\u007f")  # as TOML has it
    header = re.search(r"^[ \t]*\[[ \t]*body[ \t]*\]", text, re.MULTILINE)
    before, table = (text, "") if header is None else (text[: header.end()], text[header.end() :])
    own, rest = table, ""
    if (end := re.search(r"^[ \t]*\[", table, re.MULTILINE)) is not None:
        own, rest = table[: end.start()], table[end.start() :]
    own = re.sub(r"^[ \t]*model\s*=.*$", "", own, flags=re.MULTILINE)
    own, found = re.subn(r"^[ \t]*policy\s*=.*$", lambda _: f"policy = {quoted}", own, flags=re.MULTILINE)
    if not found:
        raise ConfigError(f"{path}: has no line policy = … in a table [body]: nothing there needs a body policy")
    return before + own + rest


def parse_rig(raw: dict[str, Any], path: Path, text: str, emulate: bool = False) -> Rig:
    """A rig from its TOML tables.  :raises ConfigError: as :func:`load_rig`."""
    try:
        file = RigFile.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in _mistakes(error)))
    devices: dict[str, Device] = {}
    mistakes: list[str] = []
    for name, rig in file.devices.items():
        try:
            devices[name] = _device(name, rig, emulate)
        except ConfigError as error:
            mistakes += str(error).splitlines()
    if mistakes:
        raise ConfigError("\n".join(f"{path}: {line}" for line in mistakes))
    return Rig(path, text, file, devices)


def _mistakes(error: ValidationError) -> list[str]:
    return describe(error, "", lambda place: keys_of(RigFile, place)).splitlines()


def _device(name: str, rig: DeviceRig, emulate: bool) -> Device:
    where = f"devices.{name}"
    if name in RESERVED:
        raise ConfigError(f"{where}: this name is telerig's own; choose another")
    try:
        driver = table.driver(rig.driver)
    except ConfigError as error:
        raise ConfigError(f"{where}.driver: {error}")
    except ImportError as error:
        raise ConfigError(f"{where}.driver: {rig.driver} cannot be loaded: {error}")
    own = rig.own
    fields = {f.name for f in dataclasses.fields(driver.Config)}
    if "port" in fields and rig.port:
        own.setdefault("port", rig.port)
    config = build_config(driver.Config, own, where, tuple(DeviceRig.model_fields))
    if emulate and table.has_emulator(rig.driver):
        rig = rig.model_copy(update={"emulate": True})
    if rig.emulate and not table.has_emulator(rig.driver):
        raise ConfigError(f"{where}.emulate: driver {rig.driver} has no emulator")
    return Device(name, rig, driver, config)
