"""Nudges obey what rankings obey: eligibility, and the rules of the policy."""

from datetime import timedelta
from typing import Any

from acme import LEARNERS, NOW, event
from pydantic import TypeAdapter

from features.catalogue import Assignment, Item, Learner
from features.duties import Duty
from features.events import Verb
from features.nudges import Arm
from serving.nudging.arms import Known, Options, options
from serving.nudging.may import barred
from serving.prepared import Prepared
from serving.rules.language import Rule

DAY = timedelta(days=1)
ANA = LEARNERS[0]
PUSH = Item(id="push", title="New protocol", aliases=("p-1",))
BEGUN = event("ana", Verb.STARTED, "safe", at=NOW - 3 * DAY)


def rule(kind: str, **fields: Any) -> Rule:
    made: Rule = TypeAdapter(Rule).validate_python({"id": "r", "kind": kind, **fields})
    return made


def no(item: str) -> Rule:
    return rule("exclude", match={"items": [item]})


def known(stock: Prepared, *given: Any, learner: Learner | None = ANA, **more: Any) -> Known:
    return Known(stock, "ana", NOW, learner, given, **more)


def duty(item: str, **more: Any) -> Duty:
    return Duty(Assignment(id="duty", item_id=item, learner_id="ana", due_at=NOW + DAY, **more), NOW - 300 * DAY)


def deadlines(stock: Prepared, item: str, items: dict[str, Item] | None = None, **more: Any) -> tuple[list[str], Known]:
    rules = more.pop("rules", ())
    asked = known(stock, duties=[duty(item, **more)], items=items or {}, rules=rules)
    return [one.reason for one in options(asked).get(Arm.DEADLINE, ())], asked


def about(found: Options, arm: Arm) -> list[tuple[str | None, str | None]]:
    return [(one.item_id, one.skill_id) for one in found.get(arm, ())]


def test_nobody_is_reminded_of_what_they_may_not_be_shown(stock: Prepared) -> None:
    expired = PUSH.model_copy(update={"available_until": NOW})
    others = PUSH.model_copy(update={"audiences": ("leaders",)})
    cases: list[tuple[str, dict[str, Item], str]] = [
        ("NOITEM", {}, "unknown_item"),
        ("lead", {}, "other_audience"),
        ("soon", {}, "not_available"),
        ("more", {}, "prerequisites"),
        ("push", {"push": expired}, "not_available"),
        ("push", {"push": others}, "other_audience"),
    ]
    for item, items, why in cases:
        said, asked = deadlines(stock, item, items)
        assert (said, asked.removed) == ([], {why: {item}}), item


def test_what_no_bundle_knows_yet_is_spoken_of_by_its_title(stock: Prepared) -> None:
    for name in ("push", "p-1"):
        asked = known(stock, duties=[duty(name)], items={name: PUSH})
        (option,) = options(asked)[Arm.DEADLINE]
        assert (option.item_id, option.reason) == ("push", "New protocol is due on 2026-06-02")


def test_a_rule_of_the_policy_keeps_a_deadline_away_unless_it_is_mandatory_or_urgent(stock: Prepared) -> None:
    for item, items in (("safe", {}), ("push", {"push": PUSH})):
        said, asked = deadlines(stock, item, items, rules=[no(item)], mandatory=False)
        assert (said, asked.removed) == ([], {"rule:r": {item}})
        assert deadlines(stock, item, items, rules=[no(item)])[0] != []
        assert deadlines(stock, item, items, rules=[no(item)], mandatory=False, urgent=True)[0] != []
        assert deadlines(stock, item, items, rules=[no("other")], mandatory=False)[0] != []


def test_what_a_rule_leaves_out_is_neither_a_quest_nor_to_be_used(stock: Prepared) -> None:
    assert about(options(known(stock, BEGUN)), Arm.QUEST) == [("calm", "listening"), ("data", "analysis")]
    assert about(options(known(stock, BEGUN, rules=[no("calm")])), Arm.QUEST) == [("data", "analysis")]
    only = rule("only", match={"items": ["calm"]})
    assert about(options(known(stock, BEGUN, rules=[only])), Arm.QUEST) == [("calm", "listening")]
    elsewhere = rule("exclude", match={"items": ["calm"]}, audiences=["leaders"])
    assert about(options(known(stock, BEGUN, rules=[elsewhere])), Arm.QUEST)[0] == ("calm", "listening")
    finished = event("ana", Verb.COMPLETED, "calm", at=NOW - DAY)
    assert about(options(known(stock, finished)), Arm.APPLY) == [("calm", "listening")]
    assert about(options(known(stock, finished, rules=[no("calm")])), Arm.APPLY) == []


def test_what_was_begun_and_is_kept_out_since_is_no_quest(stock: Prepared) -> None:
    begun = event("ana", Verb.STARTED, "data", at=NOW - DAY)
    assert ("data", "analysis") in about(options(known(stock, begun)), Arm.QUEST)
    assert ("data", "analysis") not in about(options(known(stock, begun, rules=[no("data")])), Arm.QUEST)


def test_the_rule_that_keeps_a_begun_quest_away_is_named(stock: Prepared) -> None:
    """Right before it was sent it was called settled: that it is begun came first."""
    begun = event("ana", Verb.STARTED, "data", at=NOW - DAY)
    assert barred(known(stock, begun), Arm.QUEST, "data") is None
    assert barred(known(stock, begun, rules=[no("data")]), Arm.QUEST, "data") == "rule:r"


def test_a_skill_is_refreshed_without_the_item_that_is_kept_out(stock: Prepared) -> None:
    old = event("ana", Verb.COMPLETED, "more", at=NOW - 360 * DAY)
    assert about(options(known(stock, old)), Arm.REFRESH) == [("more", "analysis")]
    assert about(options(known(stock, old, rules=[no("more")])), Arm.REFRESH) == [(None, "analysis")]


def test_a_limit_counts_what_was_shown_and_what_was_nudged(stock: Prepared) -> None:
    week = [rule("limit", most=1, days=7)]
    shown = event("ana", Verb.SHOWN, "safe", at=NOW - DAY)
    quests = [("calm", "listening"), ("data", "analysis")]
    assert about(options(known(stock, BEGUN, rules=week)), Arm.QUEST) == quests
    assert about(options(known(stock, BEGUN, shown, rules=week)), Arm.QUEST) == []
    nudged = [(NOW - DAY, "data")]
    assert about(options(known(stock, BEGUN, rules=week, nudged=nudged)), Arm.QUEST) == [("data", "analysis")]
    assert about(options(known(stock, BEGUN, rules=week, nudged=[(NOW - 7 * DAY, "data")])), Arm.QUEST) == quests
    said = [one.item_id for one in options(known(stock, duties=[duty("safe")], rules=week, nudged=nudged))[Arm.DEADLINE]]
    assert said == ["safe"]  # a duty is not limited
