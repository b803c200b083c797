"""When a skill falls, from arrays: the same as the profile of the same evidence says, at every moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import Item
from features.events import Event, Result, Verb
from features.progress.falls import Falls
from features.progress.streaks import falling
from features.skills import explain, failures

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ITEMS = {"excel": Item(id="excel", title="Tables", skills={"sheets": 4})}


def did(verb: Verb, days_ago: float, **more: Any) -> Event:
    at = NOW - timedelta(days=days_ago)
    fields = {"tenant": "demo", "event_id": f"{verb}-{days_ago}", "learner_id": "ann", "verb": verb, "object_id": "excel"}
    return Event.model_validate({**fields, "occurred_at": at, "recorded_at": at, **more})


def falls(events: list[Event], expected: float | None = None) -> list[datetime | None]:
    """After each piece of evidence, in order of time."""
    why = explain(events, ITEMS, NOW)["sheets"][1]
    evidence = sorted((one for one in why if one.event.verb is not Verb.FAILED), key=lambda one: one.event.occurred_at)
    found = Falls(evidence, failures(events, ITEMS, NOW).get("sheets", []), expected)
    return [found.after(pieces) for pieces in range(1, len(evidence) + 1)]


def test_a_completion_falls_after_a_year_and_a_retrieval_puts_that_off() -> None:
    learned = did(Verb.COMPLETED, 400)
    year, day = timedelta(days=365), timedelta(days=1)
    assert falls([learned], 2.0) == [learned.occurred_at + year]
    # After a gap of 45 days half-lives are one and a half times as long: 540 days become 810 for what was passed.
    assert falls([learned, did(Verb.PASSED, 355)], 2.0) == [learned.occurred_at + year, NOW - 355 * day + 810 * day]
    failed = did(Verb.FAILED, 340)  # it starts the lengthening over
    assert falls([learned, did(Verb.PASSED, 355), failed, did(Verb.COMPLETED, 300)], 2.0)[-1] == NOW + (540 - 355) * day


def test_what_was_never_reached_and_what_an_import_alone_shows_does_not_fall() -> None:
    assert falls([did(Verb.COMPLETED, 400)], 4.5) == [None]
    assert falls([did(Verb.COMPLETED, 400, backfill=True, recorded_at=NOW)], 2.0) == [None]


_VERBS = st.sampled_from([Verb.PASSED, Verb.COMPLETED, Verb.ATTESTED, Verb.KNOWN, Verb.APPLIED, Verb.FAILED])
_SCORES = st.one_of(st.none(), st.builds(Result, score=st.floats(0.1, 1)))
_EVENTS = st.builds(lambda verb, days, result: did(verb, days, result=result), _VERBS, st.integers(1, 1_500), _SCORES)


@given(st.lists(_EVENTS, min_size=1, max_size=12, unique_by=lambda one: one.occurred_at), st.sampled_from([None, 1.0, 3.0]))
def test_it_is_what_the_profile_says_of_the_events_so_far(events: list[Event], expected: float | None) -> None:
    events.sort(key=lambda one: one.occurred_at)
    if all(one.verb is Verb.FAILED for one in events):
        return
    told = []
    for number, one in enumerate(events):
        if one.verb is not Verb.FAILED:
            state = falling(explain(events[: number + 1], ITEMS, NOW)["sheets"][1], expected)
            told.append(None if state is None else state.falls)
    assert falls(events, expected) == told
