"""Closes raw logs that were cut short: every whole record is kept, the summary is made anew, the original stays.

The repaired file is written beside the broken one and takes its place in one rename; the broken one keeps existing as
``NAME.broken``.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import shutil
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Header, Metadata, MetadataIndex, Schema
from mcap.stream_reader import breakup_chunk

from telerig.datasets.files import read_json, sync_folder, write_json
from telerig.datasets.rawlog_container import MESSAGE_HEAD_SIZE, Record, Tail, message_at, parse, scan
from telerig.datasets.rawlog_reader import RawLog
from telerig.datasets.session_folder import SessionFolder, episode_facts, is_changed, publish
from telerig.hardware.errors import DataError

_COPY_BYTES = 1 << 20
MEASURED = ("t_end", "duration_s", "streams", "sha256", "bytes")  # of a sidecar: what follows from the log


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What repair found and did.

    :param records: whole records kept (messages, schemas, channels, metadata).
    :param dropped: bytes behind the last whole record, which are gone.
    :param seconds: time covered by what was kept.
    :param broken: where the original is now; None when the file was in order and nothing was done.
    """

    path: Path
    records: int
    messages: int
    dropped: int
    seconds: float
    broken: Path | None

    def line(self) -> str:
        """One line for people."""
        if self.broken is None:
            return f"{self.path.name}: in order, {self.messages} samples, {self.seconds:.1f} s"
        kept = f"{self.messages} samples, {self.seconds:.1f} s kept, {self.dropped} bytes dropped"
        return f"{self.path.name}: closed; {kept}, original in {self.broken.name}"


@dataclass
class _Found:
    tail: Tail
    end: int
    records: int
    complete: bool


def repair(path: Path) -> RepairReport:
    """Close a raw log that was cut at any byte.  A file that is in order is not touched.

    :raises DataError: it is being written, is not an MCAP file, or was cut before its header was whole.
    """
    path = Path(path)
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(f"{path}: is being written; stop the recorder first")
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise DataError(f"{path}: is empty; nothing was recorded in it")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            try:
                found = _survey(buffer, size)
                if not found.complete and found.end < size and not buffer[found.end]:
                    found = _survey(buffer, _written(buffer))
            except DataError as error:
                raise DataError(f"{path}: {error}")
            broken = None if found.complete else _replace(path, buffer, found)
    span = 0 if found.tail.first is None else found.tail.last - found.tail.first
    dropped = 0 if found.complete else size - found.end
    return RepairReport(path, found.records, sum(found.tail.counts.values()), dropped, span / 1e9, broken)


def _replace(path: Path, buffer: mmap.mmap, found: _Found) -> Path:
    temporary = path.with_name(f".{path.name}.repairing")
    _write(temporary, buffer, found)
    broken = _keep_original(path)
    os.replace(temporary, path)
    sync_folder(path.parent)
    return broken


def _written(buffer: mmap.mmap) -> int:
    """Where the zeros begin that a power cut leaves at the end of some files; a record reaching into them is torn."""
    at = len(buffer)
    while at:
        start = max(0, at - _COPY_BYTES)
        part = buffer[start:at].rstrip(b"\0")
        if part:
            return start + len(part)
        at = start
    return 0


def _survey(buffer: mmap.mmap, limit: int) -> _Found:
    found = _Found(Tail(), 8, 0, False)
    header = False
    for record in scan(buffer):
        if record.end > limit:
            break
        if record.opcode == Opcode.HEADER:
            parse(Header, buffer, record)
            header = True
        elif not header:
            break
        elif record.opcode == Opcode.DATA_END:
            found.complete = _closed(buffer)
            break
        elif not _take(found.tail, buffer, record):
            break
        found.records += 1
        found.end = record.end
    if not header:
        raise DataError("was cut before its header was whole; nothing was recorded in it")
    return found


def _closed(buffer: mmap.mmap) -> bool:
    """Footer and closing magic stand where they should."""
    last = None
    for record in scan(buffer):
        last = record
    return last is not None and last.opcode == Opcode.FOOTER and buffer[last.end :] == buffer[:8]


