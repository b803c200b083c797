"""What matches one item matches it in a bundle's mask."""

from typing import Any

import pytest
from shop import SHOP

from serving.prepared import Prepared
from serving.rules.language import Match
from serving.rules.matching import _KEPT, _MASKS, covers, matched

MATCHES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"calm", "data", "more", "safe", "lead", "soon"}),
    ({"items": ["calls", "safe", "gone"]}, {"calm", "safe"}),
    ({"types": ["video"]}, {"data"}),
    ({"providers": ["Nord", "West"]}, {"calm", "data", "more"}),
    ({"skills": ["analysis"]}, {"data", "more"}),
    ({"languages": ["de"]}, {"data"}),
    ({"languages": ["en-GB"]}, {"calm", "data"}),
    ({"audiences": ["leaders"]}, {"lead"}),
    ({"attributes": {"topic": ["voice"]}}, {"calm"}),
    ({"attributes": {"topic": ["numbers", "service"], "level": ["high"]}}, set()),
    ({"providers": ["Nord"], "skills": ["analysis"], "types": ["course"]}, {"more"}),
    ({"providers": ["nord"]}, set()),
]


@pytest.mark.parametrize(("given", "names"), MATCHES, ids=[str(n) for n in range(len(MATCHES))])
def test_a_match_is_the_same_of_one_item_and_of_all(house: Prepared, given: dict[str, Any], names: set[str]) -> None:
    match = Match.model_validate(given)
    assert {item.id for item in SHOP if covers(match, item)} == names
    assert set(house.ids_of(matched(house, match).nonzero()[0])) == names


def test_a_mask_is_made_once(house: Prepared) -> None:
    first = matched(house, Match(providers=("Nord",)))
    assert matched(house, Match(providers=("Nord",))) is first


def test_what_requests_make_up_does_not_pile_up(house: Prepared) -> None:
    for number in range(2_000):
        matched(house, Match(providers=(f"p-{number}",)))
    assert len(_MASKS[house]) <= _KEPT
