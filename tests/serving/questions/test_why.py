"""Why and why not, on a company whose every answer is known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acme import CUSTOMERS, ITEMS, LEARNERS, NOW, event, publish

from features.catalogue import Item, Learner
from features.events import Event, Verb
from features.interactions import Histories, Interactions
from serving.payloads import RankRequest, RecommendationsRequest
from serving.pipeline import ranked
from serving.policy import Policy
from serving.prepared import Prepared, prepare
from serving.questions.near import near_misses
from serving.questions.payloads import ItemExplained
from serving.questions.why import Answered, Reach
from training.bundle import load_bundle
from training.models.blend import Blend
from training.models.linear import Linear
from training.models.popularity import Popularity

ANA, BEN, OFF = LEARNERS
SURE = Policy(epsilon=0.0)


def answered(stock: Prepared, *events: Event, learner: Learner | None = ANA, **more: Any) -> Answered:
    policy, reach = more.pop("policy", SURE), more.pop("reach", Reach())
    kind = RankRequest if "candidates" in more else RecommendationsRequest
    request = kind.model_validate({"learner_id": "ana", **more}, strict=False)
    found = ranked(stock, request, learner, events, at=NOW, decision_id="d-1", policy=policy)
    return Answered(stock, found.decision, found, reach)


def why(stock: Prepared, item: str, *events: Event, **more: Any) -> ItemExplained:
    return answered(stock, *events, **more).explained([item])[0]


def test_what_is_shown_says_where_and_why(stock: Prepared) -> None:
    told = why(stock, "data", limit=2)
    assert (told.outcome, told.row, told.title, told.rule) == ("shown", "Popular with your colleagues", "Reading data", None)
    assert told.shown is not None
    assert (told.shown.position, told.shown.propensity, told.shown.parts) == (1, 1.0, {"popularity": 2.0})
    assert told.why.startswith("It was shown in “Popular with your colleagues”, as number 2 of 2. Your role expects Analysis")


def test_what_chance_placed_says_so(stock: Prepared) -> None:
    policy = Policy(epsilon=0.99, support=3)
    found = [why(stock, name, policy=policy) for name in ("calm", "data", "safe")]
    assert any("Chance placed it there" in told.why for told in found)
    assert "Chance" not in why(stock, "calm").why


REMOVED: list[tuple[str, str, dict[str, Any], str]] = [
    ("other_language", "calm", {"languages": ["de"]}, "It is in en only; the request asked for de."),
    ("other_type", "data", {"types": ["course", "article"]}, "Its type is video; the request asked for course or article."),
    ("too_long", "data", {"max_minutes": 15}, "It takes 30 minutes; the request allows 15 minutes."),
    ("excluded", "calm", {"exclude": ["calm"]}, "The request excludes it."),
    ("other_audience", "lead", {}, "It is for leaders only; you are part of customer-care."),
    ("not_available", "soon", {}, "It is available from 2 June 2026, 12:00 UTC on."),
    ("prerequisites", "more", {}, "First comes Reading data: you have not finished it, nor said that you know it."),
    ("unknown_item", "nope", {}, "No item of this id is known."),
]


@pytest.mark.parametrize(("rule", "item", "asked", "words"), REMOVED, ids=[one[0] for one in REMOVED])
def test_what_a_rule_removed_says_what_the_rule_saw(
    stock: Prepared, rule: str, item: str, asked: dict[str, Any], words: str
) -> None:
    told = why(stock, item, **asked)
    assert (told.rule, told.why) == (rule, words)
    assert told.outcome == ("unknown_item" if rule == "unknown_item" else "removed")
    assert told.stage == ("retrieve" if rule == "unknown_item" else "filter")
    assert told.change


def dismissed(until: str | None = None) -> Event:
    return event("ana", Verb.DISMISSED, "calm", context={} if until is None else {"until": until})


PAST: list[tuple[str, str, Event, str, str]] = [
    ("finished", "calm", event("ana", Verb.COMPLETED, "calm"), "You finished it on 30 May 2026.", "have to be revoked"),
    ("finished", "safe", event("ana", Verb.COMPLETED, "safe"), "You finished it on 30 May 2026, which holds until", "May 2027"),
    ("known", "calm", event("ana", Verb.KNOWN, "calm"), "You have known it since 30 May 2026.", "revoked"),
    ("in_progress", "calm", event("ana", Verb.STARTED, "calm"), "You last took it up on 30 May 2026", "withdraw"),
    ("dismissed", "calm", dismissed(), "You sent it away for good.", "take it up"),
    ("dismissed", "calm", dismissed("2026-06-09T08:00:00+00:00"), "You sent it away until 9 June 2026, 08:00 UTC.", "9 June"),
]


@pytest.mark.parametrize(("rule", "item", "past", "words", "change"), PAST, ids=range(len(PAST)))
def test_what_the_learner_did_is_told_with_its_day(
    stock: Prepared, rule: str, item: str, past: Event, words: str, change: str
) -> None:
    told = why(stock, item, past, rows=[{"row": "recommended"}])  # no row shows again what was begun
    assert told.rule == rule
    assert told.why.startswith(words)
    assert change in (told.change or "")


@pytest.mark.parametrize(("rule", "item", "past"), [one[:3] for one in PAST], ids=range(len(PAST)))
def test_with_personalisation_off_no_history_is_told(stock: Prepared, rule: str, item: str, past: Event) -> None:
    told = why(stock, item, past, learner=OFF, reach=Reach(history=False))
    assert told.rule == rule
    assert not any(char.isdigit() for char in f"{told.why}{told.change}")


def test_with_personalisation_off_reasons_of_an_earlier_decision_are_not_told(stock: Prepared) -> None:
    told = why(stock, "calm", reach=Reach(history=False))
    assert told.shown is not None
    assert (told.shown.reasons, told.shown.because) == ((), ())
    assert "role" not in told.why


def test_the_rules_behind_the_first_one_are_named(stock: Prepared) -> None:
    told = why(stock, "more", types=["course"], max_minutes=5)
    assert (told.rule, told.also) == ("too_long", ("prerequisites",))


def test_equivalents_and_newer_versions_are_named(tmp_path: Path) -> None:
    new = Item(id="calm-2", title="Calm calls, again", replaces="calm", audiences=(CUSTOMERS,))
    same = Item(id="same", title="Data, another way", equivalent_to=("data",))
    stock = prepare(load_bundle(publish(tmp_path / "more", items=(*ITEMS, new, same))))
    assert why(stock, "calm").why == "Its newer version, Calm calls, again, takes its place."
    told = why(stock, "same", event("ana", Verb.COMPLETED, "data"))
    assert told.why == "You finished Reading data, which counts as the same, on 30 May 2026."
    away = why(stock, "calm-2", event("ana", Verb.DISMISSED, "calm"))
    assert away.why == "You sent Calm calls, which is the same by another name, away for good."


def test_what_scored_less_stands_beside_the_last_one_shown(stock: Prepared) -> None:
    told = why(stock, "safe", limit=2)
    assert told.outcome == "scored_less"
    assert told.compared is not None
    assert (told.compared.place, told.compared.of, told.compared.score) == (2, 3, 1.0)
    assert told.compared.last is not None
    assert (told.compared.last.item_id, told.compared.last.score) == ("data", 2.0)
    assert told.compared.difference == {"popularity": -1.0}
    assert "Reading data, has 2, this one 1" in told.why
    assert told.change == "Its score would have to rise by 1, or more items be asked for."


def test_the_differences_of_the_parts_add_up_to_that_of_the_scores(stock: Prepared) -> None:
    table = Interactions.of_histories(Histories.of([(3, 0)] * 8 + [(1, 4)] * 8, len(stock)))
    blend = Blend(parts=(Linear(), Popularity()), weights={"linear": 1.0, "popularity": 0.1})
    changed = stock.with_model(blend.fit(table, rng=np.random.default_rng(0)))
    done = event("ana", Verb.COMPLETED, "safe")
    told = why(changed, "data", done, limit=1)
    assert told.compared is not None
    assert told.compared.last is not None
    assert set(told.compared.difference) == {"linear", "popularity"}
    gap = told.compared.score - told.compared.last.score
    assert sum(told.compared.difference.values()) == pytest.approx(gap, abs=1e-5)
    assert told.compared.parts == answered(changed, done, limit=2).decision.slate[1].parts
    assert "Most of the difference is in the part “linear”." in told.why


def test_where_chance_took_every_place_there_is_nothing_to_compare_with(stock: Prepared) -> None:
    by_chance = answered(stock, limit=1, policy=Policy(epsilon=0.999999, support=3))
    left = next(name for name in ("calm", "data") if name not in [one.item_id for one in by_chance.decision.slate])
    told = by_chance.explained([left])[0]
    assert told.compared is not None
    assert (told.compared.last, told.compared.difference) == (None, {})


def test_of_candidates_the_limit_cut_off_and_what_was_no_candidate(stock: Prepared) -> None:
    cut, other = answered(stock, candidates=["calm", "data", "safe"], limit=1).explained(["safe", "lead"])
    assert (cut.rule, cut.stage) == ("beyond_limit", "rerank")
    assert cut.why == "2 that were asked about score higher, and the request asked for 1."
    assert (other.rule, other.outcome) == ("not_a_candidate", "removed")


def test_items_are_found_by_alias_and_answered_in_the_order_asked(tmp_path: Path) -> None:
    items = (ITEMS[0].model_copy(update={"aliases": ("https://lms.example/calm",)}), *ITEMS[1:])
    stock = prepare(load_bundle(publish(tmp_path / "alias", items=items)))
    names = ["lead", "https://lms.example/calm", "nope", "https://lms.example/calm"]
    assert [one.item_id for one in answered(stock).explained(names)] == ["lead", "calm", "nope"]


def test_a_record_alone_says_what_it_has_and_no_more(stock: Prepared) -> None:
    whole = answered(stock, event("ana", Verb.COMPLETED, "data"), limit=1)
    record = replace(whole, ranked=None)
    shown, finished, less, unknown = record.explained(["calm", "data", "safe", "nope"])
    assert (shown.outcome, shown.shown) == ("shown", whole.decision.slate[0])
    assert (finished.rule, finished.why) == ("finished", "You finished it, or what counts as the same.")
    assert (less.outcome, less.compared) == ("not_recorded", None)
    assert unknown.outcome == "unknown_item"


def test_of_what_is_hidden_nothing_is_told_but_the_rule(stock: Prepared) -> None:
    hidden = Reach(hidden=frozenset({"calm", "data"}))
    told = answered(stock, event("ana", Verb.COMPLETED, "calm"), reach=hidden).explained(["calm", "more"])
    assert (told[0].title, told[0].why) == (None, "You finished it, or what counts as the same.")
    assert told[1].why.startswith("First comes another item: ")


def test_for_whom_else_an_item_is_is_not_told_to_a_learner(stock: Prepared) -> None:
    told = why(stock, "lead", reach=Reach(audiences=False))
    assert (told.rule, told.title, told.why) == ("other_audience", None, "It is for others than you.")


def test_near_misses_are_the_next_by_score_and_one_a_rule(stock: Prepared) -> None:
    asked = answered(stock, event("ana", Verb.STARTED, "safe"), limit=1)
    assert near_misses(asked) == ("data", "safe", "more", "soon")
    assert near_misses(replace(asked, ranked=None)) == ()
