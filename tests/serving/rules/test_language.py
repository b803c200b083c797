"""Rules are validated: what is wrong is said with the rule's id, the field, and what to do."""

import json
import tomllib
from typing import Any

import pytest
from pydantic import ValidationError

from serving.payloads import RankRequest, RecommendationsRequest
from serving.policy import Policy
from serving.problems import invalid

EACH_KIND: list[dict[str, Any]] = [
    {"id": "no-nord", "kind": "exclude", "match": {"providers": ["Nord"], "attributes": {"topic": ["numbers"]}}},
    {"id": "short", "kind": "only", "match": {"types": ["course", "video"]}, "audiences": ["temps"]},
    {"id": "push", "kind": "boost", "match": {"skills": ["listening"]}, "add": 1, "until": "2026-07-01T00:00:00Z"},
    {"id": "two", "kind": "limit", "per": "provider", "most": 2, "days": 7},
    {"id": "first", "kind": "pin", "items": ["calm"], "since": "2026-06-01T00:00:00+02:00"},
]
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "exclude", "match": {}}, "rules.0.match", "rule 'r', match: it would be about every item; name items"),
    ({"kind": "exclude", "match": {"provider": ["x"]}}, "rules.0.match.provider", "no such field here; leave it out"),
    (
        {"kind": "exclude", "match": {"types": ["film"]}},
        "rules.0.match.types.0",
        "rule 'r', match.types.0: Input should be 'course'",
    ),
    ({"kind": "exclude", "match": {"attributes": {"topic": []}}}, "rules.0.match.attributes.topic", "at least 1 item"),
    ({"kind": "hide"}, "rules.0.kind", "rule 'r', kind: there is no such kind; say one of exclude, only, boost, limit, pin"),
    ({}, "rules.0.kind", "rule 'r', kind: say one of exclude"),
    (
        {"kind": "boost", "match": {"skills": ["a"]}, "add": 3.5},
        "rules.0.add",
        "rule 'r', add: Input should be less than or equal to 3",
    ),
    ({"kind": "boost", "match": {"skills": ["a"]}, "add": 0}, "rules.0.add", "rule 'r', add: 0 changes nothing; set a number"),
    ({"kind": "boost", "match": {"skills": ["a"]}, "add": "1"}, "rules.0.add", "rule 'r', add: Input should be a valid number"),
    ({"kind": "limit", "most": 0}, "rules.0.most", "rule 'r', most: Input should be greater than or equal to 1"),
    ({"kind": "limit", "most": 1, "days": 400}, "rules.0.days", "rule 'r', days: Input should be less than or equal to 365"),
    ({"kind": "pin", "items": []}, "rules.0.items", "rule 'r', items: Tuple should have at least 1 item"),
    (
        {"kind": "pin", "items": ["a"], "since": "2026-06-01T00:00:00"},
        "rules.0.since",
        "rule 'r', since: Input should have timezone",
    ),
    (
        {"kind": "pin", "items": ["a"], "since": "2026-06-02T00:00:00Z", "until": "2026-06-01T00:00:00Z"},
        "rules.0.until",
        "rule 'r', until: it ends before it begins; set a later `until`",
    ),
    ({"kind": "pin", "items": ["a"], "id": "no spaces"}, "rules.0.id", "rule 'no spaces', id: String should match"),
    ({"kind": "pin", "items": ["a"], "id": None}, "rules.0.id", "a rule without an id, id:"),
]


@pytest.mark.parametrize(("wrong", "field", "words"), WRONG, ids=[f"{n}-{one[1]}" for n, one in enumerate(WRONG)])
def test_a_wrong_rule_names_its_id_the_field_and_what_to_do(wrong: dict[str, Any], field: str, words: str) -> None:
    given = {"learner_id": "ana", "rules": [{"id": "r", **wrong}]}
    with pytest.raises(ValidationError) as raised:
        RecommendationsRequest.model_validate_json(json.dumps(given))
    refused = invalid(raised.value)
    assert refused.field == field
    assert words in refused.detail


@pytest.mark.parametrize("wrong", ["text", None, 5, ["exclude"]], ids=["text", "none", "number", "list"])
def test_what_is_no_rule_at_all_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError, match=r"(?s)rules\.0.*valid dictionary"):
        RecommendationsRequest.model_validate({"learner_id": "ana", "rules": [wrong]}, strict=False)


def test_an_id_stands_once() -> None:
    with pytest.raises(ValidationError, match="rule 'two', id: two rules have it; give one of them another"):
        RecommendationsRequest.model_validate({"learner_id": "ana", "rules": [EACH_KIND[3]] * 2}, strict=False)


def test_each_kind_comes_back_from_what_is_recorded() -> None:
    request = RankRequest.model_validate({"learner_id": "ana", "candidates": ["calm"], "rules": EACH_KIND}, strict=False)
    recorded = request.model_dump(mode="json", exclude_defaults=True)
    assert RankRequest.model_validate(recorded, strict=False) == request
    assert [rule.kind for rule in request.rules] == ["exclude", "only", "boost", "limit", "pin"]


def test_they_stand_in_a_toml_file_as_in_json() -> None:
    text = """
        [[rules]]
        id = "no-nord"
        kind = "exclude"
        match = { providers = ["Nord"], attributes = { topic = ["numbers"] } }

        [[tenant_rules.acme]]
        id = "push"
        kind = "boost"
        match.skills = ["listening"]
        add = 1
        until = 2026-07-01T00:00:00Z
    """
    policy = Policy.model_validate(tomllib.loads(text))
    assert policy.rules_of("acme") == Policy.model_validate({"rules": [EACH_KIND[0], EACH_KIND[2]]}).rules
    assert policy.rules_of("bolt") == policy.rules
