"""An import beside others: whole batches while it writes alone, small ones with rests while somebody else writes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from features.events import Event
from features.pace import BESIDE_S, FEWEST, FIRST, HOLD_S, MOST, SETTLE, Pace
from features.store import MAX_BATCH, EventStore


@dataclass
class Scene:
    """A session whose numbers others move, and a clock that storing moves: `row_s` seconds a row."""

    row_s: float = 1e-5
    now: float = 0.0
    numbers: tuple[int, int] = (0, 0)
    rests: list[float] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)

    def newest(self) -> tuple[int, int]:
        return self.numbers

    def settle(self) -> None:
        self.settled.append(self.numbers[0])

    def pace(self) -> Pace:
        return Pace(self, clock=lambda: self.now, rest=self.rests.append)  # type: ignore[arg-type]

    def store(self, part: slice) -> int:
        rows = part.stop - part.start
        self.now += rows * self.row_s
        self.numbers = self.numbers[0] + rows, self.numbers[1]
        return rows

    def event(self) -> None:
        self.numbers = self.numbers[0] + 1, self.numbers[1]

    def decision(self) -> None:
        self.numbers = self.numbers[0], self.numbers[1] + 1


def test_alone_it_takes_whole_batches_and_no_rest() -> None:
    scene = Scene()
    assert [scene.store(part) for part in scene.pace().parts(MAX_BATCH * 2 + 1)] == [MAX_BATCH, MAX_BATCH, 1]
    assert scene.rests == []


def test_no_rows_are_one_part_that_is_empty() -> None:
    assert list(Scene().pace().parts(0)) == [slice(0, 0)]


def test_what_others_wrote_before_a_part_makes_it_small_and_is_followed_by_a_rest_as_long() -> None:
    scene = Scene(row_s=HOLD_S / 200)
    pace = scene.pace()
    scene.event()
    assert [scene.store(part) for part in pace.parts(500)] == [FIRST, 200, 200]  # as many as fit into what it may hold
    assert scene.rests == pytest.approx([HOLD_S / 2, HOLD_S, HOLD_S])


def test_a_decision_made_while_it_writes_is_seen() -> None:
    scene, found = Scene(), list[int]()
    for part in scene.pace().parts(MAX_BATCH + 100):
        found.append(scene.store(part))
        scene.decision()
    assert found[0] == MAX_BATCH
    assert len(scene.rests) == len(found) - 1 > 0


@pytest.mark.parametrize(("row_s", "rows"), [(1.0, FEWEST), (1e-9, MOST)])
def test_small_is_never_too_small_nor_large(row_s: float, rows: int) -> None:
    scene = Scene(row_s=row_s)
    pace = scene.pace()
    scene.event()
    assert [scene.store(part) for part in pace.parts(FIRST + rows)] == [FIRST, rows]


def test_beside_others_it_does_at_once_what_a_commit_would_have_to_do_later() -> None:
    scene = Scene(row_s=HOLD_S / 400)
    pace = scene.pace()
    for part in pace.parts(MAX_BATCH):
        scene.store(part)
    assert scene.settled == []  # alone, seldom is quicker
    scene.event()
    for part in pace.parts(SETTLE + 100):
        scene.store(part)
    assert scene.settled == [MAX_BATCH + 1 + SETTLE + 100]


def test_when_others_have_been_quiet_it_takes_whole_batches_again() -> None:
    scene = Scene()
    pace = scene.pace()
    scene.event()
    assert [scene.store(part) for part in pace.parts(FIRST)] == [FIRST]
    scene.now += BESIDE_S
    assert [scene.store(part) for part in pace.parts(MAX_BATCH)] == [MAX_BATCH]


def test_the_store_says_that_somebody_wrote_whoever_it_was(store_url: str) -> None:
    store = EventStore.open(store_url)
    session, now = store.tenant("acme"), datetime(2026, 3, 1, tzinfo=UTC)
    assert session.newest() == (0, 0)
    body = {"learner_id": "ann", "verb": "started", "object_id": "a", "occurred_at": now, "recorded_at": now, "event_id": "e"}
    store.tenant("other").append([Event.model_validate({**body, "tenant": "other"})])
    assert session.newest() == (1, 0)
    store.close()
