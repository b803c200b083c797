"""Rows of a page, on a company whose every answer is known."""

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from acme import CUSTOMERS, ITEMS, LEARNERS, NOW, event, publish
from scipy.stats import chisquare

from features.catalogue import Assignment, Item, ItemType, Learner
from features.decisions import Decision, RowKind
from features.duties import Assigned, Duty, Leave
from features.events import Event
from serving.payloads import RecommendationsRequest, RowIn
from serving.pipeline import HISTORY_UNAVAILABLE, rank
from serving.policy import Policy
from serving.prepared import Prepared, prepare
from serving.scoring import Scores
from serving.shelves import Stand, _by
from training.bundle import load_bundle

ANA, BEN, OFF = LEARNERS
SURE = Policy(epsilon=0.0)
DAY = timedelta(days=1)
PUSH = Item(id="push", title="New protocol", languages=("en",))
NEWER = (*ITEMS, *(Item(id=f"new-{n}", title=f"New {n}", available_from=NOW - n * DAY) for n in (1, 59, 61)))


def ask(
    stock: Prepared,
    learner: Learner | None = ANA,
    events: tuple[Event, ...] = (),
    *,
    rows: dict[str, int] | None = None,
    **more: Any,
) -> Decision:
    options = {"policy": SURE, "at": NOW, "decision_id": "d-1", "assigned": Assigned()}
    options |= {name: more.pop(name) for name in list(more) if name in (*options, "fallback")}
    wanted = tuple(RowIn(row=RowKind(row), limit=limit) for row, limit in (rows or {}).items())
    request = RecommendationsRequest(learner_id="ana", rows=wanted, **more)
    return rank(stock, request, learner, events, **options)


def shown(decision: Decision) -> dict[str | None, list[str]]:
    return {row.row: [item.item_id for item in row.items] for row in decision.rows}


def duties(*given: Assignment, items: tuple[Item, ...] = (), leaves: tuple[Leave, ...] = ()) -> Assigned:
    return Assigned(tuple(Duty(one, NOW - 30 * DAY) for one in given), leaves, {item.id: item for item in items}, NOW)


def owes(name: str, item: str, days: int | None = None, **more: Any) -> Assignment:
    return Assignment(id=name, item_id=item, learner_id="ana", due_at=None if days is None else NOW + days * DAY, **more)


def larger(tmp_path: Path, items: tuple[Item, ...]) -> Prepared:
    return prepare(load_bundle(publish(tmp_path / "larger", items=items)))


def test_duties_come_first_the_urgent_ones_before_all_then_by_deadline(stock: Prepared) -> None:
    given = duties(owes("a", "calm", 9), owes("b", "data", 2), owes("c", "safe", urgent=True), owes("d", "calm", 1))
    decision = ask(stock, assigned=given)
    assert shown(decision)["mandatory"] == ["safe", "calm", "data"]
    assert [item.due.assignment_id for item in decision.slate[:3] if item.due] == ["c", "d", "b"]
    assert decision.slate[0].reasons[0] == "Urgent: it is assigned to you"
    assert decision.slate[1].reasons[0] == "Mandatory: it is due by 2026-06-02"
    assert {item.source for item in decision.slate[:3]} == {"mandatory"}
    assert len({item.item_id for item in decision.slate}) == len(decision.slate)
    assert "mandatory" not in shown(ask(stock, assigned=duties(owes("a", "calm", 9, mandatory=False))))


def test_urgent_duties_take_the_room_they_need_and_no_more_than_the_limit(stock: Prepared) -> None:
    urgent = [owes(name, name, urgent=True) for name in ("calm", "data", "safe")]
    assert shown(ask(stock, limit=2, assigned=duties(*urgent))) == {"mandatory": ["calm", "data"]}
    plain = duties(*(one.model_copy(update={"urgent": False}) for one in urgent[:2]))
    assert len(shown(ask(stock, limit=2, assigned=plain))["mandatory"]) == 1


@pytest.mark.parametrize("verb", ["started", "dismissed", "known"])
def test_a_duty_stays_whatever_its_learner_says_but_finishing_it(stock: Prepared, verb: str) -> None:
    given = duties(owes("a", "calm", -1))
    decision = ask(stock, events=(event("ana", verb, "calm"),), assigned=given)
    assert shown(decision)["mandatory"] == ["calm"]
    assert decision.slate[0].due is not None
    assert decision.slate[0].due.overdue
    assert not any("calm" in ids for ids in decision.removed.values())
    assert "mandatory" not in shown(ask(stock, events=(event("ana", "completed", "calm"),), assigned=given))


