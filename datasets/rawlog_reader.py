"""Reads raw logs, whole or cut short: every whole record counts, a missing summary does not matter.

>>> log = RawLog(path)                       # doctest: +SKIP
>>> for sample in log.samples("robot/state"): ...
>>> log.columns("robot/state").fields["position"]   # (N, joints)
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from mcap.opcode import Opcode
from mcap.records import Channel, Metadata

from telerig.datasets.rawlog_codec import SampleCodec
from telerig.datasets.rawlog_columns import Columns, decode_columns
from telerig.datasets.rawlog_container import MESSAGE_HEAD_SIZE, message_at, parse, scan
from telerig.datasets.rawlog_schema import SCHEMA_VERSION
from telerig.datasets.rawlog_writer import EPISODE_RECORD, SESSION_RECORD
from telerig.hardware.errors import DataError
from telerig.hardware.samples import Sample
from telerig.hardware.specs import StreamSpec


class RawLog:
    """One raw log, indexed once on opening (a pass over the record headers).

    :raises DataError: no such file, not MCAP, not telerig's, or of a newer schema version.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.specs: dict[str, StreamSpec] = {}
        self.meta: dict[str, Any] = {}
        self.episode: dict[str, Any] | None = None
        self.complete = False
        self.valid_bytes = 0
        self._messages: dict[int, list[tuple[int, int]]] = {}  # channel → (start, end) of each message's data
        self._order: list[tuple[int, int, int]] = []
        self._first: int | None = None
        self._last = 0
        self._channels: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._codecs: dict[str, SampleCodec] = {}
        try:
            with open(self.path, "rb") as file:
                self._buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise DataError(f"{self.path}: no such file")
        except (OSError, ValueError) as error:  # ValueError: empty file
            raise DataError(f"{self.path}: not a raw log: {error}")
        try:
            self._index()
        except DataError as error:
            raise DataError(f"{self.path}: {error}")

    def require_whole(self) -> None:
        """:raises DataError: it was cut short, or never closed."""
        if not self.complete:
            raise DataError(f"{self.path}: was cut short; what is left of it is kept by: telerig repair")

    def _index(self) -> None:
        for record in scan(self._buffer):
            self.valid_bytes = record.end
            if record.opcode == Opcode.MESSAGE:
                head = message_at(self._buffer, record)
                self._first = head.log_time if self._first is None else min(self._first, head.log_time)
                self._last = max(self._last, head.log_time)
                span = (record.body + MESSAGE_HEAD_SIZE, record.end)
                self._messages.setdefault(head.channel, []).append(span)
                self._order.append((head.channel, *span))
            elif record.opcode == Opcode.CHANNEL and not self.complete:
                self._add_channel(parse(Channel, self._buffer, record))
            elif record.opcode == Opcode.METADATA:
                self._add_metadata(parse(Metadata, self._buffer, record))
            elif record.opcode == Opcode.CHUNK:
                raise DataError("is a chunked MCAP file; telerig's raw logs are not chunked (convert it with `mcap`)")
            elif record.opcode == Opcode.DATA_END:
                self.complete = True
        self.complete = self.complete and len(self._buffer) == self.valid_bytes + 8
        if "schema_version" not in self.meta:
            raise DataError("not telerig's raw log: the metadata record 'telerig.session' is missing")
        if self.meta["schema_version"] > SCHEMA_VERSION:
            version = self.meta["schema_version"]
            raise DataError(
                f"raw log of schema version {version}; this telerig reads up to {SCHEMA_VERSION}: update it"
            )

    def _add_channel(self, channel: Channel) -> None:
        text = channel.metadata.get("spec")
        if text is None or channel.id in self._channels:
            return
        spec = StreamSpec.from_json(json.loads(text))
        self._channels[channel.id] = spec.name
        self._numbers[spec.name] = channel.id
        self.specs[spec.name] = spec
        self._codecs[spec.name] = SampleCodec(spec)

    def _add_metadata(self, record: Metadata) -> None:
        values = {k: json.loads(v) for k, v in record.metadata.items()}
        if record.name == SESSION_RECORD:
            self.meta = values
        elif record.name == EPISODE_RECORD:
            self.episode = values

    @cached_property
    def counts(self) -> dict[str, int]:
        """Samples a stream; streams without any are listed with 0."""
        by_name = {self._channels[c]: len(v) for c, v in self._messages.items() if c in self._channels}
        return {name: by_name.get(name, 0) for name in self.specs}

    @property
    def span(self) -> tuple[int, int] | None:
        """Earliest and latest arrival over all streams, ns; None in an empty log."""
        return None if self._first is None else (self._first, self._last)

    def samples(self, *streams: str) -> Iterator[Sample]:
        """All samples, or those of some streams, in the order they were written.

        :raises DataError: a stream is not in the log, or a message is damaged.
        """
        for name in streams:
            self._spec(name)
        wanted = {c for c, name in self._channels.items() if not streams or name in streams}
        decoders = {c: self._codecs[self._channels[c]].decode for c in wanted}
        for channel, start, end in self._order:
            if channel in wanted:
                yield decoders[channel](self._buffer[start:end])

    def payloads(self, stream: str) -> list[bytes]:
        """The stored messages of a stream."""
        return [self._buffer[start:end] for start, end in self._spans(stream)]

    def payload(self, stream: str, index: int) -> bytes:
        """One of them."""
        start, end = self._spans(stream)[index]
        return self._buffer[start:end]

    def sizes(self, stream: str) -> list[int]:
        """How long each of them is, in bytes."""
        return [end - start for start, end in self._spans(stream)]

    def _spans(self, stream: str) -> list[tuple[int, int]]:
        self._spec(stream)
        return self._messages.get(self._numbers[stream], [])

    def columns(self, stream: str) -> Columns:
        """All samples of a stream as arrays (blobs are left out).  :raises DataError: no such stream, or damaged."""
        self._spec(stream)
        return decode_columns(self._codecs[stream], self.payloads(stream))

    def _spec(self, stream: str) -> StreamSpec:
        if stream not in self.specs:
            raise DataError(f"{self.path}: no stream '{stream}' (it has {', '.join(self.specs) or 'none'})")
        return self.specs[stream]

    def close(self) -> None:
        """Let go of the file."""
        self._buffer.close()

    def __enter__(self) -> RawLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
