"""What the templates do not ask: nulls, unknown fields, times, durations, tags, scores, who has which identifiers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from features.xapi.statement import Score, Statement
from features.xapi.values import moment, seconds

WHOLE: dict[str, Any] = {
    "actor": {"mbox": "mailto:learner@example.com"},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
    "object": {"id": "http://example.com/course"},
}
REF = {"objectType": "StatementRef", "id": "8f87ccde-bb56-4c2e-ab83-44982ef22df0"}
ONE = {"mbox": "mailto:one@example.com"}


def refusal(**fields: Any) -> str:
    """Where a statement with these fields is wrong."""
    with pytest.raises(ValidationError) as error:
        Statement.model_validate_json(json.dumps(WHOLE | fields))
    return ".".join(str(part) for part in error.value.errors()[0]["loc"])


def taken(**fields: Any) -> Statement:
    return Statement.model_validate_json(json.dumps(WHOLE | fields))


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"result": None}, "result"),
        ({"Result": {}}, "Result"),
        ({"id": "8f87ccde-bb56-4c2e-ab83"}, "id"),
        ({"timestamp": 1767258000}, "timestamp"),
        ({"timestamp": "2026-01-01T09:00:00-00:00"}, "timestamp"),
        ({"timestamp": "2026-13-01T09:00:00Z"}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "2026-01-01T24:00:01Z"}, "timestamp"),
        ({"timestamp": "9999-12-31T24:00:00Z"}, "timestamp"),
        ({"timestamp": "2016-12-30T23:59:60Z"}, "timestamp"),
        ({"timestamp": "2016-12-31T23:60Z"}, "timestamp"),
        ({"timestamp": "2016-12-31T22:59:60Z"}, "timestamp"),
        ({"version": "0.95"}, "version"),
        ({"actor": ONE | {"openid": "http://example.com/one"}}, "actor.Agent"),
        ({"actor": {"objectType": "Activity", **ONE}}, "actor.Agent.objectType"),
        ({"actor": {"objectType": "Group", "member": []}}, "actor.Group"),
        ({"actor": {"objectType": "Group", "member": [{"objectType": "Group", **ONE}]}}, "actor.Group.member.0.objectType"),
        ({"actor": {"mbox": "one@example.com"}}, "actor.Agent.mbox"),
        ({"actor": {"mbox_sha1sum": "abc"}}, "actor.Agent.mbox_sha1sum"),
        ({"actor": {"account": {"homePage": "https://lms.example.com", "name": 42}}}, "actor.Agent.account.name"),
        ({"verb": {"id": "completed"}}, "verb.id"),
        ({"verb": {"id": "http://a.b/c d"}}, "verb.id"),
        ({"object": {"id": "http://a.b/c", "objectType": "Course"}}, "object.Activity.objectType"),
        ({"object": REF, "context": {"revision": "1"}}, ""),
        ({"object": REF, "context": {"language": "english language"}}, "context.language"),
        ({"result": {"score": {"scaled": 1.1}}}, "result.score.scaled"),
        ({"result": {"score": {"raw": 11, "min": 0, "max": 10}}}, "result.score"),
        ({"result": {"score": {"min": 10, "max": 10}}}, "result.score"),
        ({"result": {"success": "true"}}, "result.success"),
        ({"result": {"duration": "1h"}}, "result.duration"),
        ({"result": {"duration": "P"}}, "result.duration"),
        ({"result": {"extensions": {"no iri": 1}}}, "result.extensions.no iri.[key]"),
        ({"context": {"registration": "1"}}, "context.registration"),
        ({"authority": {"objectType": "Group", "member": [ONE]}}, ""),
        ({"attachments": [{"usageType": "http://a.b"}]}, "attachments.0.display"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(fields: dict[str, Any], where: str) -> None:
    assert refusal(**fields) == where


@pytest.mark.parametrize(
    "fields",
    [
        {"timestamp": "2026-01-01T09:00:00"},
        {"timestamp": "2026-01-01T09:00:00.123456789+05:30"},
        {"timestamp": "20260101T090000Z"},
        {"timestamp": "2026-01-01T24:00:00Z"},
        {"timestamp": "2016-12-31T23:59:60Z"},
        {"timestamp": "1985-01-01T09:00:00Z"},
        {"result": {"duration": "P1Y2M3DT4H5M6.78S", "score": {"scaled": -1}}},
        {"result": {"duration": "P2W"}},
        {"context": {"contextActivities": {"parent": {"id": "http://example.com/whole"}}}},
        {"context": {"contextActivities": {"grouping": [{"id": "http://example.com/whole"}]}, "language": "zh-Hant-TW"}},
        {
            "verb": {
                "id": "http://a.b/c",
                "display": {"x-klingon": "Qapla'", "sl-rozaj-biske": "konec", "i-klingon": "Heghlu'meH"},
            }
        },
        {"actor": {"objectType": "Group", "member": [ONE]}},
        {"object": {"id": "urn:uuid:8f87ccde-bb56-4c2e-ab83-44982ef22df0"}},
        {"authority": {"objectType": "Group", "member": [ONE, {"openid": "http://example.com/consumer"}]}},
        {"version": "2.0.0"},
    ],
)
def test_what_the_standard_allows_is_taken(fields: dict[str, Any]) -> None:
    taken(**fields)


def test_a_voiding_statement_names_what_it_voids() -> None:
    voided = {"id": "http://adlnet.gov/expapi/verbs/voided"}
    assert taken(verb=voided, object=REF).voids == REF["id"]
    assert refusal(verb=voided) == ""
    assert taken(object=REF).voids is None


@pytest.mark.parametrize(
    ("text", "wanted"), [("PT1H30M", 5400), ("P1D", 86_400), ("PT0,5S", 0.5), ("P1W", 604_800), ("PT0S", 0)]
)
def test_durations_in_seconds(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


def test_times_are_instants() -> None:
    assert moment("2026-01-01T09:00:00+02:00") == moment("2026-01-01T07:00:00") == moment("20260101T070000Z")


@pytest.mark.parametrize(
    "text", ["2016-12-31T24:00:00Z", "2016-12-31T24:00Z", "20161231T240000,000Z", "2017-01-01T02:00:00+02:00"]
)
def test_24_hours_are_the_end_of_the_day(text: str) -> None:
    assert moment(text) == moment("2017-01-01T00:00:00Z")


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "2016-12-31T15:59:60-08:00", "20161231T235960"])
def test_a_leap_second_counts_as_the_one_after_it(text: str) -> None:
    assert moment(text) == moment("2017-01-01T00:00:00Z")
    assert moment("2016-06-30T23:59:60.5Z") == moment("2016-07-01T00:00:00.5Z")


@pytest.mark.parametrize(
    ("score", "share"),
    [
        ({"scaled": 0.4}, 0.4),
        ({"scaled": -0.4}, 0),
        ({"raw": 7, "max": 10}, 0.7),
        ({"raw": 3, "min": 1, "max": 5}, 0.5),
        ({"raw": 7}, None),
    ],
)
def test_a_score_as_a_share(score: dict[str, float], share: float | None) -> None:
    assert Score(**score).share == share


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_at_all_is_taken_or_refused(body: Any) -> None:
    """Never another error, whatever stands in the place of a field."""
    for field in ("actor", "verb", "object", "result", "context", "timestamp", "attachments"):
        try:
            Statement.model_validate(WHOLE | {field: body})
        except ValidationError:
            continue
