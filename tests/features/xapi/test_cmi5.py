"""The publisher's id of a cmi5 unit names the unit itself: what an LMS sends under an id of its own is about it."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from features import columns
from features.events import Event, Verb
from features.xapi.cmi5 import DEFINED, PUBLISHED_AS
from features.xapi.meaning import WITHIN, event
from features.xapi.parts import resolved
from features.xapi.statement import Statement
from features.xapi.tables import resolved_table

NOW = datetime(2026, 2, 1, tzinfo=UTC)
OURS, UNIT, COURSE = "https://lms.example/au/4711", "https://publisher.example/au/1", "https://lms.example/course/7"
CMI5: dict[str, Any] = {"category": [{"id": DEFINED}], "grouping": [{"id": UNIT}]}


def made(*known: str, verb: str = "http://adlnet.gov/expapi/verbs/passed", thing: str = OURS, **above: Any) -> Event:
    body = {"id": "8f87ccde-bb56-4c2e-ab83-44982ef22df0", "actor": {"mbox": "mailto:one@example.com"}, "verb": {"id": verb}}
    body |= {"object": {"id": thing}, "context": {"contextActivities": {**CMI5, **above}}}
    body |= {"result": {"success": True, "score": {"scaled": 0.9}, "duration": "PT1M"}, "timestamp": "2026-01-01T00:00:00Z"}
    found = event(Statement.model_validate(body), tenant="t", recorded_at=NOW, known=known.__contains__)
    assert isinstance(found, Event)
    return found


def test_a_unit_is_passed_under_either_id() -> None:
    for known in (UNIT, OURS):
        found = made(known)
        assert (found.object_id, found.verb) == (known, Verb.PASSED)
        assert found.result is not None
        assert found.result.score == 0.9
        assert PUBLISHED_AS not in found.context


def test_what_came_before_the_catalogue_reads_as_what_comes_after_it() -> None:
    before = made()
    assert (before.object_id, before.context[WITHIN]) == (OURS, [UNIT])
    assert list(resolved([before], {UNIT}.__contains__)) == [made(UNIT)]


def test_in_the_lake_too() -> None:
    context = f'{{"{WITHIN}": ["{UNIT}"], "{PUBLISHED_AS}": "{UNIT}"}}'
    given = {columns.SOURCE: ["xapi"], columns.OBJECT_ID: [OURS], columns.VERB: ["passed"], "context": [context]}
    found = resolved_table(pa.table(given), {UNIT}.__contains__)
    assert (found[columns.OBJECT_ID].to_pylist(), found[columns.VERB].to_pylist()) == ([UNIT], ["passed"])


@pytest.mark.parametrize(
    "above",
    [
        {"grouping": [{"id": UNIT}, {"id": COURSE}]},
        {"grouping": [{"id": COURSE, "definition": {"type": "https://w3id.org/xapi/cmi5/activitytype/course"}}]},
        {"parent": [{"id": COURSE}]},
        {"category": [], "grouping": [{"id": COURSE}]},
    ],
    ids=["two groupings", "a course by its type", "a parent", "not defined by cmi5"],
)
def test_what_may_be_a_whole_is_one(above: dict[str, Any]) -> None:
    found = made(COURSE, **above)
    assert (found.object_id, found.verb, found.context["activity"]) == (COURSE, Verb.PROGRESSED, OURS)


def test_a_question_within_a_unit_stays_a_part() -> None:
    found = made(UNIT, verb="http://adlnet.gov/expapi/verbs/answered", thing=f"{OURS}/q1", category=[])
    assert (found.object_id, found.verb, found.context["activity"]) == (UNIT, Verb.ANSWERED, f"{OURS}/q1")
