"""What a thread does in the time to spare gives way to whoever is answered, and to nobody where nobody is."""

from collections.abc import Callable

import pytest

from serving import spare as spare_module
from serving import turns as turns_module
from serving.spare import PIECE_S, STEP_S, Spare
from serving.turns import BESIDE_S, LONGEST_S, Turns


class Time:
    """Passes while somebody sleeps, and tells how long they did; `then` happens after each sleep."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()
        self.then: Callable[[], object] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        assert len(self.slept) < 1_000, "it never ends"
        self.then()


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr(spare_module, "monotonic", found.monotonic)
    monkeypatch.setattr(spare_module, "sleep", found.sleep)
    monkeypatch.setattr(turns_module, "monotonic", found.monotonic)
    return found


def test_where_nobody_was_answered_lately_it_goes_on_at_once(time: Time) -> None:
    turns = Turns()
    with turns.first():
        pass
    time.now += BESIDE_S
    spare = Spare(turns)
    time.now += 1
    spare()
    assert time.slept == []


def test_after_a_piece_it_rests_as_long_again_where_somebody_was_answered(time: Time) -> None:
    turns, spare = Turns(), Spare(Turns())
    with turns.first():
        pass
    spare = Spare(turns)
    time.now += PIECE_S / 2
    spare()  # no piece yet
    assert time.slept == []
    time.now += PIECE_S
    spare()
    assert time.slept == [pytest.approx(1.5 * PIECE_S)]


def test_no_piece_begins_while_somebody_is_answered(time: Time) -> None:
    turns = Turns()
    spare, answering = Spare(turns), turns.first()
    answering.__enter__()
    time.then = lambda: answering.__exit__(None, None, None) if len(time.slept) == 4 else None
    time.now += PIECE_S
    spare()
    assert time.slept == [pytest.approx(PIECE_S), STEP_S, STEP_S, STEP_S]


def test_where_answering_never_ends_it_gets_on_as_well(time: Time) -> None:
    turns = Turns()
    spare = Spare(turns)
    with turns.first():
        time.now += PIECE_S
        spare()
        assert sum(time.slept) == pytest.approx(LONGEST_S, abs=2 * STEP_S + PIECE_S)
