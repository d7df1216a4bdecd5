"""Bytes over DDS on one network interface: topics in, topics out.  The only module that uses Cyclone.

Samples are CDR bytes made and read by :mod:`telerig.hardware.wire.unitree_cdr`; Cyclone gets the types of
:mod:`telerig.drivers.unitree_g1.idl` only to tell others what is on a topic.

Cyclone receives on sockets that are bound to every address of the machine, whichever interface it is told to use
(eclipse-cyclonedds/cyclonedds#1923, #2090).  So every socket that it opens is tied to the interface here
(``SO_BINDTODEVICE``, which Linux grants to anybody since 5.7): nothing that arrives elsewhere is heard.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from types import TracebackType
from typing import Any, Protocol

from telerig.hardware.errors import ConfigError, DeviceLost, DeviceOpenError, MissingExtra

LOOPBACK = "lo"
DEPTH = 16  # messages of a topic kept for a reader that comes late
_SO_BINDTODEVICE = 25

# What travels where, by the part of the robot.
LOW_CMD, LOW_STATE = "rt/lowcmd", "rt/lowstate"
HAND_CMD = {side: f"rt/dex3/{side}/cmd" for side in ("left", "right")}
HAND_STATE = {side: f"rt/dex3/{side}/state" for side in ("left", "right")}
TYPES = {
    LOW_CMD: "LowCmd_",
    LOW_STATE: "LowState_",
    **dict.fromkeys(HAND_CMD.values(), "HandCmd_"),
    **dict.fromkeys(HAND_STATE.values(), "HandState_"),
}


class Bus(Protocol):
    """What driver and emulator need of a network.

    ``take`` gives everything that arrived on a topic since; ``wait`` returns as soon as something is there on any
    topic, or after the timeout; ``writers`` counts who else publishes on a topic that this end writes to or reads.
    """

    def publish(self, topic: str, data: bytes) -> None: ...
    def take(self, topic: str) -> list[bytes]: ...
    def wait(self, timeout_s: float) -> None: ...
    def writers(self, topic: str) -> int: ...
    def close(self) -> None: ...


def check_interface(interface: str) -> None:
    """:raises ConfigError: no name that could be written into Cyclone's settings."""
    if not interface.isprintable() or not interface or set(interface) & set("<>'\"&/ "):
        raise ConfigError(f"interface: {interface!r} is no network interface")


def configuration(interface: str) -> str:
    """Cyclone's settings for one interface.  Loopback has no multicast: participants are looked for by number there."""
    loopback = interface == LOOPBACK
    found = "<Peers><Peer Address='127.0.0.1'/></Peers><MaxAutoParticipantIndex>30</MaxAutoParticipantIndex>"
    return (
        "<CycloneDDS><Domain Id='any'><General>"
        f"<Interfaces><NetworkInterface name='{interface}' multicast='{'false' if loopback else 'default'}'/></Interfaces>"
        f"<AllowMulticast>{'false' if loopback else 'default'}</AllowMulticast></General><Discovery>"
        f"<ParticipantIndex>auto</ParticipantIndex>{found if loopback else ''}"
        # a process that died is forgotten after two seconds instead of ten: what it published counts until then
        "<LeaseDuration>2s</LeaseDuration></Discovery></Domain></CycloneDDS>"
    )


class _Domain:
    """Cyclone's domain, of which a process may have one a number; shared by all its buses, gone with the last."""

    _lock = threading.Lock()
    _open: dict[int, tuple[Any, str, int]] = {}  # noqa: RUF012 - of the process, like Cyclone's own

    @classmethod
    def take(cls, number: int, interface: str) -> Any:
        """A new participant.  :raises DeviceOpenError: no such interface, or the domain is open on another one."""
        from cyclonedds.core import DDSException
        from cyclonedds.domain import Domain, DomainParticipant

        with cls._lock:
            domain, bound, users = cls._open.get(number, (None, interface, 0))
            if bound != interface:
                raise DeviceOpenError(f"DDS domain {number} is open on {bound} in this process, not on {interface}")
            before = _sockets()
            try:
                domain = Domain(number, configuration(interface)) if domain is None else domain
                participant = DomainParticipant(number)
            except DDSException as error:
                raise DeviceOpenError(f"DDS domain {number} on interface '{interface}': {error.msg}") from error
            for handle in _sockets() - before:
                _tie(handle, interface)
            cls._open[number] = (domain, interface, users + 1)
            return participant

    @classmethod
    def give_back(cls, number: int) -> None:
        """One user less."""
        with cls._lock:
            domain, interface, users = cls._open[number]
            if users == 1:
                del cls._open[number]
            else:
                cls._open[number] = (domain, interface, users - 1)


