"""Limits: what a slate may hold of a provider, a skill or a match, at once or in some days, under the coin as well."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from scipy.stats import chisquare
from shop import NOW, decided, event, rule, slate

from features.catalogue import Assignment
from features.duties import Assigned, Duty
from features.events import Event, Verb
from serving.prepared import Prepared

DAY = timedelta(days=1)


def shown(item: str, days: float, **more: Any) -> Event:
    return event("ana", Verb.SHOWN, item, at=NOW - days * DAY, **more)


CASES: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({"most": 1, "per": "provider"}, ["calm", "safe"], ["data", "more"]),
    ({"most": 2, "per": "provider"}, ["calm", "data", "safe"], ["more"]),
    ({"most": 1, "per": "skill"}, ["calm", "data", "safe"], ["more"]),
    ({"most": 2}, ["calm", "data"], ["more", "safe"]),
    ({"most": 1, "match": {"attributes": {"topic": ["numbers"]}}}, ["calm", "data", "safe"], ["more"]),
    ({"most": 1, "per": "provider", "match": {"types": ["course"]}}, ["calm", "data", "safe"], ["more"]),
    ({"most": 9, "per": "provider"}, ["calm", "data", "more", "safe"], []),
]


@pytest.mark.parametrize(("limit", "kept", "out"), CASES, ids=[str(n) for n in range(len(CASES))])
@pytest.mark.parametrize("candidates", [{}, {"candidates": ("safe", "more", "data", "calm")}], ids=["page", "rank"])
def test_no_more_than_so_many_and_what_is_kept_out_is_named(
    house: Prepared, limit: dict[str, Any], kept: list[str], out: list[str], candidates: dict[str, Any]
) -> None:
    found = decided(house, rule("limit", **limit), **candidates).decision
    assert slate(found) == kept
    assert list(found.removed.get("rule:r", ())) == out


def test_the_next_one_by_score_takes_the_slot(house: Prepared) -> None:
    found = decided(house, rule("limit", most=1, per="provider"), limit=2).decision
    assert slate(found) == ["calm", "safe"]
    assert found.removed["rule:r"] == ("data",)  # `more` would not have been among the first two
    assert found.shortfall == {}


def test_of_two_limits_each_names_what_it_keeps_out(house: Prepared) -> None:
    found = decided(house, rule("limit", "a", most=1, per="skill"), asked=(rule("limit", "b", most=2),)).decision
    assert slate(found) == ["calm", "data"]
    assert (found.removed["rule:a"], found.removed["request_rule:b"]) == (("more",), ("safe",))


def test_a_limit_of_the_policy_by_provider_stands_beside(house: Prepared) -> None:
    found = decided(house, rule("limit", most=1, per="skill"), provider_limit=1).decision
    assert slate(found) == ["calm", "safe", "data"]  # `provider_limit` gives way to an empty slot, the rule does not
    assert found.removed["rule:r"] == ("more",)


def test_a_window_counts_what_was_shown_and_may_show_it_again(house: Prepared) -> None:
    weekly = rule("limit", most=1, per="provider", days=7)
    assert slate(decided(house, weekly, events=(shown("data", 3),))) == ["data", "safe"]
    assert slate(decided(house, weekly, events=(shown("data", 8),))) == ["calm", "safe"]
    assert slate(decided(house, weekly, events=(shown("data", 3), shown("more", 2)))) == ["data", "more", "safe"]
    assert slate(decided(house, weekly, events=(shown("calls", 1),))) == ["calm", "safe"]
    assert slate(decided(house, rule("limit", most=1, per="provider"), events=(shown("data", 3),))) == ["calm", "safe"]
    saved = event("ana", Verb.SAVED, "data", at=NOW - DAY)
    assert slate(decided(house, weekly, events=(saved,))) == ["calm", "safe"]


def test_a_duty_and_what_was_begun_count_and_are_not_limited(house: Prepared) -> None:
    duty = Duty(Assignment(id="d", item_id="more", learner_id="ana", mandatory=True), NOW - DAY)
    one = rule("limit", most=1, per="provider")
    assert slate(decided(house, one, assigned=Assigned((duty,), (), {}, NOW))) == ["more", "safe"]
    begun = (event("ana", Verb.STARTED, "data"),)
    assert slate(decided(house, one, events=begun, limit=5)) == ["data", "safe"]


def test_under_the_coin_each_item_has_the_probability_that_is_logged(house: Prepared) -> None:
    """The second slot after `calm`: only `safe` may stand there, so it is certain; after `safe` it is calm, data or more."""
    limit, epsilon, seen, expected = rule("limit", most=1, per="provider"), 0.6, Counter[tuple[str, ...]](), dict[Any, float]()
    for number in range(1_500):
        found = decided(house, limit, epsilon=epsilon, decision_id=f"d-{number}", limit=2).decision
        first, second = found.slate
        seen[(first.item_id, second.item_id)] += 1
        expected[(first.item_id, second.item_id)] = first.propensity * second.propensity
        assert {first.item_id, second.item_id} not in ({"calm", "data"}, {"calm", "more"}, {"data", "more"})
    assert sum(expected.values()) == pytest.approx(1)
    assert expected["calm", "safe"] == pytest.approx(0.4 + 0.6 / 4)
    assert chisquare(list(seen.values()), [1_500 * expected[pair] for pair in seen]).pvalue > 1e-3
