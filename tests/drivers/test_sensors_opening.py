"""Opening a glove or pedal box: another device, wrong firmware or nobody on the port, each told apart in one line."""

from __future__ import annotations

from typing import Any

import pytest

from telerig.drivers import table
from telerig.hardware.clock import VirtualClock
from telerig.hardware.errors import DeviceIdentityError, DeviceOpenError
from telerig.hardware.protocols import DeviceContext

from .sensor_bench import CONFIGS, FRAMED, Bench, opened


@pytest.mark.parametrize(
    ("driver", "config", "emulated", "emulated_config", "message"),
    [
        (
            "pedal_box",
            {},
            "hall_glove",
            {},
            "a pedal box belongs on this port; left glove EMULATED-LEFT says",
        ),
        ("hall_glove", {"side": "left"}, "hall_glove", {"side": "right"}, "a left glove belongs .* says right glove"),
        ("hall_glove", {"side": "left"}, "pedal_box", {"serial": "X"}, "a left glove belongs on .*; pedal box X says"),
        ("hall_glove", {"side": "left", "serial": "TG-7"}, "hall_glove", {}, "serial number TG-7 belongs"),
        ("hall_glove", {"side": "left", "rate_hz": 100.0}, "hall_glove", {}, "rate in Hz 100 belongs"),
    ],
)
def test_another_device_on_the_port_is_refused(
    driver: str, config: dict[str, Any], emulated: str, emulated_config: dict[str, Any], message: str
) -> None:
    bench = Bench(driver, config, emulated, emulated_config or CONFIGS[emulated])
    with pytest.raises(DeviceIdentityError, match=f"^dev: {message}") as caught:
        bench.device.open()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("driver", FRAMED)
def test_wrong_firmware_is_refused_in_one_line(driver: str) -> None:
    bench = Bench(driver)
    bench.emulator.fault("wrong_version", version=3)
    with pytest.raises(DeviceIdentityError, match=r"^dev: wrong firmware: it speaks wire version 3, this telerig 1$"):
        bench.device.open()
    bench = Bench(driver)
    bench.emulator.fault("wrong_device")
    with pytest.raises(DeviceIdentityError, match="belongs on this port"):
        bench.device.open()


def test_nobody_on_the_port_or_nobody_who_answers_is_told_apart() -> None:
    bench = Bench("hall_glove")
    bench.emulator.fault("silent")
    with pytest.raises(DeviceOpenError, match=r"nothing answers on it within 0\.6 s"):
        bench.device.open()
    bench.emulator.fault("clear")
    bench.device.open()
    bench.device.close()
    bench.plugged = False
    with pytest.raises(DeviceOpenError, match="unplugged"):
        bench.device.open()
    text = Bench("hall_glove", emulated="homunculus_glove")
    with pytest.raises(DeviceOpenError, match="no telerig frame among them"):
        text.device.open()
    driver = table.driver("hall_glove")
    alone = driver(driver.Config("left"), DeviceContext("dev", VirtualClock()))
    with pytest.raises(DeviceOpenError, match=r"no port; give devices\.dev\.port, or emulate = true"):
        alone.open()
    with pytest.raises(DeviceOpenError, match="read before open"):
        alone.read(0)


def test_a_homunculus_arm_or_a_binary_glove_is_no_homunculus_glove() -> None:
    bench = opened("homunculus_glove")
    bench.emulator.fault("wrong_device")
    with pytest.raises(DeviceIdentityError, match="lines of 21 words where a Homunculus glove sends 16 numbers"):
        bench.run(1.0)
    binary = opened("homunculus_glove", emulated="hall_glove")
    with pytest.raises(DeviceIdentityError, match=r"dev: (\d+ bytes without a line|lines of \d+ words)"):
        binary.run(2.0)
