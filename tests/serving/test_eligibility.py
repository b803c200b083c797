"""Each rule removes what it names and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from acme import CUSTOMERS, ITEMS, NOW, event, publish

from features.catalogue import Learner, Spell
from features.events import Event, Verb
from features.grants import Grant
from serving.eligibility import RULES, Facts, eligible
from serving.payloads import RecommendationsRequest
from serving.prepared import Prepared, prepare
from serving.standing import standing
from training.bundle import load_bundle

ANA = Learner(id="ana", audiences=(CUSTOMERS,))
ALWAYS = {"other_audience": {"lead"}, "not_available": {"soon"}, "prerequisites": {"more"}}


def removed(
    stock: Prepared,
    *,
    learner: Learner | None = ANA,
    events: tuple[Event, ...] = (),
    grants: tuple[Grant, ...] = (),
    **request: Any,
) -> dict[str, set[str]]:
    asked = RecommendationsRequest.model_validate({"learner_id": "ana", **request}, strict=False)
    facts = Facts(NOW, asked, learner, standing(events, stock), grants)
    kept, gone = eligible(stock, facts, np.arange(len(stock), dtype=np.int32))
    ids = [one for group in gone.values() for one in group]
    assert sorted([*ids, *(stock.ids[index] for index in kept)]) == sorted(stock.ids)  # each stands exactly once
    return {rule: set(group) for rule, group in gone.items()}


def test_what_anybody_of_the_audience_may_not_see(stock: Prepared) -> None:
    assert removed(stock) == ALWAYS


@pytest.mark.parametrize(
    ("request_", "rule", "gone"),
    [
        ({"exclude": ["calm"]}, "excluded", {"calm"}),
        ({"types": ["video"]}, "other_type", {"calm", "more", "safe"}),
        ({"languages": ["fr"]}, "other_language", {"calm"}),
        ({"max_minutes": 15}, "too_long", {"data", "more"}),
        ({"max_minutes": 14.9}, "too_long", {"data", "more", "safe"}),
    ],
)
def test_a_request_narrows(stock: Prepared, request_: dict[str, Any], rule: str, gone: set[str]) -> None:
    assert removed(stock, **request_)[rule] == gone


def test_a_language_covers_its_regions_and_no_language_passes(stock: Prepared) -> None:
    assert "other_language" not in removed(stock, languages=["en-GB"])


def test_the_learners_own_languages_hold_unless_the_request_names_some(stock: Prepared) -> None:
    french = Learner(id="ana", audiences=(CUSTOMERS,), languages=("fr",))
    assert removed(stock, learner=french)["other_language"] == {"calm"}
    assert "other_language" not in removed(stock, learner=french, languages=["en"])


def test_an_unknown_learner_sees_only_what_everybody_may(stock: Prepared) -> None:
    assert removed(stock, learner=None)["other_audience"] == {"lead"}


def test_leaders_see_what_is_for_leaders(stock: Prepared) -> None:
    assert "other_audience" not in removed(stock, learner=Learner(id="ben", audiences=("leaders",)))


@pytest.mark.parametrize(
    "learner",
    [
        Learner(id="ana", status="ended", audiences=(CUSTOMERS,)),
        Learner(id="ana", audiences=(CUSTOMERS,), spells=(Spell(since=NOW - timedelta(days=9), until=NOW),)),
    ],
)
def test_who_has_left_is_shown_nothing(stock: Prepared, learner: Learner) -> None:
    assert removed(stock, learner=learner) == {"learner_ended": set(stock.ids)}


def test_a_finished_item_is_due_again_when_its_period_is_over(stock: Prepared) -> None:
    valid = event("ana", Verb.COMPLETED, "safe", at=datetime(2025, 6, 2, tzinfo=UTC))
    expired = event("ana", Verb.COMPLETED, "safe", at=datetime(2025, 6, 1, tzinfo=UTC))
    assert removed(stock, events=(valid,))["finished"] == {"safe"}
    assert removed(stock, events=(expired,)) == ALWAYS


@pytest.mark.parametrize(
    ("verb", "rule"),
    [
        (Verb.STARTED, "in_progress"),
        (Verb.FAILED, "in_progress"),
        (Verb.PASSED, "finished"),
        (Verb.WAIVED, "finished"),
        (Verb.KNOWN, "known"),
        (Verb.DISMISSED, "dismissed"),
    ],
)
def test_what_a_learner_did_removes_the_item(stock: Prepared, verb: Verb, rule: str) -> None:
    assert removed(stock, events=(event("ana", verb, "calm"),))[rule] == {"calm"}


def test_later_comes_back_and_taking_it_up_ends_a_dismissal(stock: Prepared) -> None:
    def away(*, until: object) -> set[str]:
        later = event("ana", Verb.DISMISSED, "calm", context={"until": until})
        return removed(stock, events=(later,)).get("dismissed", set())

    assert away(until=(NOW + timedelta(seconds=1)).isoformat()) == {"calm"}
    assert away(until=NOW.isoformat()) == set()
    assert away(until=NOW.replace(tzinfo=None).isoformat()) == set()
    assert away(until="soon") == away(until=7) == {"calm"}
    again = (event("ana", Verb.DISMISSED, "calm"), event("ana", Verb.COMPLETED, "calm"))
    assert "dismissed" not in removed(stock, events=again)


def test_prerequisites_open_once_they_are_met(stock: Prepared) -> None:
    done = removed(stock, events=(event("ana", Verb.COMPLETED, "data"),))
    assert "prerequisites" not in done
    assert done["finished"] == {"data"}


def test_an_older_version_goes_where_the_newer_may_be_shown(tmp_path: Any) -> None:
    from acme import publish

    from features.catalogue import Item
    from serving.prepared import prepare
    from training.bundle import load_bundle

    items = (
        Item(id="old", title="Old"),
        Item(id="new", title="New", replaces="old", audiences=("leaders",)),
        Item(id="a", title="A", equivalent_to=("b",)),
        Item(id="b", title="B", aliases=("beta",)),
        Item(id="c", title="C"),
        Item(id="newest", title="Newest", replaces="new", equivalent_to=("c",), audiences=("leaders",)),
    )
    stock = prepare(load_bundle(publish(tmp_path, items=items)))
    leader = Learner(id="ben", audiences=("leaders",))
    dismissed = removed(stock, learner=leader, events=(event("ben", Verb.DISMISSED, "old"),))
    assert dismissed["dismissed"] | dismissed["replaced"] == {"old", "new", "newest", "c"}
    assert removed(stock, events=(event("ana", Verb.DISMISSED, "beta"),))["dismissed"] == {"a", "b"}
    assert removed(stock, learner=leader)["replaced"] == {"old", "new"}
    assert "replaced" not in removed(stock)
    assert removed(stock, events=(event("ana", Verb.COMPLETED, "beta"),))["finished"] == {"a", "b"}


def test_what_others_grant_is_left_out_unless_a_grant_of_theirs_covers_it(tmp_path: Path) -> None:
    lent = {"calm": "lender", "data": "lender", "safe": "third"}
    items = tuple(item.model_copy(update={"granted_by": lent.get(item.id)}) for item in ITEMS)
    stock = prepare(load_bundle(publish(tmp_path, items=items)))
    grant = Grant(1, "acme", "lender", None, frozenset({"calm", "safe"}), NOW, None)
    assert removed(stock)["not_granted"] == {"calm", "data", "safe"}
    assert removed(stock, grants=(grant,))["not_granted"] == {"data", "safe"}
    assert removed(stock, grants=(grant, replace(grant, grantor="third")))["not_granted"] == {"data"}


def test_every_rule_is_seen_at_work_here() -> None:
    assert set(RULES) == {
        "not_in_catalogue",
        "not_granted",
        "learner_ended",
        "not_available",
        "other_audience",
        "replaced",
        "other_language",
        "other_type",
        "too_long",
        "excluded",
        "finished",
        "known",
        "in_progress",
        "dismissed",
        "prerequisites",
    }
