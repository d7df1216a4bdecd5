"""A replay as one recorded episode: begun when the robot is engaged, kept when the replay is through."""

from __future__ import annotations

from telerig.teleop.episodes import EpisodeCommand, put_away
from telerig.teleop.live import Steward
from telerig.teleop.replay_tracking import Tracker
from telerig.teleop.session import Session


class ReplayEpisode:
    """Asks the recorder; poll :meth:`step`.  A replay that does not get through leaves an interrupted episode."""

    def __init__(self, session: Session, steward: Steward) -> None:
        self._session, self._steward = session, steward
        self._begun = False
        self._kept: int | None = None

    def step(self, tracker: Tracker) -> bool:
        """After each of the tracker's steps; whether what was recorded is put away."""
        now = self._session.clock.now()
        if not self._begun and tracker.timeline.running:
            self._begun = True
            self._steward.episode(EpisodeCommand.START)
        if self._begun and tracker.finished and self._kept is None:
            self._kept = now
            self._steward.episode(EpisodeCommand.KEEP)
        return self._kept is not None and put_away(self._session.reader("recorder/state").latest(), self._kept, now)
