"""What a thread does in the time to spare: it rests after each piece, and begins none while a small request is answered.

A thread that works holds the interpreter's lock most of the time, and on one core the processor: whoever is answered meanwhile
takes twice as long. The lock cannot be given a priority, so the thread has to sleep.
"""

import threading
from time import monotonic, sleep
from typing import Final

from serving.turns import LONGEST_S, Turns

PIECE_S: Final = 0.001
"""What is worked on between two rests."""
STEP_S: Final = 0.001
"""Between two looks at whether somebody is being answered."""


class Spare(threading.local):
    """Called between pieces, by any number of threads. Nobody answered a short while ago: it lets them go on at once."""

    def __init__(self, turns: Turns) -> None:
        self._turns, self._began = turns, monotonic()

    def __call__(self) -> None:
        took = monotonic() - self._began
        if took < PIECE_S:
            return
        if self._turns.lately:
            sleep(min(took, LONGEST_S))  # as long again: who has come meanwhile is seen
            self._wait()
        self._began = monotonic()

    def _wait(self) -> None:
        """Until nobody is being answered, but not for good where that never ends."""
        until = monotonic() + LONGEST_S
        while self._turns.answering and monotonic() < until:
            sleep(STEP_S)
