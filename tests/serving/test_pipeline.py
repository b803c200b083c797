"""From a request to a decision, on a company whose every answer is known."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acme import CUSTOMERS, ITEMS, LEARNERS, NOW, event, publish

from features.catalogue import Item, Learner
from features.decisions import Decision
from features.events import Event, Verb
from features.interactions import Histories, Interactions
from serving.payloads import RankRequest, RecommendationsRequest
from serving.pipeline import HISTORY_UNAVAILABLE, MODEL_FAILED, rank
from serving.policy import Policy
from serving.prepared import Prepared, prepare
from training.bundle import load_bundle
from training.models.blend import Blend
from training.models.item_knn import ItemKNN
from training.models.linear import Linear
from training.models.popularity import FittedPopularity, Popularity
from training.models.probability import Calibration

ANA, BEN, OFF = LEARNERS
SURE = Policy(epsilon=0.0)


def replace_provider(item: Item, provider: str) -> Item:
    return item.model_copy(update={"provider": provider})


def recommend(stock: Prepared, learner: Learner | None = ANA, events: tuple[Event, ...] = (), **more: Any) -> Decision:
    options = {"policy": SURE, "at": NOW, "decision_id": "d-1", "fallback": None}
    options |= {name: more.pop(name) for name in list(more) if name in options}
    request = RecommendationsRequest(learner_id="ana", **more)
    return rank(stock, request, learner, events, **options)


def rows(decision: Decision) -> dict[str, list[str]]:
    return {row.title: [item.item_id for item in row.items] for row in decision.rows}


def test_a_cold_learner_gets_what_is_popular_among_what_they_may_see(stock: Prepared) -> None:
    assert rows(recommend(stock, BEN)) == {"Popular with your colleagues": ["calm", "data", "safe", "lead"]}
    assert rows(recommend(stock, None)) == {"Popular now": ["calm", "data", "safe"]}


def test_a_role_with_gaps_gets_a_row_of_its_own_and_no_item_twice(stock: Prepared) -> None:
    half = Policy(epsilon=0.0, gap_share=0.5)
    decision = recommend(stock, events=(event("ana", Verb.STARTED, "safe"),), limit=2, policy=half)
    assert rows(decision) == {"Recommended for you": ["calm"], "For your role's gaps": ["data"]} or rows(decision) == {
        "Recommended for you": ["calm", "data"]
    }
    assert [item.position for item in decision.slate] == [0, 1]


def test_gaps_are_ordered_by_levels_gained(stock: Prepared) -> None:
    decision = recommend(
        stock, events=(event("ana", Verb.COMPLETED, "data"),), limit=3, policy=Policy(epsilon=0, gap_share=1.0)
    )
    shown = [item.item_id for item in decision.slate]
    assert len(set(shown)) == len(shown)
    assert decision.features["gap_closed"][shown.index("calm")] == 3.0


def test_a_finished_item_leaves_the_next_answer(stock: Prepared) -> None:
    before, after = recommend(stock), recommend(stock, events=(event("ana", Verb.COMPLETED, "calm"),))
    assert "calm" in [item.item_id for item in before.slate]
    assert after.removed["finished"] == ("calm",)
    assert "calm" not in [item.item_id for item in after.slate]


def test_every_item_has_a_reason_that_the_data_bear_out(stock: Prepared) -> None:
    reasons = {item.item_id: item.reasons for item in recommend(stock).slate}
    assert "Your role expects Listening at level 3; your record shows 0" in reasons["calm"]
    assert all(reasons.values())
    levels = (Event.model_validate(event("ana", "known", "skill:listening", context={"level": 1.5}, at=NOW).model_dump()),)
    assert "your record shows 1.5" in recommend(stock, events=levels).slate[0].reasons[0]


def test_the_reason_names_the_past_item_that_weighs_most(stock: Prepared) -> None:
    """calm and safe go together in the training table, so finishing safe is why calm is shown."""
    table = Interactions.of_histories(Histories.of([(3, 0)] * 8 + [(1, 4)] * 8, len(stock)))
    blend = Blend(parts=(Linear(), Popularity()), weights={"linear": 1.0, "popularity": 0.1})
    fitted = blend.fit(table, rng=np.random.default_rng(0))
    changed = stock.with_model(fitted)
    done = recommend(changed, events=(event("ana", Verb.COMPLETED, "safe"),))
    begun = recommend(changed, events=(event("ana", Verb.STARTED, "safe"),))
    assert done.slate[0].item_id == "calm"
    assert done.slate[0].reasons[0].startswith("Because you finished Fire safety; your role expects Listening at level 3")
    assert begun.slate[0].item_id == "safe"  # to go on with
    assert begun.slate[1].reasons[0].startswith("Because you started Fire safety; ")
    assert sum(done.slate[0].parts.values()) == pytest.approx(done.slate[0].score, abs=1e-5)


def test_a_past_item_is_no_reason_where_its_model_speaks_against_or_was_not_asked(stock: Prepared) -> None:
    """Finishing safe led to calm eight times and to data once, which puts data below the mean of its neighbours."""
    table = Interactions.of_histories(Histories.of([(3, 0)] * 8 + [(3, 1)] + [(2, 4)] * 8, len(stock)))
    blend = Blend(parts=(ItemKNN(), Popularity()), weights={"item_knn": 1.0, "popularity": 0.1})
    changed = stock.with_model(blend.fit(table, rng=np.random.default_rng(0)))
    done = (event("ana", Verb.COMPLETED, "safe"),)
    found = {item.item_id: item for item in recommend(changed, events=done).slate}
    assert found["calm"].reasons[0].startswith("Because you finished Fire safety; ")
    assert found["data"].parts["item_knn"] < 0
    assert not any("Because" in reason for reason in found["data"].reasons)
    failed = recommend(changed, events=done, fallback=MODEL_FAILED).slate
    assert not any("Because" in reason for item in failed for reason in item.reasons)


def test_personalisation_off_uses_the_history_for_the_rules_alone(stock: Prepared) -> None:
    off = Learner(id="off", audiences=(CUSTOMERS,), role_id="agent", personalisation=False)
    events = (event("off", Verb.COMPLETED, "calm"), event("off", Verb.STARTED, "safe"), event("off", Verb.COMPLETED, "x"))
    decision = recommend(stock, off, events=events, policy=Policy(epsilon=0, gap_share=1.0))
    plain = recommend(stock, Learner(id="off", audiences=(CUSTOMERS,)))
    assert decision.fallback == "personalisation_off"
    assert (decision.removed["finished"], decision.removed["in_progress"]) == (("calm",), ("safe",))
    assert rows(decision) == {"Popular with your colleagues": ["data"]}
    assert decision.slate[0].score == next(item.score for item in plain.slate if item.item_id == "data")
    assert decision.features["gap_closed"] == plain.features["gap_closed"][:1] == (0.0,)
    assert not any("role" in reason or "Because" in reason for reason in decision.slate[0].reasons)


@pytest.mark.parametrize("verb", [Verb.COMPLETED, Verb.DISMISSED, Verb.KNOWN])
def test_personalisation_off_brings_nothing_back(stock: Prepared, verb: Verb) -> None:
    assert "calm" not in [item.item_id for item in recommend(stock, OFF, events=(event("off", verb, "calm"),)).slate]


def test_without_a_history_popularity_still_obeys_the_rules(stock: Prepared) -> None:
    decision = recommend(stock, None, fallback=HISTORY_UNAVAILABLE)
    assert decision.fallback == "history_unavailable"
    assert rows(decision) == {"Popular now": ["calm", "data", "safe"]}
    assert decision.removed["other_audience"] == ("lead",)


def test_each_candidate_is_ranked_or_explained(stock: Prepared) -> None:
    request = RankRequest(learner_id="ana", candidates=("safe", "nope", "lead", "calm", "safe", "data"), limit=2)
    decision = rank(stock, request, ANA, (), at=NOW, decision_id="d", policy=Policy(epsilon=0.9))
    assert [item.item_id for item in decision.slate] == ["calm", "data"]
    assert decision.removed == {"unknown_item": ("nope",), "other_audience": ("lead",), "beyond_limit": ("safe",)}
    assert {item.propensity for item in decision.slate} == {1.0}  # no coin in rank, whatever epsilon is
    assert (decision.randomisation.epsilon, decision.randomisation.support) == (0.0, 0)


def test_rank_explores_where_the_policy_says_so(stock: Prepared) -> None:
    request = RankRequest(learner_id="ana", candidates=("safe", "calm", "data"))
    decision = rank(stock, request, ANA, (), at=NOW, decision_id="d", policy=Policy(epsilon=0.3, explore_rank=True))
    assert decision.slate[0].propensity in (pytest.approx(0.8), pytest.approx(0.1))


def test_the_limit_bounds_the_whole_slate(stock: Prepared) -> None:
    for limit in (1, 2, 3, 100):
        assert len(recommend(stock, limit=limit, policy=Policy()).slate) == min(limit, 3)


def test_the_same_arguments_give_the_same_decision(stock: Prepared) -> None:
    first, again = (recommend(stock, policy=Policy(epsilon=0.5)) for _ in range(2))
    assert first.model_copy(update={"stages_ms": {}}) == again.model_copy(update={"stages_ms": {}})
    assert list(first.stages_ms) == ["hydrate", "retrieve", "filter", "score", "rerank"]


def test_an_empty_slate_is_an_answer(stock: Prepared) -> None:
    gone = Learner(id="ana", status="ended", audiences=(CUSTOMERS,))
    decision = recommend(stock, gone)
    assert (decision.rows, decision.fallback) == ((), None)
    assert set(decision.features.values()) == {()}


def test_time_decides_what_is_available(stock: Prepared) -> None:
    later: datetime = NOW + timedelta(days=2)
    assert "soon" in [item.item_id for item in recommend(stock, at=later).slate]


PROVIDED = tuple(replace_provider(item, "house" if item.id in ("calm", "data") else "") for item in ITEMS)


@pytest.fixture
def provided(tmp_path: Path) -> Prepared:
    return prepare(load_bundle(publish(tmp_path / "provided", items=PROVIDED)))


def test_a_provider_limit_is_kept_and_what_it_removed_is_named(provided: Prepared) -> None:
    limited = Policy(epsilon=0.0, provider_limit=1)
    decision = recommend(provided, None, limit=2, policy=limited)
    assert [(item.item_id, item.place) for item in decision.slate] == [("calm", 0), ("safe", 2)]
    assert decision.removed["provider_limit"] == ("data",)
    assert [item.item_id for item in recommend(provided, None, limit=3, policy=limited).slate] == ["calm", "safe", "data"]


def test_a_provider_limit_holds_over_all_rows(provided: Prepared) -> None:
    """calm alone closes the gap that is left, but its provider has its one place already."""
    policy = Policy(epsilon=0.0, provider_limit=1, gap_share=0.5)
    found = recommend(provided, events=(event("ana", Verb.STARTED, "lead"),), limit=2, policy=policy)
    assert sum(item.item_id in ("calm", "data") for item in found.slate) == 1


def test_a_catalogue_of_one_provider_fills_its_slate(tmp_path: Path) -> None:
    items = tuple(replace_provider(item, "only") for item in ITEMS)
    stock = prepare(load_bundle(publish(tmp_path / "one", items=items)))
    decision = recommend(stock, None, policy=Policy(epsilon=0.0, provider_limit=1))
    assert [item.item_id for item in decision.slate] == ["calm", "data", "safe"]
    assert "provider_limit" not in decision.removed


def test_diversity_moves_what_is_alike_down_and_says_so(provided: Prepared) -> None:
    """calm and data are of one provider, safe of none: what diversity alone makes of three items."""
    decision = recommend(provided, None, limit=2, policy=Policy(epsilon=0.0, diversity=1.0))
    assert [(item.item_id, item.position, item.place) for item in decision.slate] == [("calm", 0, 0), ("safe", 1, 2)]
    assert decision.removed["diversity"] == ("data",)


def test_rank_is_diversified_only_where_the_policy_says_so(provided: Prepared) -> None:
    request = RankRequest(learner_id="ana", candidates=("safe", "calm", "data"), limit=2)
    options: dict[str, Any] = {"at": NOW, "decision_id": "d"}
    plain = rank(provided, request, None, (), policy=Policy(diversity=1.0, provider_limit=1), **options)
    asked = rank(provided, request, None, (), policy=Policy(diversity=1.0, diversify_rank=True), **options)
    whole = request.model_copy(update={"limit": None})
    every = rank(provided, whole, None, (), policy=Policy(provider_limit=1, diversify_rank=True), **options)
    assert [item.item_id for item in plain.slate] == ["calm", "data"]
    assert plain.removed == {"beyond_limit": ("safe",)}
    assert [item.item_id for item in asked.slate] == ["calm", "safe"]
    assert asked.removed == {"diversity": ("data",)}
    assert [item.item_id for item in every.slate] == ["calm", "safe", "data"]
    assert every.removed == {}


def test_what_a_model_cannot_score_takes_no_part(provided: Prepared) -> None:
    counts = np.array([4, np.nan, np.nan, 1, 1, 0], dtype=np.float32)
    broken = provided.with_model(FittedPopularity(counts))
    decision = recommend(broken, None, policy=Policy(epsilon=0.0, diversity=0.5))
    assert [item.item_id for item in decision.slate] == ["calm", "safe"]
    assert set(decision.removed["no_score"]) == {"data"}


def test_a_bundle_with_a_calibration_says_how_likely_its_items_are(stock: Prepared) -> None:
    """calm 4, data 2, more, safe and lead 1, soon as their mean, 1.8: deviation 1.0646; the map says the share itself."""
    known = replace(
        stock, bundle=replace(stock.bundle, calibration=Calibration(1.0, np.array([[-30, -30], [0, 0]], np.float32)))
    )
    decision = recommend(known, None)
    shares = np.exp(np.array([4, 2, 1, 1, 1, 1.8]) / 1.0646)
    found = {item.item_id: item.probability for item in decision.slate}
    assert found == pytest.approx(
        {"calm": shares[0] / shares.sum(), "data": shares[1] / shares.sum(), "safe": shares[2] / shares.sum()}, abs=1e-4
    )
    begun = recommend(known, None, events=(event("x", Verb.SHOWN, "calm"),))
    assert begun.slate[0].probability == found["calm"]  # what was shown is not taken up
    assert {item.probability for item in recommend(stock, None).slate} == {None}


def test_a_fallback_has_no_probabilities(stock: Prepared) -> None:
    table = Interactions.of_histories(Histories.of([(3, 0)] * 8 + [(1, 4)] * 8, len(stock)))
    blend = Blend(parts=(Popularity(),), weights={"popularity": 1.0}).fit(table, rng=np.random.default_rng(0))
    other = stock.with_model(Linear().fit(table, rng=np.random.default_rng(0)))
    for model in (stock.with_model(blend), other):
        known = replace(model, bundle=replace(model.bundle, calibration=Calibration(1.0, np.array([[-9, -9]], np.float32))))
        done = recommend(known, None, (event("x", Verb.COMPLETED, "safe"),))
        failed = recommend(known, None, (event("x", Verb.COMPLETED, "safe"),), fallback=MODEL_FAILED)
        assert all(item.probability is not None for item in done.slate)
        assert {item.probability for item in failed.slate} == ({None} if model is other else {done.slate[0].probability})