def test_a_duty_obeys_audience_availability_prerequisites_and_the_request(stock: Prepared) -> None:
    filters: list[dict[str, Any]] = [{"exclude": ("calm",)}, {"types": (ItemType.VIDEO,)}, {"max_minutes": 5}]
    for item, more in [("lead", {}), ("soon", {}), ("more", {}), *(("calm", one) for one in filters)]:
        assert "mandatory" not in shown(ask(stock, assigned=duties(owes("a", item, 1)), **more)), item
    gone = ANA.model_copy(update={"status": "ended"})
    assert ask(stock, gone, assigned=duties(owes("a", "calm", 1), owes("b", "push"), items=(PUSH,))).rows == ()


def test_a_duty_rests_while_its_learner_is_on_leave(stock: Prepared) -> None:
    away = ANA.model_copy(update={"status": "leave"})
    given = duties(owes("a", "calm", 1), owes("b", "safe", 1, pause_on_leave=False), leaves=(Leave(NOW - DAY, None),))
    assert shown(ask(stock, away, assigned=given))["mandatory"] == ["safe"]


def test_an_urgent_item_that_no_bundle_knows_is_shown_by_its_catalogue_row(stock: Prepared) -> None:
    given = duties(owes("a", "push", 4, urgent=True), owes("b", "nowhere"), items=(PUSH,))
    decision = ask(stock, assigned=given)
    first = decision.slate[0]
    assert (first.item_id, first.title, first.score, first.propensity, first.position) == ("push", "New protocol", 0.0, 1.0, 0)
    assert first.reasons == ("Urgent: it is due by 2026-06-05",)
    assert decision.features["minutes"][0] is None
    assert decision.features["minutes"][1] == 10.0
    assert decision.removed["unknown_item"] == ("nowhere",)
    done = (event("ana", "completed", "push"),)
    for item, events in (
        (PUSH.model_copy(update={"audiences": ("leaders",)}), ()),
        (PUSH.model_copy(update={"available_until": NOW}), ()),
        (PUSH.model_copy(update={"prerequisites": ("data",)}), ()),
        (PUSH, done),
    ):
        assert "mandatory" not in shown(ask(stock, events=events, assigned=duties(owes("a", "push"), items=(item,))))


def test_what_was_begun_is_continued_the_last_first(stock: Prepared) -> None:
    begun = tuple(event("ana", "started", name, at=NOW - days * DAY) for name, days in (("more", 1), ("safe", 3), ("calm", 2)))
    sent_away = event("ana", "dismissed", "calm", at=NOW - DAY)
    assert shown(ask(stock, events=begun, rows={"continue": 10})) == {"continue": ["more", "calm", "safe"]}
    assert shown(ask(stock, events=(*begun, sent_away)))["continue"] == ["more", "safe"]  # a fifth of ten
    decision = ask(stock, events=begun)
    assert [(item.source, item.propensity) for item in decision.slate[:2]] == [("continue", 1.0)] * 2
    assert "in_progress" in decision.removed  # safe had no room
    assert "continue" not in shown(ask(stock, OFF, events=begun))


def test_the_request_says_which_rows_and_how_many(stock: Prepared) -> None:
    asked = ask(stock, rows={"gaps": 1, "popular": 1, "recommended": 10}, limit=3)
    assert shown(asked) == {"gaps": ["calm"], "popular": ["data"], "recommended": ["safe"]}
    assert [item.source for item in asked.slate] == ["gaps", "popular", "popularity"]
    assert shown(ask(stock, rows={"recommended": 10, "gaps": 10}, limit=2)) == {"recommended": ["calm", "data"]}
    with pytest.raises(ValueError, match="rows: gaps stands there twice"):
        RecommendationsRequest(learner_id="ana", rows=(RowIn(row=RowKind.GAPS), RowIn(row=RowKind.GAPS, limit=2)))


def test_because_names_what_was_finished_last(stock: Prepared) -> None:
    done = tuple(event("ana", "completed", name, at=NOW - days * DAY) for name, days in (("data", 2), ("calm", 5)))
    found = ask(stock, events=done, rows={"because": 5}).rows[0]
    assert found.title == "Because you finished Reading data"
    assert found.items[0].item_id == "more"  # the other one that teaches analysis
    assert ask(stock, rows={"because": 5}).rows == ()
    assert ask(stock, OFF, events=done, rows={"because": 5}).rows == ()


