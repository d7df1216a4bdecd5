"""The bus under the Dynamixel drivers: the SDK's traps, and the pace at which it is asked."""

from __future__ import annotations

import pytest
from dynamixel_sdk import COMM_SUCCESS, robotis_def
from hypothesis import given
from hypothesis import strategies as st

from telerig.drivers.dynamixel_bus import Bus
from telerig.drivers.dynamixel_chain import Pacer, ServoError
from telerig.drivers.dynamixel_port import BusPort
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import DeviceLost
from telerig.hardware.wire import dynamixel_table as table

from .dynamixel_exo_rig import MS, Rig


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.driver.open()
    return made


def test_pacer_counts_what_it_skips() -> None:
    clock = VirtualClock()
    pacer = Pacer(clock, 250.0)
    start = clock.now()
    assert pacer.wait(0)
    clock.advance(13 * MS)
    assert pacer.wait(0)
    assert (pacer.skipped, pacer.deadline) == (2, start + 16 * MS)
    assert not pacer.wait(0.002)


@given(st.integers(0, 20 * MS), st.sampled_from([0.0, 0.25, 0.5, 2 / 3]))
def test_two_pacers_of_different_phases_never_tick_together(opened: int, phase: float) -> None:
    """Whenever each was opened: otherwise two arms of one rate may ask in the same instant for a whole session."""
    clock = VirtualClock()
    clock.advance(opened)
    pacer = Pacer(clock, 250.0, phase)
    assert 0 <= pacer.deadline - clock.now() < 4 * MS
    assert pacer.deadline % (4 * MS) == round(phase * 4 * MS)


def test_unplugged_does_not_leave_the_port_in_use(rig: Rig) -> None:
    """Trap: after a failed write the SDK answers COMM_PORT_BUSY for ever."""
    port = BusPort(rig._port(), rig.clock, 4_000_000, 0.01)
    from dynamixel_sdk.protocol2_packet_handler import Protocol2PacketHandler

    handler = Protocol2PacketHandler()
    rig.plugged = False
    for call in (lambda: handler.ping(port, 1), lambda: handler.syncReadTx(port, 132, 4, [1], 1, False)):
        with pytest.raises(DeviceLost):
            call()
        assert not port.is_using
    rig.plugged = True
    assert handler.ping(port, 1)[1] == COMM_SUCCESS


def test_waits_once_instead_of_spinning() -> None:
    """Trap: the SDK's port polls in a busy loop.  Reads per cycle: one to clear, one or so a reply."""
    rig = Rig(wire_time=True)
    rig.driver.open()
    rig.ports[-1].reads = 0
    rig.tick(10)
    assert rig.ports[-1].reads <= 10 * (2 + 7)


def test_a_babbling_bus_ends() -> None:
    """Trap: the SDK's receive loop only looks at the time when it runs out of bytes."""

    class Babble:
        count = 0

        def read(self, timeout_s: float = 0.0, max_bytes: int = 65536) -> bytes:
            self.count += 1
            assert self.count < 1000
            return b"\xff" * 100

        def write(self, data: bytes) -> None:
            pass

        def close(self) -> None:
            pass

    babble = Babble()
    bus = Bus(babble, VirtualClock(), 1_000_000, 0.01)
    assert bus.ping(1, tries=1) is None
    assert bus.group_read([1, 2], 132, 4).errors == {}
    with pytest.raises(ServoError, match=r"servo 1: reading 4 bytes at 132 failed: damaged answer"):
        bus.read(1, table.PRESENT_POSITION, tries=1)


def test_sdk_errors_name_servo_register_and_cause() -> None:
    rig = Rig()
    bus = Bus(rig._port(), rig.clock, 4_000_000, 0.01)
    with pytest.raises(ServoError, match=r"servo 9: writing 1 to LED \(65\) failed: no answer"):
        bus.write(9, table.LED, 1)
    with pytest.raises(ServoError, match=r"servo 1: writing 9 to Torque Enable \(64\) failed: value out of range"):
        bus.write(1, table.TORQUE_ENABLE, 9)
    assert bus.port.openPort()
    assert bus.port.getBytesAvailable() == 0
    assert robotis_def.BROADCAST_ID == 0xFE
