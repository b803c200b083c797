"""The clock of one worker. It may be set back; what was acknowledged before that stays known."""

from collections.abc import Callable
from datetime import datetime

from features.events import MAX_CLOCK_SKEW


class Clock:
    """Calling it gives the time as the system has it now, be that earlier than a moment ago."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now, self._latest = now, now()

    def __call__(self) -> datetime:
        found = self._now()
        self._latest = max(self._latest, found)
        return found

    @property
    def known_by(self) -> datetime:
        """By when something was recorded that counts as known now.

        Others may have acknowledged something a moment ago by clocks that are ahead of this one: it counts as well, and so does
        what this worker acknowledged before its clock was set back.
        """
        self()
        return self._latest + MAX_CLOCK_SKEW
