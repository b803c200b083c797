"""Each rule that keeps items out has its sentence, whoever set it, and from the record alone as well."""

from pathlib import Path
from typing import Any

import pytest
from acme import ITEMS, LEARNERS, NOW, publish
from pydantic import TypeAdapter

from serving.payloads import RankRequest
from serving.pipeline import ranked
from serving.policy import Policy
from serving.prepared import Prepared, prepare
from serving.questions.payloads import ItemExplained
from serving.questions.why import Answered, Reach
from serving.rules.language import Rule
from training.bundle import load_bundle

RULE: TypeAdapter[Rule] = TypeAdapter(Rule)
NORD = {"match": {"providers": ["Nord"]}}
EACH: list[tuple[dict[str, Any], str, str, str]] = [
    (
        {"kind": "exclude", **NORD},
        "leaves out what is by Nord.",
        "The rule would have to end, or be about something else.",
        "filter",
    ),
    (
        {"kind": "exclude", "until": "2026-07-01T00:00:00Z", **NORD},
        "leaves out what is by Nord.",
        "The rule ends on 1 July 2026.",
        "filter",
    ),
    (
        {"kind": "only", "match": {"types": ["peer_session"], "skills": ["a", "b", "c", "d", "e"]}},
        "allows only what is of type peer session and about a or b or c or 2 more.",
        "The rule would have to end, or be about something else.",
        "filter",
    ),
    (
        {
            "kind": "only",
            "match": {"attributes": {"topic": ["x"]}, "languages": ["fr"], "items": ["more"], "audiences": ["boss"]},
        },
        "allows only what is one of more and in fr and for certain audiences and of topic x.",
        "The rule would have to end, or be about something else.",
        "filter",
    ),
    (
        {"kind": "limit", "most": 1, "per": "provider"},
        "allows 1 item of one provider at once, and what was shown fills that.",
        "Its `most` would have to be higher.",
        "rerank",
    ),
    (
        {"kind": "limit", "most": 1, "days": 7, **NORD},
        "allows 1 item that is by Nord within 7 days, and what was shown fills that.",
        "Its `most` would have to be higher.",
        "rerank",
    ),
]


@pytest.fixture
def nord(tmp_path: Path) -> Prepared:
    items = tuple(item.model_copy(update={"provider": "Nord"}) for item in ITEMS)
    return prepare(load_bundle(publish(tmp_path / "nord", items=items)))


def why(stock: Prepared, rule: Rule, *, asked: bool, record: bool = False, reach: Reach | None = None) -> ItemExplained:
    policy = Policy(epsilon=0.0, rules=() if asked else (rule,))
    request = RankRequest(learner_id="ana", candidates=("calm", "data"), rules=(rule,) if asked else ())
    found = ranked(stock, request, LEARNERS[0], (), at=NOW, decision_id="d-1", policy=policy)
    return Answered(stock, found.decision, None if record else found, reach or Reach()).explained(["data"])[0]


@pytest.mark.parametrize(("given", "says", "change", "stage"), EACH, ids=[str(n) for n in range(len(EACH))])
def test_each_kind_has_a_sentence_and_what_would_have_to_change(
    nord: Prepared, given: dict[str, Any], says: str, change: str, stage: str
) -> None:
    rule = RULE.validate_python({"id": "house", **given})
    told = why(nord, rule, asked=False)
    assert (told.outcome, told.rule, told.stage) == ("removed", "rule:house", stage)
    assert (told.why, told.change) == (f"Your organisation's rule house {says}", change)
    own = why(nord, rule, asked=True)
    assert (own.rule, own.why) == ("request_rule:house", f"The request's rule house {says}")
    left = why(nord, rule, asked=False, record=True)
    assert (left.stage, left.why) == (None, "Your organisation's rule house keeps it out.")
    assert why(nord, rule, asked=True, record=True).why == "The request's rule house keeps it out."


def test_rules_behind_the_one_that_removed_an_item_are_told_too(nord: Prepared) -> None:
    rules = tuple(RULE.validate_python({"id": name, "kind": "exclude", **NORD}) for name in ("a", "b"))
    request = RankRequest(learner_id="ana", candidates=("calm", "data"), exclude=("data",))
    found = ranked(nord, request, LEARNERS[0], (), at=NOW, decision_id="d-1", policy=Policy(rules=rules))
    calm, data = Answered(nord, found.decision, found).explained(["calm", "data"])
    assert (calm.rule, calm.also) == ("rule:a", ("rule:b",))
    assert (data.rule, data.also) == ("excluded", ("rule:a", "rule:b"))
