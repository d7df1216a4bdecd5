"""Wake-ups across processes: one futex word in shared memory, any number of waiters (Linux ``futex(2)``).

ctypes releases the interpreter lock around the call, so a waiting thread blocks nobody.
"""

from __future__ import annotations

import ctypes
import errno
import platform

_LIBC = ctypes.CDLL(None, use_errno=True)
_SYS_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
_WAIT, _WAKE = 0, 1


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
    result = _LIBC.syscall(
        _SYS_FUTEX, ctypes.c_void_p(address), _WAIT, ctypes.c_uint32(expected), ctypes.byref(spec), None, 0
    )
    return not (result == -1 and ctypes.get_errno() == errno.ETIMEDOUT)


def wake(address: int) -> None:
    """Wake everybody who waits on the word at ``address``."""
    _LIBC.syscall(_SYS_FUTEX, ctypes.c_void_p(address), _WAKE, ctypes.c_int(2**31 - 1), None, None, 0)
