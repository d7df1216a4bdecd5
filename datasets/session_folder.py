"""A session's folder: what stands where, who may touch it, and how it is read back.

``SESSION/session.json`` (facts), ``rig.toml``, ``calibration.json`` (frozen copies), ``session.mcap`` (events, health),
``episodes/000001.mcap`` with ``000001.json`` beside it, ``bin/`` for what was discarded.  An open episode is called
``000001.mcap.partial``.  Reference: docs/formats.md.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import telerig
from telerig.datasets.files import read_json, sync_folder, write_atomic, write_json
from telerig.hardware.errors import ConfigError, DataError

SESSION_VERSION = 1
PARTIAL = ".mcap.partial"
_NAME = re.compile(r"^(\d{6})\.")


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a session freezes when it starts.

    :param rig: the rig's name; ``rig_toml`` its file's text.
    :param embodiment: the embodiment's TOML tables (``parse_embodiment`` reads them back).
    :param calibration: calibration values by device.
    :param epoch_offset_ns: realtime − monotonic of the session.
    :param simulated: the robot is simulated.
    :param surroundings: what stands still around the robot (:mod:`telerig.hardware.surroundings`), {} where unknown.
    :param extra: anything else worth keeping (trial seeds, operator's name …), JSON values.
    """

    rig: str
    embodiment: Mapping[str, Any]
    epoch_offset_ns: int
    rig_toml: str = ""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    boot_id: str = ""
    host: str = ""
    simulated: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    surroundings: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What ``session.json`` holds; the rig's text and the calibration have files of their own."""
        out = asdict(self)
        del out["rig_toml"], out["calibration"]
        return out | {"schema_version": SESSION_VERSION}


def boot_id() -> str:
    """The kernel's boot id ("" where there is none): monotonic clocks of one boot can be compared."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def versions() -> dict[str, str]:
    """Software versions that belong into every recording."""
    return {"telerig": telerig.__version__, "python": platform.python_version(), "system": platform.platform()}


def is_changed(log: Path, sidecar: Mapping[str, Any]) -> bool:
    """Whether a closed log has another length than when it was closed: a copy was cut short, a disk was full."""
    return sidecar.get("bytes") not in (None, log.stat().st_size)


class SessionFolder:
    """Paths of a session.  Building one touches nothing; :meth:`create` and :meth:`open` do."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.episodes = self.path / "episodes"
        self.bin = self.path / "bin"

    @classmethod
    def create(cls, path: Path, info: SessionInfo) -> SessionFolder:
        """Make the folder, or continue one of the same rig and embodiment (a restarted recorder).

        :raises ConfigError: the folder holds something else; nothing is overwritten.
        """
        self = cls(path)
        if (self.path / "session.json").exists():
            found = read_json(self.path / "session.json")
            if found.get("epoch_offset_ns") != info.epoch_offset_ns or found.get("rig") != info.rig:
                raise ConfigError(f"{path}: holds another session (rig {found.get('rig')}); give a new folder")
            return self
        if self.path.exists() and any(self.path.iterdir()):
            raise ConfigError(f"{path}: is not empty and holds no session; give a new folder")
        for folder in (self.path, self.episodes, self.bin):
            folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path / "rig.toml", info.rig_toml.encode())
        write_json(self.path / "calibration.json", dict(info.calibration))
        write_json(self.path / "session.json", info.to_json())  # last: its presence says that the rest is there
        return self

    @classmethod
    def open(cls, path: Path) -> SessionFolder:
        """:raises DataError: no session there, or of a newer version."""
        self = cls(path)
        info = self.info
        if info.get("schema_version", 0) > SESSION_VERSION:
            raise DataError(
                f"{path}: session of version {info['schema_version']}; this telerig reads up to {SESSION_VERSION}"
            )
        return self

    @property
    def info(self) -> dict[str, Any]:
        """``session.json``.  :raises DataError: none there."""
        file = self.path / "session.json"
        if not file.exists():
            raise DataError(f"{self.path}: not a session folder (it has no session.json)")
        return read_json(file)

    @property
    def calibration(self) -> dict[str, Any]:
        """``calibration.json``."""
        return read_json(self.path / "calibration.json")

    def partials(self) -> list[Path]:
        """Episodes that nobody closed, or that are being written."""
        return sorted(self.episodes.glob(f"*{PARTIAL}"))

    def logs(self) -> list[Path]:
        """Closed episode logs, in order (kept and interrupted ones; discarded ones are in the bin)."""
        return sorted(self.episodes.glob("*.mcap"))

    def session_logs(self) -> list[Path]:
        """``session.mcap`` and its continuations after a restart of the recorder."""
        return sorted(self.path.glob("session*.mcap"))

    def next_session_log(self) -> Path:
        """A name for events and health that no recorder has used."""
        n = len(self.session_logs())
        path = self.path / "session.mcap"
        while path.exists():
            n += 1
            path = self.path / f"session-{n:04d}.mcap"
        return path

    def next_index(self) -> int:
        """One more than any episode's number, discarded and open ones included."""
        found = [_NAME.match(p.name) for folder in (self.episodes, self.bin) for p in folder.glob("*")]
        return max((int(m.group(1)) for m in found if m), default=0) + 1

    def sidecar(self, log: Path) -> Path:
        """The JSON file that belongs to an episode's log."""
        return log.with_name(log.name.split(".", 1)[0] + ".json")


def publish(partial: Path, folder: Path, sidecar: Mapping[str, Any]) -> Path:
    """Give a closed log its final name in ``folder`` and its sidecar; either may be repeated after a crash in between.

    The log comes first: a sidecar never stands without its log, and a log without sidecar carries all of the sidecar's
    content but the file's hash in its ``telerig.episode`` record, from which repair makes it anew.
    """
    log = folder / f"{partial.name.split('.', 1)[0]}.mcap"
    partial.rename(log)
    sync_folder(partial.parent)
    if folder != partial.parent:
        sync_folder(folder)
    write_json(log.with_suffix(".json"), sidecar)
    return log


def outcome_of(success: bool | None) -> str | None:
    """``success``, ``failure`` or None."""
    return None if success is None else "success" if success else "failure"


def episode_facts(index: int, task: str, outcome: str | None, kept: bool, interrupted: bool) -> dict[str, Any]:
    """The part of a sidecar that says what an episode is."""
    return {
        "schema_version": 1,
        "name": f"{index:06d}",
        "file": f"{index:06d}.mcap",
        "task": task,
        "outcome": outcome,
        "kept": kept,
        "interrupted": interrupted,
    }