def test_new_is_what_became_available_in_sixty_days(tmp_path: Path) -> None:
    assert sorted(shown(ask(larger(tmp_path, NEWER), rows={"new": 5}))["new"]) == ["new-1", "new-59"]


def test_a_home_page_fills_its_limit_and_shows_small_rows_where_there_is_room(tmp_path: Path) -> None:
    many = tuple(Item(id=f"i{n:02}", title=f"I {n}", skills={"listening": 2} if n > 30 else {}) for n in range(60))
    fresh = tuple(Item(id=f"n{n}", title=f"N {n}", available_from=NOW - DAY) for n in range(5))
    stock = larger(tmp_path, (*ITEMS[:5], *many, *fresh))
    begun = (event("ana", "started", "i00"), event("ana", "completed", "data"))
    found = shown(ask(stock, events=begun, limit=30, assigned=duties(owes("a", "safe", 3))))
    assert list(found) == ["mandatory", "continue", "recommended", "gaps", "because", "new"]  # all that is popular is above
    assert sum(map(len, found.values())) == 30
    small = shown(ask(stock, events=begun, limit=10, assigned=duties(owes("a", "safe", 3))))
    assert list(small) == ["mandatory", "continue", "recommended", "gaps"]
    assert sum(map(len, small.values())) == 10


def test_without_a_history_no_row_claims_one(stock: Prepared) -> None:
    assert shown(ask(stock, None, fallback=HISTORY_UNAVAILABLE, limit=30)) == {"recommended": ["calm", "data", "safe"]}


def test_chance_leaves_duties_and_what_was_begun_alone(stock: Prepared) -> None:
    """Chi-square over 2,000 decisions: below two fixed slots, each item comes as often as its propensity says."""
    policy = Policy(epsilon=0.4, support=4, gap_share=0.0)
    given, begun = duties(owes("a", "push", urgent=True), items=(PUSH,)), (event("ana", "started", "safe"),)
    seen: Counter[str] = Counter()
    said: dict[str, float] = {}
    rng = random.Random(5)
    for _ in range(2_000):
        decision = ask(stock, BEN, begun, policy=policy, decision_id=f"d-{rng.random()}", assigned=given, limit=10)
        first, second, third = decision.slate[:3]
        assert [(one.item_id, one.propensity) for one in (first, second)] == [("push", 1.0), ("safe", 1.0)]
        seen[third.item_id] += 1
        said[third.item_id] = third.propensity
    assert sum(said.values()) == pytest.approx(1.0)
    assert said["calm"] == pytest.approx(0.6 + 0.4 / 3)
    expected = np.array([said[name] for name in sorted(said)]) * 2_000
    assert chisquare(np.array([seen[name] for name in sorted(seen)]), expected).pvalue > 0.001


LANGUAGES = tuple(
    Item(id=f"{tag}-{n}", title=f"{tag} {n}", languages=(tag,)) for n in range(10) for tag in (["en"] if n < 4 else ["fr"])
)


def test_forty_percent_only_in_english(tmp_path: Path) -> None:
    stock = larger(tmp_path, LANGUAGES)
    french = Learner(id="ana", audiences=(CUSTOMERS,), languages=("fr",))
    both = french.model_copy(update={"languages": ("fr", "en-GB")})
    alone, two = ask(stock, french), ask(stock, both)
    assert {item.language for item in alone.slate} == {"fr"}
    assert (len(alone.slate), alone.shortfall) == (6, {"other_language": 4})
    assert Counter(item.language for item in two.slate) == {"fr": 6, "en": 4}
    assert (two.shortfall, any(item.language_mismatch for item in two.slate)) == ({}, False)
    must = ask(stock, french, assigned=duties(owes("a", "en-0", 3), owes("b", "push", urgent=True), items=(PUSH,)))
    mixed = [(item.item_id, item.language) for item in must.slate if item.language_mismatch]
    assert mixed == [("push", "en"), ("en-0", "en")]
    assert (len(must.slate), must.shortfall) == (8, {"other_language": 3})
    assert not any(item.language_mismatch for item in must.slate[2:])


MANY = tuple(Item(id=f"must-{n:02}", title=f"Must {n}") for n in range(30))
PLAIN = tuple(Item(id=f"plain-{n:02}", title=f"Plain {n}") for n in range(40))


