"""The benchmark of limits tells a crossing where there is one, and finds none in a few lives."""

import random
from pathlib import Path

import pytest

from benchmarks.nudge_limits import live
from benchmarks.nudge_limits_slow import ZONES
from features.nudges import Limit
from serving.nudging import decide
from serving.nudging.settings import NudgeSettings

pytestmark = pytest.mark.skipif(not Path(ZONES).is_dir(), reason=f"the second reading takes zones from {ZONES}")


def crossed(lives: int) -> int:
    rng = random.Random(1)
    points = [one for number in range(lives) for one in live(rng, NudgeSettings(), number)]
    return sum(made.nudge is not None and made.nudge.spoke and expected is not None for expected, _, made in points)


def test_no_limit_is_crossed_in_a_few_lives() -> None:
    assert crossed(10) == 0


@pytest.mark.parametrize("broken", [Limit.QUIET_HOURS, Limit.TOO_SOON])
def test_a_limit_that_does_not_hold_is_told(monkeypatch: pytest.MonkeyPatch, broken: Limit) -> None:
    first = decide.limit
    monkeypatch.setattr(decide, "limit", lambda *given: found if (found := first(*given)) != broken else None)
    assert crossed(10) > 0