def _take(tail: Tail, buffer: mmap.mmap, record: Record) -> bool:
    """Note one record for the summary; False when its content is torn, so that nothing behind it can be trusted."""
    try:
        if record.opcode == Opcode.MESSAGE:
            if record.end - record.body < MESSAGE_HEAD_SIZE:
                return False
            head = message_at(buffer, record)
            if head.channel not in tail.channels:
                return False
            tail.message(head.channel, head.log_time)
        elif record.opcode == Opcode.SCHEMA:
            schema = parse(Schema, buffer, record)
            tail.schemas[schema.id] = schema
        elif record.opcode == Opcode.CHANNEL:
            channel = parse(Channel, buffer, record)
            tail.channels[channel.id] = channel
        elif record.opcode == Opcode.METADATA:
            name = parse(Metadata, buffer, record).name
            tail.metadata.append(MetadataIndex(record.start, record.end - record.start, name))
        elif record.opcode == Opcode.CHUNK:
            _take_chunk(tail, parse(Chunk, buffer, record))
    except (DataError, McapError, ValueError):
        return False
    return True


def _take_chunk(tail: Tail, chunk: Any) -> None:
    """Other writers' chunked files: the chunk is copied as it is, its content counted."""
    tail.chunks += 1
    for item in breakup_chunk(chunk, validate_crc=True):
        if isinstance(item, Schema):
            tail.schemas[item.id] = item
        elif isinstance(item, Channel):
            tail.channels[item.id] = item
        else:
            tail.message(item.channel_id, item.log_time)


def _write(path: Path, buffer: mmap.mmap, found: _Found) -> None:
    crc = 0
    with open(path, "wb") as out:
        for at in range(0, found.end, _COPY_BYTES):
            part = buffer[at : min(at + _COPY_BYTES, found.end)]
            crc = zlib.crc32(part, crc)
            out.write(part)
        out.write(found.tail.to_bytes(found.end, crc))
        out.flush()
        os.fsync(out.fileno())


def _keep_original(path: Path) -> Path:
    """A second name for the broken file, so that it has one at every instant."""
    n, base = 0, path.with_name(path.name.removesuffix(".partial") + ".broken")
    broken = base
    while broken.exists() and not broken.samefile(path):
        n += 1
        broken = base.with_name(f"{base.name}.{n}")
    if not broken.exists():
        try:
            os.link(path, broken)
        except OSError:  # file systems without hard links
            shutil.copy2(path, broken)
    return broken


def repair_session(folder: SessionFolder) -> list[RepairReport]:
    """Close everything in a session that nobody closed; episodes whose end was not reached are marked interrupted.

    An episode that was being kept or discarded when the recorder died is finished as the operator had decided.  One that was
    closed and has another length now (a copy that was cut short) is closed again and marked interrupted: its end is gone.

    :raises DataError: a recorder is still writing there.
    """
    reports = [r for path in folder.session_logs() if (r := repair(path)).broken is not None]
    for partial in folder.partials():
        report = repair(partial)
        facts, sidecar = _facts(partial)
        target = folder.episodes if facts["kept"] or facts["interrupted"] else folder.bin
        reports.append(replace(report, path=publish(partial, target, sidecar)))
    for log in (*folder.logs(), *sorted(folder.bin.glob("*.mcap"))):
        side = log.with_suffix(".json")
        if not side.exists():
            reports.append(repair(log))
            write_json(side, _facts(log)[1])
        elif is_changed(log, said := read_json(side)):
            reports.append(repair(log))
            measured = {k: v for k, v in _facts(log)[1].items() if k in MEASURED}
            write_json(side, said | measured | {"interrupted": True})
    return reports


def _facts(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the log says of its episode, and the sidecar made from it."""
    with RawLog(path) as log:
        first, last = log.span or (0, 0)
        name = str(log.meta.get("episode", path.name.split(".", 1)[0]))
        facts = episode_facts(int(name), log.meta.get("task", ""), None, kept=False, interrupted=True)
        start = log.meta.get("t_start", first)
        facts |= {"t_start": start, "t_end": last, "duration_s": (last - start) / 1e9, "lost": None}
        facts |= {"streams": {n: {"count": c} for n, c in log.counts.items()}} | (log.episode or {})
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return facts, facts | {"sha256": digest, "bytes": path.stat().st_size}
