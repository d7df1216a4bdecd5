"""What every test starts from."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# How long an example takes, and how long it takes to make one, is the machine's affair, not the code's.  The rest as
# Hypothesis has it, which in CI is: the same examples every time.
settings.register_profile("telerig", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("telerig")


def pytest_configure() -> None:
    """Signals as in a terminal: whoever starts the tests in the background (``nohup``, a shell's ``&``) has them ignored,
    processes inherit that, and the tests that hang up on one or interrupt it would wait for ever."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
