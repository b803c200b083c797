"""What is said of an item of a slate is what the model did, added up; and no sentence claims more."""

from typing import Any

import numpy as np
import pytest
from acme import ITEMS, LEARNERS, NOW, TENANT, event

from features.decisions import Decision, Driver, TreeScore
from features.events import Event, Verb
from features.interactions import Histories, Interactions
from features.side import SideInformation
from features.store import EventStore
from serving.payloads import RecommendationsRequest
from serving.pipeline import rank
from serving.policy import Policy
from serving.prepared import Prepared
from serving.reasons import Gap, card, driver, leading
from serving.replay import replay
from serving.scoring import RANKER, largest, parts_of, score
from training.models.blend import FittedBlend
from training.models.linear import Linear
from training.models.pairs import Pairs
from training.models.popularity import Popularity
from training.models.ranker import FittedRanker
from training.models.trees import learn

M = len(ITEMS)
POLICY = Policy(epsilon=0.0)
DONE = (event("ana", Verb.COMPLETED, "safe"),)


def ranker(best: int = 6) -> FittedRanker:
    """safe, then calm; data, then more: trees that saw twelve of each. Nobody took up `soon`, which popularity alone scores."""
    rows = [(3, 0), (1, 2), (3, 0, 1), (1, 4)] * 12
    days = np.datetime64("2026-01-01", "us") + np.arange(3) * np.timedelta64(1, "D")
    histories = Histories.of(rows, M, at=[list(days[: len(row)]) for row in rows])
    table = Interactions.of_histories(histories)
    parts = {model.name: model.fit(table, rng=np.random.default_rng(0)) for model in (Linear(ridge=1.0), Popularity())}
    found = FittedRanker(
        FittedBlend(parts, {"linear": 1.0, "popularity": 0.2}), Pairs.of(table, SideInformation(M)), None, 6, 0
    )
    look = found.look(histories.drop_last())
    hit = look.item == np.array([row[-1] for row in rows])[look.row]
    settings: dict[str, Any] = {"trees": 10, "leaves": 4, "rate": 0.3, "smallest": 3, "seed": 1, "threads": 1}
    trees = learn(look.features, hit, np.bincount(look.row), **settings)
    return FittedRanker(found.blend, found.pairs, trees, best, 0)


@pytest.fixture(scope="module")
def fitted() -> FittedRanker:
    return ranker()


def asked(stock: Prepared, events: tuple[Event, ...] = DONE, **more: Any) -> Decision:
    request = RecommendationsRequest(learner_id="ana", **more)
    return rank(stock, request, LEARNERS[0], events, policy=POLICY, at=NOW, decision_id="d", fallback=None)


@pytest.mark.parametrize("taken", [[3], [], [5], [0, 1, 2, 3, 4]])
def test_parts_and_trees_add_up_and_trees_are_no_source(stock: Prepared, fitted: FittedRanker, taken: list[int]) -> None:
    """A history; none; one that holds only what the model has not learnt of; one that leaves a single candidate."""
    history = Histories.of([taken], M)
    found = score(stock.with_model(fitted), history, degraded=False)
    np.testing.assert_allclose(found.total, fitted.score(history)[0], atol=1e-6)
    np.testing.assert_allclose(found.parts.sum(axis=0), found.total, atol=1e-5)
    assert found.names == ("linear", "popularity", RANKER)
    assert {largest(parts) for parts in found.of(np.arange(M))} <= {"linear", "popularity"}


def test_without_trees_the_blend_ranks(stock: Prepared, fitted: FittedRanker) -> None:
    alone = FittedRanker(fitted.blend, fitted.pairs, None)
    found = score(stock.with_model(alone), Histories.of([[3]], M), degraded=False)
    assert found.names == tuple(parts_of(alone)) == ("linear", "popularity")
    assert all(item.trees is None for item in asked(stock.with_model(alone), explain=True).slate)


def test_past_items_are_named_with_what_they_gave(stock: Prepared, fitted: FittedRanker) -> None:
    events = (event("ana", Verb.STARTED, "data"), event("ana", Verb.COMPLETED, "safe"))
    by_id = {item.item_id: item for item in asked(stock.with_model(fitted), events).slate}
    shown = by_id["calm"]
    history = Histories.of([[1, 3]], M)
    given = fitted.contributions(history, 0, 0)
    past, amount = shown.because[0]
    assert past == "safe"
    assert amount == pytest.approx(float(given[1]), abs=1e-6)
    assert shown.reasons[0].startswith("Because you finished Fire safety; your role expects Listening at level 3")


