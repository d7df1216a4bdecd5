"""The line about a robot on its own feet on the operator's screen: does it balance, how far does it lean, what is it asked."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.text import Text

from telerig.hardware.legs import Balance
from telerig.hardware.samples import Sample

STYLES = {
    Balance.LIMP: "dim", Balance.RISING: "cyan", Balance.SETTLING: "yellow", Balance.BALANCING: "green",
    Balance.LOWERING: "yellow", Balance.FALLEN: "bold red",
}  # fmt: skip
MEANING = {
    Balance.LIMP: "legs limp",
    Balance.RISING: "legs stiffen",
    Balance.SETTLING: "comes to rest",
    Balance.BALANCING: "balances",
    Balance.LOWERING: "goes down",
    Balance.FALLEN: "fell",
}
RESTS = 0.005  # m/s, rad/s: no wish to move


def body_line(sample: Sample | None, calm: Callable[[float], float]) -> Text:
    """One line from the newest sample of ``DEVICE/balance``.

    :param calm: tilt, rad → share of the arms' speed that is left, as the loop has it.
    """
    if sample is None:
        return Text("  body  waiting", "yellow")
    balance, tilt = Balance(sample.array("state").item()), sample.array("tilt").item()
    text = Text("  body  ")
    text.append(f"{MEANING[balance]:<13}", STYLES[balance])
    share, known = 1.0, math.isfinite(tilt)
    if balance in (Balance.BALANCING, Balance.LOWERING):
        share = calm(tilt)  # only one that stands slows its arms down
        text.append(f"  {_wish(*sample.array('wish').tolist())}", "yellow" if sample.array("urgent").item() else "")
    if known or share < 1.0:
        text.append(f"   tilt {f'{math.degrees(tilt):3.0f}' if known else '  ?'}°", "" if share >= 1.0 else "bold red")
    if share < 1.0:
        text.append(f"  arms at {share:.0%} speed", "bold red")
    return text


def _wish(vx: float, vy: float, yaw: float, height: float) -> str:
    """What the policy is asked, in words: what is not zero, and the height."""
    parts = []
    for value, unit, words in ((vx, "m/s", ("forward", "back")), (vy, "m/s", ("left", "right")),
                               (yaw, "rad/s", ("turn left", "turn right"))):  # fmt: skip
        if abs(value) > RESTS:
            parts.append(f"{words[value < 0]} {abs(value):.2f} {unit}")
    return ", ".join([*(parts or ["stands"]), f"{height:.2f} m high"])
