"""An event about a part that comes before its item is read as one that came after it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from features.events import Event, Verb
from features.xapi.meaning import VERBS, WITHIN, event
from features.xapi.parts import resolved, whole_of
from features.xapi.statement import Statement

NOW = datetime(2026, 2, 1, tzinfo=UTC)
COURSE, MODULE, PART = (f"https://lms.example/{name}" for name in ("course", "module", "module/quiz"))
ABOVE = {"contextActivities": {"parent": [{"id": MODULE}, {"id": PART}], "grouping": [{"id": COURSE}, {"id": MODULE}]}}
RESULTS: list[dict[str, Any]] = [
    {},
    {"result": {"completion": True, "success": True, "score": {"scaled": 1}, "duration": "PT1M"}},
    {"result": {"completion": True}},
]


def made(verb: str, *known: str, thing: str = PART, **fields: Any) -> Event:
    actor = {"account": {"homePage": "https://lms.example", "name": "1"}}
    body = {"id": "8f87ccde-bb56-4c2e-ab83-44982ef22df0", "actor": actor, "verb": {"id": verb}, "object": {"id": thing}}
    context = {**ABOVE, "registration": "8f87ccde-bb56-4c2e-ab83-44982ef22df0"}
    statement = Statement.model_validate({**body, "context": context, "timestamp": "2026-01-01T00:00:00Z", **fields})
    found = event(statement, tenant="t", recorded_at=NOW, known=known.__contains__)
    assert isinstance(found, Event)
    return found


@pytest.mark.parametrize("fields", RESULTS, ids=["bare", "whole", "complete"])
@pytest.mark.parametrize("known", [(COURSE,), (MODULE,), (MODULE, COURSE)], ids=["course", "module", "both"])
def test_what_was_made_before_the_catalogue_reads_as_what_is_made_after_it(
    known: tuple[str, ...], fields: dict[str, Any]
) -> None:
    for verb in VERBS:
        before, after = made(verb, **fields), made(verb, *known, **fields)
        assert before.object_id == PART
        assert list(resolved([before], known.__contains__)) == [after]


def test_a_part_with_a_long_name_too() -> None:
    thing = f"{PART}/{'x' * 400}"
    before, after = (made(next(iter(VERBS)), *known, thing=thing) for known in ((), (COURSE,)))
    assert list(resolved([before], {COURSE}.__contains__)) == [after]


def test_what_it_is_within_is_kept_nearest_first_and_only_while_nothing_of_it_is_known() -> None:
    verb = next(iter(VERBS))
    assert made(verb).context[WITHIN] == [MODULE, COURSE]
    assert [WITHIN in made(verb, known).context for known in (PART, COURSE)] == [False, False]
    assert WITHIN not in made(verb, context={}).context


def test_who_is_known_or_within_nothing_known_is_left_alone() -> None:
    before = made(next(iter(VERBS)))
    for known in ({PART, COURSE}, {"https://lms.example/other"}, set[str]()):
        assert list(resolved([before], known.__contains__)) == [before]
    hosts_own = before.model_copy(update={"source": "api"})  # a host may write into its context what it likes
    assert list(resolved([hosts_own], {COURSE}.__contains__)) == [hosts_own]
    assert whole_of(PART, {WITHIN: COURSE}, {COURSE}.__contains__) is None
    assert whole_of(PART, {WITHIN: [7, COURSE]}, {COURSE}.__contains__) == COURSE
    assert before.verb is not Verb.PROGRESSED
