"""Each rule has its sentence, and no sentence is without a rule."""

from pathlib import Path

import numpy as np
from acme import ITEMS, NOW, publish

from features.catalogue import Item
from serving.payloads import RankRequest, RecommendationsRequest
from serving.pipeline import REMOVALS, rank
from serving.policy import Policy
from serving.prepared import prepare
from serving.questions.details import DETAILS, OF_HISTORY
from serving.questions.words import NOT_A_CANDIDATE, WORDS, words_of
from training.bundle import load_bundle
from training.models.popularity import FittedPopularity

FIVE = ("unknown_item", "no_score", "provider_limit", "diversity", "beyond_limit")
"""What is removed by no rule of eligibility."""


def test_every_name_under_which_items_are_removed_has_a_sentence_and_no_other() -> None:
    assert set(WORDS) == {*REMOVALS, NOT_A_CANDIDATE}
    assert set(OF_HISTORY) <= set(DETAILS) <= set(WORDS)
    for words in WORDS.values():
        assert words.change is not None
        assert all(text[0].isupper() and text.endswith(".") for text in words)


def test_a_rule_of_an_older_record_has_words_too() -> None:
    assert words_of("long_gone").why == "The rule long_gone removed it."


def test_no_stage_removes_under_a_name_that_is_not_listed(tmp_path: Path) -> None:
    def of_house(item: Item) -> Item:
        return item.model_copy(update={"provider": "house" if item.id in ("calm", "data") else ""})

    stock = prepare(load_bundle(publish(tmp_path / "house", items=tuple(map(of_house, ITEMS)))))
    unscored = stock.with_model(FittedPopularity(np.array([4, np.nan, 1, 1, 1, 0], dtype=np.float32)))
    candidates = RankRequest(learner_id="ana", candidates=("calm", "data", "lead", "nope"), limit=1)
    two = RecommendationsRequest(learner_id="ana", limit=2)
    found: set[str] = set()
    for bundle, request, policy in (
        (stock, candidates, Policy(epsilon=0)),
        (stock, two, Policy(epsilon=0, provider_limit=1)),
        (stock, two, Policy(epsilon=0, diversity=1.0)),
        (unscored, two, Policy(epsilon=0)),
    ):
        found |= set(rank(bundle, request, None, (), at=NOW, decision_id="d", policy=policy).removed)
    assert {*FIVE} <= found <= {*REMOVALS}