def _sockets() -> set[int]:
    """This process's descriptors of internet sockets."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError, ValueError):
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.add(int(name))
    return found


def _tie(handle: int, interface: str) -> None:
    """Let a socket hear and speak on one interface only.  :raises DeviceOpenError: the system does not let it."""
    with socket.socket(fileno=os.dup(handle)) as copy:
        if copy.family not in (socket.AF_INET, socket.AF_INET6):
            return
        try:
            copy.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode() + b"\0")
        except OSError as error:
            raise DeviceOpenError(
                f"interface '{interface}': DDS cannot be kept to it ({error.strerror}); Linux 5.7 or CAP_NET_RAW is needed"
            ) from error


class DdsBus:
    """One participant on one interface.

    :param interface: ``lo``, or what ``ip link`` calls the one to the robot.
    :param domain: DDS domain, 0 on the robot.
    :param reads, writes: topics of :data:`TYPES`.
    :raises MissingExtra: cyclonedds is not installed.
    :raises DeviceOpenError: no such interface.
    """

    def __init__(self, interface: str, domain: int, reads: tuple[str, ...], writes: tuple[str, ...]) -> None:
        try:
            import cyclonedds._clayer as clayer
        except ImportError as error:
            raise MissingExtra("cyclonedds", "g1") from error
        from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState, WaitSet

        self._clayer, self._domain = clayer, domain
        self._any = SampleState.Any | ViewState.Any | InstanceState.Any
        self._participant: Any = _Domain.take(domain, interface)
        self._topics: dict[str, Any] = {}
        self._readers: dict[str, Any] = {}
        self._writers: dict[str, Any] = {}
        self._waitset = WaitSet(self._participant)
        fresh = ViewState.Any | InstanceState.Alive | SampleState.NotRead
        for topic in reads:
            self._readers[topic] = reader = self._reader(topic)
            self._waitset.attach(ReadCondition(reader, fresh))
        for topic in writes:
            self._writers[topic] = self._writer(topic)

    def _topic(self, name: str) -> Any:
        from cyclonedds.topic import Topic

        from telerig.drivers.unitree_g1 import idl

        if name not in self._topics:
            self._topics[name] = Topic(self._participant, name, getattr(idl, TYPES[name]))
        return self._topics[name]

    def _reader(self, topic: str) -> Any:
        from cyclonedds.core import Policy, Qos
        from cyclonedds.sub import DataReader

        # what is late is of no use: the newest few, none of them sent again
        qos = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(DEPTH))
        return DataReader(self._participant, self._topic(topic), qos)

    def _writer(self, topic: str) -> Any:
        from cyclonedds.core import Policy, Qos
        from cyclonedds.pub import DataWriter
        from cyclonedds.util import duration

        # reliable is what Unitree's own writers offer, and what a reader may ask for; with one kept sample it never waits
        reliable = Policy.Reliability.Reliable(duration(milliseconds=1))
        version = Policy.DataRepresentation(use_cdrv0_representation=True, use_xcdrv2_representation=False)
        return DataWriter(self._participant, self._topic(topic), Qos(reliable, Policy.History.KeepLast(1), version))

    def publish(self, topic: str, data: bytes) -> None:
        """Send one message.  :raises DeviceLost: DDS refuses."""
        code = self._clayer.ddspy_write(self._writers[topic]._ref, data)
        if code < 0:
            raise DeviceLost(f"{topic}: DDS error {code} while writing")

    def take(self, topic: str) -> list[bytes]:
        """All that arrived on a topic, oldest first.  :raises DeviceLost: DDS refuses."""
        found = self._clayer.ddspy_take(self._readers[topic]._ref, self._any, DEPTH)
        if isinstance(found, int):
            raise DeviceLost(f"{topic}: DDS error {found} while reading")
        return [data for data, info in found if info.valid_data]

    def wait(self, timeout_s: float) -> None:
        """Until something is there on any topic, at most so long."""
        self._waitset.wait(round(timeout_s * 1e9))

    def writers(self, topic: str) -> int:
        """How many publish on a topic, this end not counted."""
        reader = self._readers.get(topic)
        probe = self._reader(topic) if reader is None else reader
        count = len(probe.get_matched_publications()) - (topic in self._writers)
        return int(count)

    def __enter__(self) -> DdsBus:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave.  A second call does nothing."""
        if self._participant is None:
            return
        self._waitset.attached.clear()
        self._readers, self._writers, self._topics = {}, {}, {}
        del self._waitset
        self._participant = None
        _Domain.give_back(self._domain)