def test_tree_scores_add_up_and_name_features(stock: Prepared, fitted: FittedRanker) -> None:
    slate = asked(stock.with_model(fitted), explain=True).slate
    assert slate
    look = fitted.look(Histories.of([[3]], M, at=[[np.datetime64("2026-05-30T12:00", "us")]]))
    assert fitted.trees is not None
    wanted = dict(zip(look.item.tolist(), fitted.trees.predict(look.features).tolist(), strict=True))
    for item in slate:
        told = item.trees
        assert told is not None
        assert told.candidate
        assert told.start is not None
        assert told.rest is not None
        assert told.start + sum(one.amount for one in told.largest) + told.rest == pytest.approx(told.score, abs=1e-4)
        assert told.score == pytest.approx(wanted[stock.index[item.item_id]], abs=1e-5)
        assert {one.feature for one in told.largest} <= set(fitted.features)
    assert any(item.trees and item.trees.largest for item in slate)


def test_what_was_no_candidate_says_so(stock: Prepared, fitted: FittedRanker) -> None:
    one = FittedRanker(fitted.blend, fitted.pairs, fitted.trees, 1, 0)
    first, *others = asked(stock.with_model(one), explain=True).slate
    assert first.trees is not None
    assert first.trees.candidate
    assert others
    assert all(item.trees == TreeScore(candidate=False) for item in others)


def test_nothing_is_taken_apart_unless_asked_and_fallbacks_name_no_cause(stock: Prepared, fitted: FittedRanker) -> None:
    changed = stock.with_model(fitted)
    assert all(item.trees is None for item in asked(changed).slate)
    request = RecommendationsRequest(learner_id="ana", explain=True)
    options: dict[str, Any] = {"policy": POLICY, "at": NOW, "decision_id": "d", "fallback": "model_failed"}
    degraded = rank(changed, request, LEARNERS[0], DONE, **options)
    assert all(item.trees is None and item.because == () for item in degraded.slate)
    assert not any("Because" in sentence for item in degraded.slate for sentence in item.reasons)


def test_a_replay_says_the_same(stock: Prepared, fitted: FittedRanker, store: EventStore) -> None:
    changed, session = stock.with_model(fitted), store.tenant(TENANT)
    session.append(list(DONE))
    decision = asked(changed, explain=True)
    logged = Decision.model_validate_json(decision.model_dump_json())
    again = replay(session, changed, POLICY, logged)
    assert logged.request["explain"] is True
    assert any(item.because for item in logged.slate)
    for now, then in zip(again.slate, logged.slate, strict=True):
        assert (now.item_id, now.reasons, now.because, now.trees) == (then.item_id, then.reasons, then.because, then.trees)


PAST, GAP = ("finished", "Fire safety"), Gap("Excel", 3, 1.5)


@pytest.mark.parametrize(
    ("past", "about", "gap", "sentence"),
    [
        (PAST, None, GAP, "Because you finished Fire safety; your role expects Excel at level 3, your record shows 1.5"),
        (PAST, None, None, "Because you finished Fire safety"),
        (None, None, GAP, "Your role expects Excel at level 3; your record shows 1.5"),
        (None, "taken", None, None),
        (
            PAST,
            "taken",
            None,
            "What counts most here is how many took it up; it also goes with Fire safety, which you finished",
        ),
    ],
)
def test_one_sentence_out_of_what_is_known(
    past: tuple[str, str] | None, about: str | None, gap: Gap | None, sentence: str | None
) -> None:
    assert card(past, about, gap) == sentence


@pytest.mark.parametrize(
    ("feature", "source", "about"),
    [
        ("linear score", "linear", None),
        ("follows_last", "popularity", None),
        ("blend", "linear", None),
        ("blend place", "popularity", "taken"),
        ("taken_30_days", "linear", "lately"),
        ("taken_last", "linear", "before"),
        ("segments gap", "linear", "colleagues"),
        ("something new", "linear", "several"),
    ],
)
def test_a_past_item_is_the_cause_only_where_the_leading_feature_speaks_of_history(
    feature: str, source: str, about: str | None
) -> None:
    assert leading(feature, source) == about


def test_every_feature_of_pairs_is_told_apart(fitted: FittedRanker) -> None:
    assert not [name for name in fitted.features if leading(name, "linear") == "several"]


def test_the_driver_is_the_largest_that_raised_an_item() -> None:
    down, up = Driver(feature="length", value=1.0, amount=-2.0), Driver(feature="taken", value=None, amount=0.5)
    assert driver(TreeScore(candidate=True, score=0.0, start=0.0, largest=(down, up), rest=0.0)) == up
    assert driver(TreeScore(candidate=False)) is driver(None) is None
