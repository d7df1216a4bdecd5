"""Who answers, and may it be driven?  What is checked before anything is sent."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from telerig.drivers.unitree_g1.dds import LOW_CMD, LOW_STATE
from telerig.drivers.unitree_g1.motors import SIDES
from telerig.drivers.unitree_g1.state import EMULATED, Gate, LowState
from telerig.hardware.errors import DeviceIdentityError, DeviceOpenError

if TYPE_CHECKING:
    from telerig.drivers.unitree_g1.robot import UnitreeG1Config

REFUSALS = {
    "bytes": "messages of another length or layout refused",
    "crc": "states with a wrong CRC refused",
    "machine": "states of another kind of robot refused",
    "stale": "states that were not newer than the last refused",
}


def check(
    name: str, config: UnitreeG1Config, gate: Gate, state: LowState | None, hands: Collection[str], others: int
) -> None:
    """:param hands: sides that have answered;  :param others: who else publishes commands.

    :raises DeviceOpenError: nobody there, a hand silent, somebody else commands it.
    :raises DeviceIdentityError: another kind of robot, or a real one where the rig says emulator.
    """
    where = f"{config.interface}, DDS domain {config.domain}"
    if state is None and gate.refused["machine"]:
        wanted = " or ".join(map(str, config.mode_machine))
        raise DeviceIdentityError(f"{name}: the robot says mode_machine {gate.machine}, the rig {wanted}")
    if state is None:
        why = ", ".join(f"{n} {REFUSALS[k]}" for k, n in gate.refused.items()) or "nothing there"
        raise DeviceOpenError(f"{name}: no state on {LOW_STATE} over {where}: {why}")
    if config.emulated and int(state.record["reserve"][0]) != EMULATED:
        raise DeviceIdentityError(
            f"{name}: what answers over {where} is not telerig's emulator, which the rig says it is"
        )
    silent = [side for side in SIDES if config.hands and side not in hands]
    if silent:
        raise DeviceOpenError(f"{name}: {' and '.join(silent)} hand silent over {where}; hands = false if none")
    if others:
        raise DeviceOpenError(
            f"{name}: {others} other program{'s' * (others > 1)} on {LOW_CMD}: two would fight over the robot; release its "
            "motion service (L2 + R2), end what else commands it"
        )
