"""The Homunculus glove's text: 16 decimal ADC counts and a line end, nothing else.

Each line is 16 decimals, each followed by one space, ended by CR LF, at 115200 baud; there is no header, number,
checksum or clock (Project-Homunculus and hmc_exo firmware; LeRobot's ``homunculus_glove`` reads the same lines).  So
a damaged digit that stays a digit cannot be noticed, nor a lost line: prefer telerig's binary frame where you can.
"""

from __future__ import annotations

from collections.abc import Sequence

from telerig.hardware.wire.messages import ADC_MAX, GLOVE_CHANNELS

MAX_LINE = 160  # 16 × "4095 " + CR LF is 82


def encode_line(counts: Sequence[int]) -> bytes:
    """One line, exactly as the firmware prints it."""
    return b"".join(b"%d " % c for c in counts) + b"\r\n"


class LineParser:
    """Finds lines in a stream of bytes that comes in pieces of any size.

    Counters: ``lines`` accepted; ``refused`` lines that do not hold 16 counts of 12 bit; ``resync_bytes`` bytes before
    the first line end (a start in mid-line, whose first number may be cut) and of runs without one.
    """

    def __init__(self, channels: int = GLOVE_CHANNELS) -> None:
        self.lines = self.refused = self.resync_bytes = 0
        self.last_refused = b""
        self._channels = channels
        self._rest = b""
        self._synced = False

    def feed(self, data: bytes) -> list[tuple[int, ...]]:
        """Take what arrived; return the counts of every complete, valid line, in order."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines and not self._synced:
            self._synced = True
            self.resync_bytes += len(lines[0]) + 1
            del lines[0]
        if len(self._rest) > MAX_LINE:
            self.resync_bytes += len(self._rest)
            self._rest, self._synced = b"", False
        found = [counts for line in lines if (counts := self._parse(line)) is not None]
        self.lines += len(found)
        return found

    def _parse(self, line: bytes) -> tuple[int, ...] | None:
        tokens = line.split()
        if len(tokens) == self._channels and all(t.isdigit() and len(t) <= 4 for t in tokens):
            counts = tuple(map(int, tokens))
            if max(counts) <= ADC_MAX:
                return counts
        self.refused += 1
        self.last_refused = line
        return None
