"""The emulated chain behind a pseudo-terminal: the vendor's SDK, unmodified, as referee; then telerig's drivers."""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dynamixel_sdk import (
    COMM_RX_TIMEOUT,
    COMM_SUCCESS,
    GroupBulkRead,
    GroupBulkWrite,
    GroupSyncRead,
    GroupSyncWrite,
    PacketHandler,
    PortHandler,
)

from telerig.drivers.dynamixel_arm import DynamixelArm, DynamixelArmConfig
from telerig.drivers.dynamixel_arm_emulator import DynamixelArmEmulator
from telerig.drivers.dynamixel_emulator import DynamixelChain
from telerig.drivers.exo_arm import ExoArm, ExoArmConfig
from telerig.drivers.exo_arm_emulator import ExoArmEmulator
from telerig.drivers.ports import SerialPort
from telerig.hardware.clock import RealClock
from telerig.hardware.commands import Command, Mode, Source
from telerig.hardware.errors import DeviceLost, DeviceOpenError
from telerig.hardware.protocols import DeviceContext
from telerig.hardware.samples import Sample

pytestmark = pytest.mark.realtime


class Terminal:
    """Hosts an emulator on a pseudo-terminal, in a thread that sleeps until something is due."""

    def __init__(self, emulator: DynamixelChain, link: Path) -> None:
        self.emulator, self.link, self.clock = emulator, link, RealClock()
        self.stall_s = 0.0  # before its next answer, once
        self.plug()

    def plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.link.symlink_to(os.ttyname(self._slave))
        self._stop_r, self._stop_w = os.pipe()
        self._thread = threading.Thread(target=self._pump, args=(self._master, self._stop_r))
        self._thread.start()

    def unplug(self) -> None:
        os.write(self._stop_w, b"x")
        self._thread.join()
        self.link.unlink()
        for fd in (self._master, self._slave, self._stop_r, self._stop_w):
            os.close(fd)

    def _pump(self, master: int, stop: int) -> None:
        while True:
            now = self.clock.now()
            due = self.emulator.next_due(now)
            ready, _, _ = select.select([master, stop], [], [], None if due is None else max(0, due - now) * 1e-9)
            if stop in ready:
                return
            data = os.read(master, 4096) if master in ready else b""
            if data and self.stall_s:
                time.sleep(self.stall_s)
                self.stall_s = 0.0
            out = self.emulator.step(self.clock.now(), data)
            if out:
                os.write(master, out)


