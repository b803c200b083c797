"""From statements to events: verbs, learners, parts of items, outcomes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from features.events import Event, Verb
from features.xapi.meaning import PROGRESS, VIDEO_PROGRESS, NotUnderstood, bounded, event, learner_of, verb_of
from features.xapi.statement import Agent, Statement

ID = "8f87ccde-bb56-4c2e-ab83-44982ef22df0"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
COURSE, PART = "http://example.com/course", "http://example.com/course/part"


def said(verb: str = "http://adlnet.gov/expapi/verbs/completed", thing: str = COURSE, **fields: Any) -> Event | NotUnderstood:
    body = {"id": ID, "actor": {"mbox": "mailto:One@example.com"}, "verb": {"id": verb}, "object": {"id": thing}, **fields}
    return event(Statement.model_validate(body), tenant="t", recorded_at=NOW, known={COURSE}.__contains__)


def meant(*args: Any, **fields: Any) -> Event:
    found = said(*args, **fields)
    assert isinstance(found, Event)
    return found


def test_the_event_of_a_statement() -> None:
    result = {"completion": True, "success": True, "score": {"raw": 9, "max": 10}, "duration": "PT2M"}
    found = meant(timestamp="2026-01-01T09:00:00+01:00", result=result)
    assert (found.event_id, found.learner_id, found.verb, found.object_id) == (
        ID,
        "mailto:one@example.com",
        "completed",
        COURSE,
    )
    assert (found.occurred_at, found.recorded_at) == (datetime(2026, 1, 1, 8, tzinfo=UTC), NOW)
    assert found.result is not None
    assert found.result.model_dump() == {"completion": True, "success": True, "score": 0.9, "duration_s": 120, "progress": None}


@pytest.mark.parametrize(
    ("iri", "verb"),
    [
        ("http://adlnet.gov/expapi/verbs/initialized", Verb.STARTED),
        ("https://adlnet.gov/expapi/verbs/passed", Verb.PASSED),
        ("http://w3id.org/xapi/adl/verbs/satisfied", Verb.COMPLETED),
        ("https://w3id.org/xapi/video/verbs/paused", Verb.PROGRESSED),
        ("http://id.tincanapi.com/verb/viewed", Verb.STARTED),
        ("https://w3id.org/xapi/acrossx/verbs/was-assigned", Verb.ASSIGNED),
        ("http://www.tincanapi.co.uk/verbs/enrolled_onto_learning_plan", Verb.ENROLLED),
        ("http://activitystrea.ms/schema/1.0/leave", Verb.WITHDRAWN),
        ("http://activitystrea.ms/schema/1.0/consume", Verb.STARTED),
        ("http://activitystrea.ms/watch", Verb.STARTED),
        ("https://w3id.org/xapi/acrossx/verbs/watched", Verb.STARTED),
        ("https://w3id.org/xapi/dod-isd/verbs/navigated", Verb.PROGRESSED),
        ("http://adlnet.gov/expapi/verbs/scored", Verb.PROGRESSED),
        ("http://adlnet.gov/expapi/verbs/attended", Verb.PROGRESSED),
        ("http://adlnet.gov/expapi/verbs/commented", None),
        ("https://w3id.org/nextwise/verbs/applied", Verb.APPLIED),
        ("https://w3id.org/nextwise/verbs/flown", None),
        ("http://adlnet.gov/expapi/verbs/flown", None),
        ("HTTPS://www.adlnet.gov/expapi/verbs/Completed/", Verb.COMPLETED),
    ],
)
def test_verbs(iri: str, verb: Verb | None) -> None:
    assert verb_of(iri) is verb


@pytest.mark.parametrize("verb", [verb for verb in Verb if "nextwise" in verb.iri])
def test_our_own_iris_come_back_as_they_went(verb: Verb) -> None:
    assert verb_of(verb.iri) is verb


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ({"mbox_sha1sum": "CD9B00A5611F94EAA7B1661EDAB976068E364975"}, "sha1:cd9b00a5611f94eaa7b1661edab976068e364975"),
        ({"openid": "http://example.com/one"}, "http://example.com/one"),
        ({"account": {"homePage": "https://lms.example.com", "name": "42"}}, "https://lms.example.com|42"),
    ],
)
def test_learners_by_every_identifier(agent: dict[str, Any], name: str) -> None:
    assert learner_of(Agent.model_validate(agent)) == name


def test_a_part_of_a_known_item_moves_the_item_and_finishes_nothing() -> None:
    context = {"contextActivities": {"parent": [{"id": "http://example.com/unknown"}], "grouping": [{"id": COURSE}]}}
    found = meant(thing=PART, context=context, result={"completion": True, "score": {"scaled": 1}, "duration": "PT1M"})
    assert (found.object_id, found.verb, found.context["activity"]) == (COURSE, Verb.PROGRESSED, PART)
    assert found.result is not None
    assert found.result.model_dump(exclude_none=True) == {"duration_s": 60}
    assert meant("http://adlnet.gov/expapi/verbs/answered", PART, context=context).verb is Verb.ANSWERED
    assert meant(thing=PART).object_id == PART
    assert meant(thing=COURSE, context=context).verb is Verb.COMPLETED


def test_progress_of_cmi5_counts_to_a_hundred_and_of_video_to_one() -> None:
    for name, value, wanted in (
        (PROGRESS, 40, 0.4),
        (VIDEO_PROGRESS, 0.4, 0.4),
        (PROGRESS, "40", 0.4),
        (PROGRESS, "four", None),
        (PROGRESS, 400, None),
        (VIDEO_PROGRESS, True, None),
    ):
        found = meant(result={"extensions": {name: value}})
        assert (found.result.progress if found.result else None) == wanted


def test_what_is_no_event_says_why() -> None:
    assert said("http://example.com/flew") == NotUnderstood("unknown verb", "http://example.com/flew")
    assert said(object={"objectType": "Agent", "mbox": "mailto:two@example.com"}) == NotUnderstood(
        "no activity is the object", "Agent"
    )
    group = {"objectType": "Group", "mbox": "mailto:all@example.com"}
    assert isinstance(said(actor=group), NotUnderstood)


def test_without_a_time_it_happened_when_it_was_stored_or_came() -> None:
    assert meant().occurred_at == NOW
    assert meant(stored="2026-01-05T00:00:00Z").occurred_at == datetime(2026, 1, 5, tzinfo=UTC)


def test_long_ids_stay_apart() -> None:
    first, second = (bounded("http://example.com/" + "a" * 300 + end) for end in "bc")
    assert len(first) == len(second) == 256
    assert first != second
    assert bounded(COURSE) == COURSE


def test_a_known_item_with_a_long_iri_is_no_part_of_its_parent() -> None:
    thing = "https://lms.example/" + "x" * 400
    body = {"id": ID, "actor": {"mbox": "mailto:one@example.com"}, "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}}
    body |= {"object": {"id": thing}, "context": {"contextActivities": {"parent": [{"id": COURSE}]}}}
    found = event(Statement.model_validate(body), tenant="t", recorded_at=NOW, known={COURSE, bounded(thing)}.__contains__)
    assert isinstance(found, Event)
    assert (found.object_id, found.verb) == (bounded(thing), Verb.COMPLETED)


@pytest.mark.parametrize(
    ("verb", "result", "meaning"),
    [
        ("experienced", {"completion": True}, Verb.COMPLETED),
        ("progressed", {"completion": True, "success": False}, Verb.COMPLETED),
        ("experienced", {"completion": False}, Verb.STARTED),
        ("experienced", {}, Verb.STARTED),
        ("completed", {"completion": False}, Verb.PROGRESSED),
        ("passed", {"success": False}, Verb.FAILED),
        ("passed", {"completion": False}, Verb.PASSED),
        ("failed", {"completion": True}, Verb.FAILED),
        ("answered", {"completion": True}, Verb.ANSWERED),
    ],
)
def test_what_the_result_says_of_a_whole_counts(verb: str, result: dict[str, Any], meaning: Verb) -> None:
    assert meant(f"http://adlnet.gov/expapi/verbs/{verb}", result=result).verb is meaning
    part = meant(
        f"http://adlnet.gov/expapi/verbs/{verb}",
        PART,
        result=result,
        context={"contextActivities": {"parent": [{"id": COURSE}]}},
    )
    assert part.verb in (Verb.PROGRESSED, Verb.ANSWERED)
