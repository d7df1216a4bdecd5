"""Wake-ups across processes: one futex word in shared memory, any number of waiters (Linux ``futex(2)``).

ctypes releases the interpreter lock around the call, so a waiting thread blocks nobody.
"""

from __future__ import annotations

import ctypes
import errno
import platform

_SYS_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
_WAIT, _WAKE, _EVERYBODY = 0, 1, 2**31 - 1
_ARGUMENTS = (ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p)
_wait = ctypes.CDLL(None, use_errno=True).syscall
_wake = ctypes.CDLL(None).syscall  # without errno, nobody asks how it went
_wait.argtypes = _wake.argtypes = _ARGUMENTS  # converted by ctypes once and for all, in a third of the time


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


def wait(address: int, expected: int, timeout_s: float) -> bool:
    """Sleep while the 32-bit word at ``address`` holds ``expected``; False when the timeout ran out first.

    May return True without a change (signals, races): callers look again.
    :raises OSError: the kernel has no futex for this machine.
    """
    if _SYS_FUTEX is None:
        raise OSError(errno.ENOSYS, f"no futex number known for {platform.machine()}")
    spec = _Timespec(int(timeout_s), int(timeout_s % 1 * 1e9))
    result = _wait(_SYS_FUTEX, address, _WAIT, expected, ctypes.addressof(spec))
    return not (result == -1 and ctypes.get_errno() == errno.ETIMEDOUT)


def wake(address: int) -> None:
    """Wake everybody who waits on the word at ``address``."""
    _wake(_SYS_FUTEX, address, _WAKE, _EVERYBODY, None)