def musts(count: int, days: int = 5) -> Assigned:
    return duties(*(owes(f"a-{n:02}", f"must-{n:02}", days) for n in range(count)))


def test_a_duty_beyond_its_row_wears_no_coin_and_stands_in_no_other_row(tmp_path: Path) -> None:
    """They stood in "Recommended", placed by the coin, without a due date."""
    stock, given = larger(tmp_path, (*ITEMS, *MANY)), musts(30)
    for number in range(30):
        decision = ask(stock, assigned=given, decision_id=f"d-{number}", policy=Policy(epsilon=0.9), limit=10)
        owed = [item for item in decision.slate if item.item_id.startswith("must")]
        assert [item.source for item in owed] == ["mandatory"] * 7  # 3, and what the three others leave
        assert all(item.due is not None and item.propensity == 1.0 for item in owed)
        assert decision.rows[0].more == 23
        assert len(decision.removed["no_room_for_duty"]) == 23


def test_what_is_overdue_takes_up_to_half_of_a_page_before_what_is_not(tmp_path: Path) -> None:
    stock = larger(tmp_path, (*ITEMS, *MANY, *PLAIN))
    late = duties(*(owes(f"a-{n:02}", f"must-{n:02}", -1 if n > 12 else 1) for n in range(20)))
    first = ask(stock, assigned=late, limit=10).rows[0]
    assert [item.item_id for item in first.items] == [f"must-{n}" for n in range(13, 18)]
    assert (first.more, {item.due.overdue for item in first.items if item.due}) == (15, {True})
    assert len(ask(stock, assigned=musts(20), limit=10).rows[0].items) == 3
    every = ask(stock, assigned=late, rows={"mandatory": 100}, limit=100).rows[0]
    assert (len(every.items), every.more) == (20, 0)


def test_a_duty_is_marked_in_whichever_row_it_stands(tmp_path: Path) -> None:
    stock, begun = larger(tmp_path, (*ITEMS, *MANY, *PLAIN)), event("ana", "started", "must-09")
    decision = ask(stock, events=(begun,), assigned=musts(12), limit=10)
    row = next(row for row in decision.rows if row.row == "continue")
    assert row.items[0].due is not None
    assert row.items[0].reasons[:2] == ("Mandatory: it is due by 2026-06-06", "You began it and have not finished it")
    assert decision.rows[0].more == 8  # of twelve, three above and this one
    assert {row.more for row in decision.rows[1:]} == {None}


def test_a_page_of_twelve_has_the_small_rows_and_one_of_eleven_has_not(tmp_path: Path) -> None:
    fresh = tuple(Item(id=f"n{n}", title=f"N {n}", available_from=NOW - DAY) for n in range(5))
    taught = tuple(Item(id=f"t{n}", title=f"T {n}", skills={"analysis": 2}) for n in range(5))
    stock, done = larger(tmp_path, (*ITEMS, *PLAIN, *taught, *fresh)), (event("ana", "completed", "data"),)
    three = {"because": 2, "new": 2, "popular": 2}
    for limit, small in ((11, {}), (12, three), (20, three)):
        rows = {row: len(items) for row, items in shown(ask(stock, events=done, limit=limit)).items()}
        assert {row: rows[row] for row in ("because", "new", "popular") if row in rows} == small
        assert sum(rows.values()) == limit
        assert rows["recommended"] >= 0.5 * limit
    given = duties(*(owes(f"a-{n}", f"plain-{n:02}", 3) for n in range(9)))
    assert {"because", "new"} <= set(shown(ask(stock, events=done, limit=20, assigned=given)))


def test_a_row_is_in_the_same_order_as_far_as_a_slot_can_look() -> None:
    """Many items are worth the same, and many of these have the same score."""
    rng, none = np.random.default_rng(3), cast(Any, None)
    total, worth = rng.integers(0, 9, (2, 500)).astype(np.float32)
    may = rng.permutation(500)[:400].astype(np.int32)

    def row(most: int | None) -> list[int]:
        stand = Stand(none, none, none, none, Scores.of_one("popularity", total), may, (), most)
        return _by(stand, worth, "Popular", RowKind.POPULAR, "popular").ordered.tolist()

    wanted = sorted((one for one in may.tolist() if worth[one] > 0), key=lambda one: (-worth[one], -total[one], one))
    assert row(None) == wanted
    for most in (1, 45, 170, 399):
        assert row(most)[:most] == wanted[:most]