@pytest.fixture
def exo(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(ExoArmEmulator(ExoArmConfig(wire_time=True)), tmp_path / "exo")
    yield terminal
    terminal.unplug()


@pytest.fixture
def sdk(exo: Terminal) -> Iterator[tuple[PortHandler, PacketHandler]]:
    port = PortHandler(str(exo.link))
    assert port.setBaudRate(4_000_000)
    yield port, PacketHandler(2.0)
    port.closePort()


def test_referee_single_servo(exo: Terminal, sdk: tuple[PortHandler, PacketHandler]) -> None:
    port, handler = sdk
    assert handler.ping(port, 3) == (1190, COMM_SUCCESS, 0)
    assert handler.read1ByteTxRx(port, 3, 6) == (48, COMM_SUCCESS, 0)
    assert handler.write4ByteTxRx(port, 3, 112, 55) == (COMM_SUCCESS, 0)
    assert handler.read4ByteTxRx(port, 3, 112) == (55, COMM_SUCCESS, 0)
    assert handler.write1ByteTxRx(port, 3, 64, 9) == (COMM_SUCCESS, 4)  # data range
    assert handler.regWriteTxRx(port, 3, 65, 1, [1]) == (COMM_SUCCESS, 0)
    assert handler.action(port, 254) == COMM_SUCCESS
    assert handler.read1ByteTxRx(port, 3, 65) == (1, COMM_SUCCESS, 0)
    assert handler.reboot(port, 3) == (COMM_SUCCESS, 0)
    assert handler.read1ByteTxRx(port, 3, 65) == (0, COMM_SUCCESS, 0)
    exo.emulator.fault("silent", servo=3)
    assert handler.ping(port, 3)[1] == COMM_RX_TIMEOUT
    found, result = handler.broadcastPing(port)
    assert (result, sorted(found), found[1]) == (COMM_SUCCESS, [1, 2, 4, 5, 6, 7], [1190, 48])


def test_referee_groups(exo: Terminal, sdk: tuple[PortHandler, PacketHandler]) -> None:
    port, handler = sdk
    exo.emulator.set_values({"angle": [0.1 * i for i in range(7)]})
    wanted = [2048 + round(0.1 * i * 4096 / (2 * np.pi)) for i in range(7)]
    group = GroupSyncRead(port, handler, 132, 4)
    assert all(group.addParam(i) for i in range(1, 8))
    for read in (group.txRxPacket, group.fastSyncRead):
        assert read() == COMM_SUCCESS
        assert [group.getData(i, 132, 4) for i in range(1, 8)] == wanted
    bulk = GroupBulkRead(port, handler)
    assert bulk.addParam(2, 132, 4)
    assert bulk.addParam(5, 0, 2)
    for read in (bulk.txRxPacket, bulk.fastBulkRead):
        assert read() == COMM_SUCCESS
        assert (bulk.getData(2, 132, 4), bulk.getData(5, 0, 2)) == (wanted[1], 1190)
    writer = GroupSyncWrite(port, handler, 65, 1)
    assert writer.addParam(4, [1])
    assert writer.txPacket() == COMM_SUCCESS
    bulk_writer = GroupBulkWrite(port, handler)
    assert bulk_writer.addParam(6, 65, 1, [1])
    assert bulk_writer.txPacket() == COMM_SUCCESS
    assert [handler.read1ByteTxRx(port, i, 65)[0] for i in range(3, 8)] == [0, 1, 0, 1, 0]


def test_exo_arm_loses_nothing(exo: Terminal) -> None:
    journal: list[int] = []
    config = ExoArmConfig(port=str(exo.link))
    arm = ExoArm(config, DeviceContext("exo", exo.clock, lambda: SerialPort(config.port, config.baud)))
    arm.open()
    exo.emulator.journal = lambda t, seq: journal.append(seq)
    exo.emulator.set_values({"angle": [0.25] * 7})
    samples: list[Sample] = []
    while len(samples) < 100:
        samples += arm.read(0.1)
    arm.close()
    assert journal == list(range(100))
    times = np.array([s.t_sample for s in samples])
    assert (np.diff(times) > 0).all()
    assert all(0 < s.sigma_t < s.t_arrival - s.t_sample + s.sigma_t for s in samples)
    np.testing.assert_allclose(samples[-1].array("position"), 0.25, atol=1e-3)
    assert samples[-1].valid is not None
    assert samples[-1].valid.all()


def test_exo_arm_unplugged_and_plugged_in(exo: Terminal) -> None:
    config = ExoArmConfig(port=str(exo.link))
    arm = ExoArm(config, DeviceContext("exo", exo.clock, lambda: SerialPort(config.port, config.baud)))
    arm.open()
    assert arm.read(0.5)
    exo.unplug()
    with pytest.raises(DeviceLost):  # the closed terminal may still deliver what it had
        any(arm.read(0.1) == [] for _ in range(100))
    arm.close()
    with pytest.raises(DeviceOpenError, match="cannot be opened"):
        arm.open()
    exo.plug()
    arm.open()
    assert arm.read(0.5)
    arm.close()


def test_exo_arm_answered_late_by_a_busy_host_loses_nothing(exo: Terminal) -> None:
    assert ExoArmConfig().reply_timeout_ms >= 40.0
    config = ExoArmConfig(port=str(exo.link), reply_timeout_ms=400.0)  # a machine that runs tests is later still
    arm = ExoArm(config, DeviceContext("exo", exo.clock, lambda: SerialPort(config.port, config.baud)))
    arm.open()
    assert arm.read(0.5)
    for _ in range(5):
        exo.stall_s = 0.03
        (sample,) = arm.read(0.5)
        assert not np.isnan(sample.array("position")).any()
        assert sample.sigma_t > 14_000_000  # it says how little its time is known
        assert arm.read(0.5)
    arm.close()


def test_follower_goes_where_it_is_told(tmp_path: Path) -> None:
    config = DynamixelArmConfig(port=str(tmp_path / "arm"), wire_time=True, bus_watchdog_ms=1000)
    terminal = Terminal(DynamixelArmEmulator(config), tmp_path / "arm")
    arm = DynamixelArm(config, DeviceContext("robot", terminal.clock, lambda: SerialPort(config.port, config.baud)))
    try:
        arm.open()
        goal = np.array([0.3, -0.2, 0.2, 0.1, 0.0, -0.1, 0.5])
        for seq in range(2000):
            now = terminal.clock.now()
            command = Command(seq, "robot/joints", Mode.JOINT_POSITION, goal, Source.OPERATOR, now, (now, now))
            arm.send(command)
            samples = arm.read(0.1)
            if samples and np.abs(samples[-1].array("position") - goal).max() < 3e-3:
                break
        else:
            pytest.fail("it never arrived")
        arm.close()
        assert not any(s.torque for s in terminal.emulator.servos.values())
    finally:
        terminal.unplug()
