"""Which rules hold, for whom and when, and what exclude and only take away."""

from datetime import timedelta

import pytest
from shop import ANA, BEN, CUSTOMERS, NOW, OFF, decided, event, exclude, rule, slate

from features.catalogue import Assignment, Item, Learner
from features.decisions import Decision
from features.duties import Assigned, Duty
from features.events import Verb
from serving.payloads import RecommendationsRequest
from serving.pipeline import HISTORY_UNAVAILABLE, rank
from serving.policy import Policy
from serving.prepared import Prepared
from serving.rules.language import Rule

DAY = timedelta(days=1)
ALL = ["calm", "data", "more", "safe"]


def removed(decision: Decision) -> dict[str, tuple[str, ...]]:
    return {name: ids for name, ids in decision.removed.items() if "rule:" in name}


def test_exclude_takes_away_what_matches_and_only_the_rest(house: Prepared) -> None:
    assert slate(decided(house)) == ALL
    without = decided(house, exclude(providers=["Nord"]))
    assert (slate(without), removed(without.decision)) == (["safe"], {"rule:r": ("calm", "data", "more")})
    nothing_else = decided(house, rule("only", match={"skills": ["analysis"], "types": ["course"]}))
    assert (slate(nothing_else), removed(nothing_else.decision)) == (["more"], {"rule:r": ("calm", "data", "safe")})
    assert nothing_else.decision.shortfall["rule:r"] == 3


def test_a_request_brings_rules_of_its_own_which_are_told_apart(house: Prepared) -> None:
    asked = (exclude(items=["data"]), rule("exclude", "also", match={"items": ["safe"]}))
    found = decided(house, exclude(items=["calls"]), asked=asked, candidates=tuple(ALL))
    assert slate(found) == ["more"]
    assert removed(found.decision) == {"rule:r": ("calm",), "request_rule:r": ("data",), "request_rule:also": ("safe",)}


def test_what_another_rule_removes_anyway_stands_under_that_one(house: Prepared) -> None:
    found = decided(house, exclude(items=["calm"]), events=(event("ana", Verb.COMPLETED, "calm"),))
    assert removed(found.decision) == {}
    assert found.decision.removed["finished"] == ("calm",)


@pytest.mark.parametrize(
    ("since", "until", "holds"),
    [(None, None, True), (0, None, True), (1, None, False), (None, 1, True), (None, 0, False), (-1, 1, True)],
    ids=["always", "begun", "not-yet", "until", "ended", "between"],
)
def test_a_rule_holds_from_its_start_until_its_end(house: Prepared, since: int | None, until: int | None, holds: bool) -> None:
    times = {"since": None if since is None else NOW + since * DAY, "until": None if until is None else NOW + until * DAY}
    found = decided(house, rule("exclude", match={"items": ["calm"]}, **times))
    assert ("calm" not in slate(found)) == holds


@pytest.mark.parametrize(
    ("learner", "holds"), [(ANA, True), (OFF, True), (BEN, False), (Learner(id="eve"), False)], ids=["ana", "off", "ben", "eve"]
)
def test_a_rule_holds_for_its_audiences(house: Prepared, learner: Learner, holds: bool) -> None:
    found = decided(house, exclude(audiences=(CUSTOMERS, "temps"), items=["calm"]), learner=learner)
    assert ("calm" not in slate(found)) == holds


def test_of_a_learner_nobody_knows_what_takes_away_holds_and_what_brings_forward_does_not(house: Prepared) -> None:
    rules: tuple[Rule, ...] = (
        exclude(audiences=("temps",), items=["calm"]),
        rule("boost", "b", match={"items": ["safe"]}, add=3, audiences=["temps"]),
        rule("pin", "p", items=["safe"], audiences=["temps"]),
    )
    assert slate(decided(house, *rules, learner=None)) == ["data", "more", "safe"]
    temp = ANA.model_copy(update={"audiences": ("temps",)})
    assert slate(decided(house, *rules, learner=temp)) == ["safe", "data", "more"]


def test_a_fallback_obeys_rules(house: Prepared) -> None:
    policy = Policy(rules=(exclude(providers=["Nord"]),))
    request = RecommendationsRequest(learner_id="ana")
    found = rank(house, request, None, (), at=NOW, decision_id="d", policy=policy, fallback=HISTORY_UNAVAILABLE)
    assert slate(found) == ["safe"]


def owes(item: str, *known: Item) -> Assigned:
    duty = Duty(Assignment(id="d", item_id=item, learner_id="ana", mandatory=True), NOW - DAY)
    return Assigned((duty,), (), {one.id: one for one in known}, NOW)


@pytest.mark.parametrize("item", ["calm", "push"])
def test_a_duty_is_kept_away_by_no_rule_of_the_policy_but_by_one_of_the_request(house: Prepared, item: str) -> None:
    push = Item(id="push", title="New protocol", provider="Nord")
    nord = exclude(providers=["Nord"])
    assert slate(decided(house, nord, assigned=owes(item, push))) == [item, "safe"]
    asked = decided(house, asked=(nord,), assigned=owes(item, push))
    assert slate(asked) == ["safe"]
    assert item in removed(asked.decision)["request_rule:r"]


def test_what_was_begun_goes_on_no_longer_when_a_rule_excludes_it(house: Prepared) -> None:
    begun = (event("ana", Verb.STARTED, "calm"),)
    assert slate(decided(house, events=begun))[0] == "calm"
    assert "calm" not in slate(decided(house, exclude(items=["calm"]), events=begun))
