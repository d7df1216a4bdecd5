"""Real-time priorities for a while, had by somebody who is not root."""

from __future__ import annotations

import os

import pytest

from telerig.teleop import realtime

FLAG = os.SCHED_RESET_ON_FORK


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The calling thread's, under the kernel's rule for who has an rtprio limit but is not root (sched(7))."""
    now = [os.SCHED_OTHER]

    def set_scheduler(pid: int, wanted: int, param: os.sched_param) -> None:
        assert pid == 0
        if now[0] & FLAG and not wanted & FLAG:
            raise PermissionError(1, "Operation not permitted")
        now[0] = wanted

    monkeypatch.setattr(os, "sched_setscheduler", set_scheduler)
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: now[0])
    monkeypatch.setattr(os, "sched_getparam", lambda pid: os.sched_param(0))
    return now


def test_who_is_not_root_comes_back_from_a_priority_and_can_have_it_again(policy: list[int]) -> None:
    for _ in range(2):
        with realtime.raised(realtime.SUPERVISOR):
            assert policy == [os.SCHED_FIFO | FLAG]
            assert realtime.fifo_granted(), "it says that what it has is refused"
            assert policy == [os.SCHED_FIFO | FLAG]
        assert policy == [os.SCHED_OTHER | FLAG]
    assert realtime.fifo_granted()


def test_asking_whether_it_is_granted_leaves_nothing_behind(policy: list[int]) -> None:
    assert realtime.fifo_granted()
    assert policy == [os.SCHED_OTHER]
