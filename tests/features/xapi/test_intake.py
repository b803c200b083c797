"""A batch of statements on its way in: which one is wrong and where, what is stored, what is counted."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.events import Verb
from features.xapi.intake import CLOCK_AHEAD, REPAIR, Intake, StatementError, check, same, take_in

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ID = "8f87ccde-bb56-4c2e-ab83-44982ef22df0"


def said(**fields: Any) -> dict[str, Any]:
    body = {"actor": {"mbox": "mailto:a@b.example"}, "object": {"id": "https://lms.example/1"}}
    return {**body, "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}, **fields}


def taken(*bodies: dict[str, Any], compat: bool = False) -> list[Intake]:
    given = check(bodies, compat=compat)
    return take_in(given, tenant="t", now=NOON, known=lambda _: False, authority="k", compat=compat)


@pytest.mark.parametrize(
    ("bodies", "index", "field"),
    [
        ([said(), said(verb={"id": "done"})], 1, "verb.id"),
        ([said(object={"objectType": "SubStatement"})], 0, "object.actor"),
        ([said(context={"contextActivities": {"parent": [{"id": "no iri"}]}})], 0, "context.contextActivities.parent.0.id"),
        ([said(), "text"], 1, ""),
        ([said(id=ID), said(), said(id=ID.upper())], 2, "id"),
        ([said(result={"score": {"scaled": 1.5}})], 0, "result.score.scaled"),
    ],
)
def test_the_error_says_which_statement_and_where(bodies: list[Any], index: int, field: str) -> None:
    with pytest.raises(StatementError) as refused:
        check(bodies, compat=False)
    assert (refused.value.index, refused.value.field) == (index, field)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"actor": {"account": {"homePage": "https://lms.example", "name": "a\tb"}}}, "actor", "control characters"),
        ({"result": {"duration": f"P{'9' * 400}Y"}}, "result.duration", "finite"),
        ({"result": {"score": {"raw": 1e308, "min": -1.7e308, "max": 1.7e308}}}, "result.score", "finite"),
        ({"timestamp": "1900-12-31T23:59:59Z"}, "timestamp", "before 1901"),
        ({"timestamp": "1970-01-01T00:00:00Z"}, "timestamp", "an unset field"),
        ({"timestamp": "2027-01-01T00:00:00Z"}, "timestamp", "in the future"),
    ],
)
def test_what_no_event_can_hold_is_refused_at_its_place(fields: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(StatementError, match=words) as refused:
        taken(said(**fields))
    assert refused.value.field == field


def test_an_iri_that_is_too_long_is_called_long() -> None:
    with pytest.raises(StatementError, match="2,049 characters; the most are 2,048"):
        check([said(object={"id": "https://lms.example/" + "x" * 2_029})], compat=False)


def test_without_id_and_time_both_are_given() -> None:
    one, other = taken(said(), said())
    assert one.statement_id != other.statement_id
    body = json.loads(one.body)
    assert (body["id"], body["timestamp"], body["stored"]) == (one.statement_id, NOON.isoformat(), NOON.isoformat())
    assert one.event is not None
    assert (one.event.event_id, one.event.verb, one.event.occurred_at) == (one.statement_id, Verb.COMPLETED, NOON)


def test_what_the_store_sets_the_emitter_cannot() -> None:
    lie = {"stored": "2020-01-01T00:00:00Z", "authority": {"mbox": "mailto:boss@b.example"}}
    (found,) = taken(said(timestamp="2026-03-01T11:00:00Z", **lie))
    body = json.loads(found.body)
    assert body["stored"] == NOON.isoformat()
    assert body["authority"] == {"objectType": "Agent", "account": {"homePage": "https://w3id.org/nextwise/keys", "name": "k"}}
    assert found.event is not None
    assert found.event.recorded_at == NOON


def test_a_time_ahead_of_ours_is_refused_and_in_compat_mode_taken_for_now() -> None:
    ahead = said(timestamp=(NOON + timedelta(minutes=6)).isoformat())
    with pytest.raises(StatementError, match="in the future") as refused:
        taken(ahead)
    assert refused.value.field == "timestamp"
    (found,) = taken(ahead, compat=True)
    assert found.event is not None
    assert found.event.occurred_at == NOON
    assert found.counted == ((REPAIR, CLOCK_AHEAD),)
    (near,) = taken(said(timestamp=(NOON + timedelta(minutes=4)).isoformat()), compat=True)
    assert near.counted == ()


def test_repairs_are_counted_with_the_statement_and_only_in_compat_mode() -> None:
    wrong = said(actor={"account": {"homePage": "https://lms.example", "name": 7}})
    with pytest.raises(StatementError):
        taken(wrong)
    (found,) = taken(wrong, compat=True)
    assert found.counted == ((REPAIR, "account name as a number"),)
    assert json.loads(found.body)["actor"]["account"]["name"] == "7"


COMPLETED = "http://adlnet.gov/expapi/verbs/completed"
AT_ELEVEN = {"id": ID, "timestamp": "2026-03-01T11:00:00Z"}


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        ({"timestamp": "2026-03-01T12:00:00.000+01:00"}, True),
        ({"id": ID.upper()}, True),
        ({"version": "1.0.3", "authority": {"mbox": "mailto:c@b.example"}}, True),
        ({"verb": {"display": {"en": "finished"}, "id": COMPLETED}}, True),
        ({"object": {"id": "https://lms.example/1", "objectType": "Activity", "definition": {"name": {"en": "Excel"}}}}, True),
        ({"object": {"id": "https://lms.example/2"}}, False),
        ({"timestamp": "2026-03-01T11:00:01Z"}, False),
        ({"result": {"completion": True}}, False),
        ({"context": {"extensions": {"https://a.example/display": 1}}}, False),
    ],
)
def test_two_that_say_the_same_are_the_same_however_they_say_it(other: dict[str, Any], alike: bool) -> None:
    (one,), (again,) = taken(said(**AT_ELEVEN)), taken(said(**{**AT_ELEVEN, **other}))
    assert same(one.body, again.body) is alike


def test_without_a_time_the_same_is_the_same_later() -> None:
    (one,) = taken(said(id=ID))
    (later,) = take_in(
        check([said(id=ID)], compat=False), tenant="t", now=NOON + timedelta(days=1), known=bool, authority="k", compat=False
    )
    assert one.content_hash == later.content_hash
    assert same(one.body, later.body)
