"""One Dynamixel bus as the host uses it: registers with signs and errors, and group reads that keep what they got.

Requests, single reads and writes are the vendor SDK's.  Replies to group reads are parsed here, because the SDK's
``GroupSyncRead`` throws the error byte away and, when one servo is silent, gives up what all others sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dynamixel_sdk import robotis_def as sdk
from dynamixel_sdk.protocol2_packet_handler import Protocol2PacketHandler

from telerig.drivers.dynamixel_chain import GroupReading, ServoError
from telerig.drivers.dynamixel_port import BusPort
from telerig.hardware.errors import DeviceError
from telerig.hardware.protocols import Clock, Port
from telerig.hardware.wire import dynamixel as wire
from telerig.hardware.wire.dynamixel_table import Register

TRIES = 3
REST_S = 0.02  # who answers answers at once: what has not come so long after the last byte is lost


class Bus:
    """:param patience_s: how long to wait for replies beyond their time on the wire.
    :param name_of: what to call servo ``id`` in errors.
    """

    def __init__(
        self, port: Port, clock: Clock, baud: int, patience_s: float, name_of: Callable[[int], str] = "servo {}".format
    ) -> None:
        self.clock = clock
        self.port = BusPort(port, clock, baud, patience_s)
        self.handler = Protocol2PacketHandler()
        self.name_of = name_of
        self.crc_errors = 0
        self.last_talk = clock.now()

    def close(self) -> None:
        """Close the port; one that is gone closes without complaint."""
        self.port.closePort()

    def ping(self, ident: int, tries: int = TRIES, patience_s: float | None = None) -> tuple[int, int] | None:
        """(model number, alert bit) of a servo that answers, else None."""
        usual = self.port.patience_s
        self.port.patience_s = usual if patience_s is None else patience_s
        try:
            for _ in range(tries):
                model, result, error = self.handler.ping(self.port, ident)
                if result == sdk.COMM_SUCCESS:
                    return model, error & wire.ALERT
            return None
        finally:
            self.port.patience_s = usual

    def read_block(self, ident: int, address: int, length: int, tries: int = TRIES) -> tuple[bytes, int]:
        """(bytes, error byte).  :raises ServoError: no good answer in ``tries`` attempts."""
        why = ""
        for _ in range(tries):
            data, result, error = self.handler.readTxRx(self.port, ident, address, length)
            self.last_talk = self.clock.now()
            if result != sdk.COMM_SUCCESS:
                why = self._why(result)
            elif error & ~wire.ALERT:
                why = f"it {wire.ERROR_TEXT.get(error & ~wire.ALERT, f'reports error {error}')}"
            elif len(data) != length:
                why = f"it sent {len(data)} bytes"  # a late reply to something else
            else:
                return bytes(data), error
        raise ServoError(f"{self.name_of(ident)}: reading {length} bytes at {address} failed: {why}")

    def read(self, ident: int, register: Register, tries: int = TRIES) -> int:
        """A register, with its sign.  :raises ServoError: no good answer."""
        return register.decode(self.read_block(ident, register.address, register.size, tries)[0])

    def write(self, ident: int, register: Register, value: int, tries: int = TRIES) -> None:
        """Write and have it confirmed.  :raises ServoError: refused, or no answer."""
        why = ""
        for _ in range(tries):
            data = list(register.encode(value))
            result, error = self.handler.writeTxRx(self.port, ident, register.address, register.size, data)
            self.last_talk = self.clock.now()
            if result == sdk.COMM_SUCCESS and not error & ~wire.ALERT:
                return
            if result == sdk.COMM_SUCCESS:
                why = f"{wire.ERROR_TEXT.get(error & ~wire.ALERT, f'error {error}')}"
            else:
                why = self._why(result)
        what = f"{register.name} ({register.address})"
        raise ServoError(f"{self.name_of(ident)}: writing {value} to {what} failed: {why}")

    def reboot(self, ident: int) -> None:
        """Restart a servo's firmware (clears hardware errors; RAM registers return to defaults)."""
        self.handler.reboot(self.port, ident)

    def group_read(self, ids: Sequence[int], address: int, length: int) -> GroupReading:
        """Sync read; what did not come is not in the result.  :raises DeviceLost: unplugged."""
        reply = length + 11  # header, id, length, instruction, error, CRC
        wanted, parser = set(ids), wire.Parser(max_length=2 * length + 4)  # stuffing adds at most a third
        t0 = self.clock.now()
        reading = GroupReading(t0, t0)
        try:
            result = self.handler.syncReadTx(self.port, address, length, list(ids), len(ids), False)
            if result != sdk.COMM_SUCCESS:
                raise DeviceError(f"sync read of {len(ids)} servos at {address}: {self._why(result)}")
            while wanted:
                chunk = self.port.receive()
                self.port.hurry(REST_S, reply)
                packets = parser.feed(chunk) if chunk else parser.flush()
                for packet in packets:
                    if packet.is_status and packet.id in wanted:
                        wanted.discard(packet.id)
                        reading.errors[packet.id] = packet.error
                        if len(packet.data) == length and not packet.error & ~wire.ALERT:
                            reading.data[packet.id] = packet.data
                if not chunk:
                    break
        finally:
            self.port.is_using = False
        self.crc_errors += parser.crc_errors
        reading.t1 = self.last_talk = self.clock.now()
        return reading

    def sync_write(self, address: int, values: Mapping[int, bytes]) -> None:
        """One broadcast that gives every servo its bytes; nobody confirms it.  :raises DeviceLost: unplugged."""
        if not values:
            return
        size = len(next(iter(values.values())))
        param = [byte for ident, data in values.items() for byte in (ident, *data)]
        self.handler.syncWriteTxOnly(self.port, address, size, param, len(param))
        self.last_talk = self.clock.now()

    def sync_write_checked(self, address: int, values: Mapping[int, bytes], tries: int = TRIES) -> set[int]:
        """Broadcast, read back, repeat for those that differ; ids that never agreed."""
        left = dict(values)
        for _ in range(tries):
            if not left:
                break
            self.sync_write(address, left)
            size = len(next(iter(left.values())))
            got = self.group_read(list(left), address, size).data
            left = {ident: data for ident, data in left.items() if got.get(ident) != data}
        return set(left)

    def set_all(self, register: Register, values: Mapping[int, int]) -> set[int]:
        """:meth:`sync_write_checked` of one register; ids that never agreed."""
        return self.sync_write_checked(register.address, {i: register.encode(v) for i, v in values.items()})

    def _why(self, result: int) -> str:
        text = {
            sdk.COMM_RX_TIMEOUT: "no answer",
            sdk.COMM_RX_CORRUPT: "damaged answer",
            sdk.COMM_PORT_BUSY: "the port is in use",
        }.get(result)
        return text or str(self.handler.getTxRxResult(result))


def servo_names(ids: Sequence[int], names: Sequence[str]) -> Callable[[int], str]:
    """How errors call a servo: ``servo 3 (elbow)``."""
    known = dict(zip(ids, names, strict=True))
    return lambda ident: f"servo {ident} ({known[ident]})" if ident in known else f"servo {ident}"
