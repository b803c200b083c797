"""Boosts stand in the score as parts of their own, and order the slate."""

import numpy as np
import pytest
from shop import ANA, OFF, decided, rule, slate

from serving.prepared import Prepared
from training.models.popularity import FittedPopularity

SPREAD = float(np.std([4, 2, 1, 1, 1, 9 / 5]))
"""Of the scores of all items; the one that nobody took up has the mean of the others."""


def test_a_boost_adds_standard_deviations_and_says_so(house: Prepared) -> None:
    lift = rule("boost", match={"providers": ["Sud"]}, add=3)
    found = decided(house, lift, asked=(rule("boost", match={"items": ["calm", "safe"]}, add=-0.5),)).decision
    assert slate(found) == ["safe", "calm", "data", "more"]
    safe, calm, data, _ = found.slate
    assert safe.parts == pytest.approx({"popularity": 1, "rule:r": 3 * SPREAD, "request_rule:r": -0.5 * SPREAD})
    assert all(item.score == pytest.approx(sum(item.parts.values())) for item in found.slate)
    assert data.parts == {"popularity": 2, "rule:r": 0, "request_rule:r": 0}
    assert calm.score == pytest.approx(4 - 0.5 * SPREAD)


def test_what_a_rule_adds_is_no_source_but_a_reason(house: Prepared) -> None:
    safe = decided(house, rule("boost", match={"items": ["safe"]}, add=3)).decision.slate[0]
    assert (safe.item_id, safe.source) == ("safe", "popularity")
    assert safe.reasons[-1] == "Your organisation puts it forward"
    for found in (
        decided(house, rule("boost", match={"items": ["calm"]}, add=-0.1)),
        decided(house, asked=(rule("boost", match={"items": ["calm"]}, add=0.1),)),
    ):
        assert "Your organisation puts it forward" not in found.decision.slate[0].reasons


def test_what_cannot_be_scored_stays_out(house: Prepared) -> None:
    unscored = house.with_model(FittedPopularity(np.array([4, np.nan, 1, 1, 1, 0], dtype=np.float32)))
    found = decided(unscored, rule("boost", match={"items": ["data"]}, add=3)).decision
    assert "data" not in slate(found)
    assert found.removed["no_score"] == ("data",)


def test_where_all_scores_are_equal_a_boost_still_orders(house: Prepared) -> None:
    flat = house.with_model(FittedPopularity(np.ones(6, dtype=np.float32)))
    assert slate(decided(flat, rule("boost", match={"items": ["safe"]}, add=0.1)))[0] == "safe"


@pytest.mark.parametrize("learner", [ANA, OFF], ids=["ana", "off"])
def test_a_boost_orders_the_callers_candidates_too(house: Prepared, learner: object) -> None:
    found = decided(house, rule("boost", match={"items": ["more"]}, add=3), candidates=("calm", "data", "more"))
    assert slate(found) == ["more", "calm", "data"]


def test_the_boost_that_let_an_item_in_is_its_first_reason(house: Prepared) -> None:
    """It came last, behind how popular an item is that nobody would have seen."""
    forward = "Your organisation puts it forward"
    lift = rule("boost", match={"items": ["safe", "calm"]}, add=3)
    first, second = decided(house, lift, limit=2).decision.slate
    assert (first.item_id, second.item_id) == ("calm", "safe")
    assert second.reasons[0] == forward
    assert (first.reasons[0] == forward, first.reasons[-1]) == (False, forward)  # it would stand here without
