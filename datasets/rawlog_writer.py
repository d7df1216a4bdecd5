"""Writes one raw log: an unchunked MCAP file that a kill at any instant leaves readable up to the last quarter second.

Samples are encoded by the caller and handed to the kernel every 0.25 s (or 256 kB) by a thread, because what the kernel
has survives the process; a second thread calls fsync once a second, because that can stall for 50 ms and more
(facts: measured) and only a power cut needs it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mcap.records import Channel, Header, Metadata, MetadataIndex, Schema

import telerig
from telerig.datasets.files import sync_folder
from telerig.datasets.rawlog_calibration import calibration_message, calibration_schema
from telerig.datasets.rawlog_codec import SampleCodec
from telerig.datasets.rawlog_container import MAGIC, Tail, message_head, record_bytes
from telerig.datasets.rawlog_schema import CALIBRATION, PROFILE, SCHEMA_VERSION
from telerig.hardware.errors import DataError
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec

FLUSH_S = 0.25
SYNC_S = 1.0
FLUSH_BYTES = 256 * 1024
SESSION_RECORD, EPISODE_RECORD = "telerig.session", "telerig.episode"


class EpisodeWriter:
    """An open raw log.  The file is locked (flock) while it is written, so repair keeps its hands off.

    :param path: must not exist.  The file appears under this name with its header, schemas and channels complete.
    :param specs: the streams; more can come later through :meth:`add_stream`.
    :param meta: session and episode facts, written as the metadata record ``telerig.session`` (values as JSON).
    :param t_start: session clock, ns; stamps the camera calibrations.
    :raises DataError: the file exists or cannot be made.
    """

    def __init__(self, path: Path, specs: Sequence[StreamSpec], meta: Mapping[str, Any], t_start: int = 0) -> None:
        self.path = Path(path)
        self.counts: dict[str, int] = {}
        self._t_start = t_start
        self._tail = Tail()
        self._codecs: dict[str, tuple[int, Callable[[Sample], bytes]]] = {}
        self._schema_ids: dict[str, int] = {}
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._queued = 0  # file offset behind everything pending
        self._crc, self._hash = 0, hashlib.sha256()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._error: OSError | None = None
        self._fd = -1
        self._put(MAGIC)
        self._put(record_bytes(Header(PROFILE, f"telerig {telerig.__version__}")))
        self._put_metadata(SESSION_RECORD, {"schema_version": SCHEMA_VERSION, **meta})
        for spec in specs:
            self.add_stream(spec)
        self._open()
        self._threads = [
            threading.Thread(target=self._every, args=(FLUSH_S, self._flush), name="log-flush", daemon=True),
            threading.Thread(target=self._every, args=(SYNC_S, self._sync), name="log-fsync", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _open(self) -> None:
        if self.path.exists():
            raise DataError(f"{self.path}: exists already; a log is never overwritten")
        temporary = self.path.with_name(f".{self.path.name}.opening")
        try:
            temporary.unlink(missing_ok=True)
            self._fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._flush()
            os.rename(temporary, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            self._error = error
        self._check()

    @property
    def bytes_written(self) -> int:
        """Size of the file once everything pending is written."""
        return self._queued

    def add_stream(self, spec: StreamSpec) -> None:
        """Register a stream; one that is registered already is left alone."""
        if spec.name in self._codecs:
            return
        codec = SampleCodec(spec)
        channel = self._channel(spec.name, codec.schema, codec.schema_data, codec.metadata())
        self._codecs[spec.name] = (channel, codec.encode)
        self.counts[spec.name] = 0
        calibration = calibration_message(spec, self._t_start)
        if calibration is not None:
            topic = f"{spec.name}/calibration"
            number = self._channel(topic, CALIBRATION, calibration_schema(), {"of": spec.name})
            self._put_message(number, 0, self._t_start, self._t_start, calibration)

    def write(self, stream: str, sample: Sample) -> None:
        """Append one sample.

        :raises KeyError: the stream is not registered.
        :raises ValueError: the sample does not fit its spec; nothing is written.
        :raises DataError: the disk refuses (full, gone).
        """
        channel, encode = self._codecs[stream]
        self._put_message(channel, sample.seq, sample.t_arrival, sample.t_sample, encode(sample))
        self.counts[stream] += 1
        if self._pending_bytes > FLUSH_BYTES:
            self._flush()
        if self._error is not None:
            self._check()

    def write_metadata(self, name: str, values: Mapping[str, Any]) -> None:
        """Append a metadata record; values are written as JSON."""
        self._put_metadata(name, values)

    def flush(self) -> None:
        """Hand everything pending to the kernel and wait until the disk has it.  :raises DataError: it refuses."""
        self._flush()
        self._sync()
        self._check()

    def close(self, episode: Mapping[str, Any] | None = None) -> str:
        """Write the summary, fsync, close.  Closing twice is allowed.

        :param episode: what became of it, written as the metadata record ``telerig.episode``.
        :returns: SHA-256 of the file, hexadecimal.
        :raises DataError: the disk refuses.
        """
        if self._fd < 0:
            return self._hash.hexdigest()
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if episode is not None:
            self._put_metadata(EPISODE_RECORD, episode)
        self._flush()
        self._put(self._tail.to_bytes(self._queued, self._crc))
        self._flush()
        self._sync()
        os.close(self._fd)
        self._fd = -1
        self._check()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        """Let go of the file without a summary, as a kill would; for a disk that refuses.  Repair closes it."""
        if self._fd < 0:
            return
        self._stop.set()
        for thread in self._threads:
            thread.join()
        os.close(self._fd)
        self._fd = -1

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _channel(self, topic: str, schema: str, data: bytes, metadata: dict[str, str]) -> int:
        if schema not in self._schema_ids:
            number = self._schema_ids[schema] = len(self._schema_ids) + 1
            self._tail.schemas[number] = Schema(id=number, name=schema, encoding="protobuf", data=data)
            self._put(record_bytes(self._tail.schemas[number]))
        number = len(self._tail.channels) + 1
        channel = Channel(number, topic, "protobuf", metadata, self._schema_ids[schema])
        self._tail.channels[number] = channel
        self._put(record_bytes(channel))
        return number

    def _put_metadata(self, name: str, values: Mapping[str, Any]) -> None:
        texts = {k: json.dumps(v, sort_keys=True, ensure_ascii=False) for k, v in sorted(values.items())}
        data = record_bytes(Metadata(name, texts))
        self._tail.metadata.append(MetadataIndex(self._queued, len(data), name))
        self._put(data)

    def _put_message(self, channel: int, sequence: int, log_time: int, publish_time: int, data: bytes) -> None:
        self._put(message_head(channel, sequence, log_time, publish_time, len(data)) + data)
        self._tail.message(channel, log_time)

    def _put(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_bytes += len(data)
        self._queued += len(data)

    def _every(self, period_s: float, action: Callable[[], None]) -> None:
        while not self._stop.wait(period_s):
            action()

    def _flush(self) -> None:
        with self._lock:
            count = len(self._pending)
            data = b"".join([self._pending.popleft() for _ in range(count)])
            self._pending_bytes = 0  # a racing writer's bytes may go uncounted: the timer flushes them
            try:
                view = memoryview(data)
                while view and self._error is None:
                    view = view[os.write(self._fd, view) :]
            except OSError as error:
                self._error = error
            self._crc = zlib.crc32(data, self._crc)
            self._hash.update(data)

    def _sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            self._error = error

    def _check(self) -> None:
        if self._error is not None:
            raise DataError(f"{self.path}: cannot be written: {self._error.strerror or self._error}")
