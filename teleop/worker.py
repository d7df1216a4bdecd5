"""A device's own process: opens it, moves its samples onto streams, survives unplugging.

Unplugged is not crashed: the worker stays and tries to open the device every 200 ms.
"""

from __future__ import annotations

from typing import Any

from telerig.drivers import table
from telerig.hardware.errors import DeviceError, DeviceIdentityError, DeviceLost, TelerigError
from telerig.hardware.events import Level
from telerig.hardware.protocols import Device, DeviceContext
from telerig.teleop.child import Child
from telerig.teleop.config_values import build_config
from telerig.teleop.open_port import port_opener

RETRY_NS = 200_000_000
SETTLE_NS = 3_000_000_000  # emulators start beside their drivers: what is not there yet is not missing yet
OPEN_LIMIT_S = 15.0  # an off-screen GL context on a busy machine, a USB camera that has to boot
CLOSE_LIMIT_S = 3.0  # an arm of bare servos comes to rest before its torque goes off
READ_TIMEOUT_S = 0.05


def build_device(child: Child) -> Any:
    """The driver's object, from the settings the session wrote."""
    settings = child.settings
    driver = table.driver(settings["driver"])
    config = build_config(driver.Config, settings["config"], child.name)
    probe = driver(config, DeviceContext(child.name, child.clock))
    inputs = {name: child.reader(name) for name in probe.inputs}
    opener = port_opener(settings)
    return driver(config, DeviceContext(child.name, child.clock, opener, inputs, child.emit, settings.get("phase")))


class Keeper:
    """Keeps a device open: opens, re-opens every 200 ms, tells the operator once when it goes and when it is back."""

    def __init__(self, child: Child, device: Device) -> None:
        self._child, self._device = child, device
        self.is_open = False
        self._told_missing = False
        self._heard = False  # since it was opened, by this very process
        self._hopeless = False
        self._opened_before = self._was_there = False
        self._next_try = self._tried = 0
        self._settled: int | None = None
        # The session is told to go when every worker is prepared: one that finds it going was started again.
        self._began_with_session = not child.control.going

    def ensure_open(self) -> bool:
        """Whether the device is open now; tries at most every 200 ms."""
        now = self._child.clock.now()
        if self.is_open:
            return True
        if self._hopeless or now < self._next_try:
            self._child.clock.sleep_until(min(now + 20_000_000, max(self._next_try, now + 1_000_000)))
            return False
        self._next_try, self._tried = now + RETRY_NS, now
        if self._settled is None:  # not when it was made: it may have waited half a minute for the others
            self._settled = now + SETTLE_NS
        try:
            if self._opened_before:  # the first time counts as starting, for which there is time
                self._child.beat(OPEN_LIMIT_S)
            self._opened_before = True
            self._device.open()
        except DeviceIdentityError as error:  # the wrong thing is plugged in: trying again cannot help
            self._wrong(error)
        except DeviceError as error:
            if not self._told_missing and now >= self._settled:
                self._child.say(Level.WARNING, "device.missing", str(error))
                self._told_missing = True
        else:
            self._child.say(Level.INFO, "device.open", f"{self._child.name} is there")
            self.is_open, self._told_missing, self._was_there = True, False, True
        return self.is_open

    def heard(self) -> None:
        """The device has given a sample: it is there, whatever this worker, or one before it that died, said of it."""
        if not self._heard:
            self._heard = True
            self._child.note_away(False)

    def lost(self, error: DeviceLost) -> None:
        """The device went away: tell, close, try again later."""
        self._went_away()  # first: it is what stops the robot
        self._child.say(Level.WARNING, "device.lost", str(error))
        self.is_open, self._told_missing = False, True
        self._next_try = self._child.clock.now() + RETRY_NS
        self._close()

    def refused(self, error: DeviceIdentityError) -> None:
        """What is plugged in turned out to be something else: tell, close, and leave it at that."""
        self._went_away()
        self.is_open = False
        self._wrong(error)
        self._close()

    def close(self) -> None:
        """Close the device if it is open, for the last time; what goes wrong is told."""
        if self.is_open:
            self.is_open = False
            self._close()

    def _went_away(self) -> None:
        self._heard = False
        self._child.note_away(True)

    def _wrong(self, error: DeviceIdentityError) -> None:
        """A rig that is wrong from the start ends the command; what somebody plugs in later does not.

        It counts when opening began, not how long it took.
        """
        early = self._settled is not None and self._tried < self._settled
        at_start = self._began_with_session and not self._was_there and early
        self._hopeless = True
        text = str(error) if at_start else f"{error}; left alone until the session is started again"
        self._child.say(Level.ERROR, "device.wrong", text, at_start=at_start)

    def _close(self) -> None:
        self._child.beat(CLOSE_LIMIT_S)  # who is killed while an arm comes to rest leaves it with its torque on
        try:
            self._device.close()
        except TelerigError as problem:
            self._child.say(Level.INFO, "device.close_failed", str(problem))


def run(child: Child) -> None:
    """The worker of a device that only senses."""
    device = build_device(child)
    keeper = Keeper(child, device)
    writers = {spec.name: child.writer(spec.name) for spec in device.streams}
    child.go_realtime()
    patience_s = float(child.settings.get("patience_s", 0.0))
    linger_ns = int(child.settings.get("linger_s", 0.0) * 1e9)
    end: int | None = None
    while end is None or child.clock.now() < end:
        if child.stopping and end is None:
            end = child.clock.now() + linger_ns  # a simulated world outlives its robot's last command
        is_open = keeper.ensure_open()
        child.beat(patience_s)
        if not is_open:
            continue
        try:
            for sample in device.read(READ_TIMEOUT_S):
                writers[sample.stream].write(sample)
                keeper.heard()
        except DeviceLost as error:
            keeper.lost(error)
        except DeviceIdentityError as error:
            keeper.refused(error)
    keeper.close()
