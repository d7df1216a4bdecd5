"""What every test starts from."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Signals as in a terminal: whoever starts the tests in the background (``nohup``, a shell's ``&``) has them ignored,
    processes inherit that, and the tests that hang up on one or interrupt it would wait for ever."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
