"""Skill profiles: levels from evidence, fading, revocation, gaps; and the order of equal-time events."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import Item, Role
from features.events import Event, Evidence, Verb
from features.skills import CONFIDENCE, HALF_LIFE, SkillState, gaps, profile

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ITEMS = {
    "excel-1": Item(id="excel-1", title="Tables", skills={"excel": 2}),
    "excel-2": Item(id="excel-2", title="Pivot tables", skills={"excel": 4, "analysis": 2}),
}


def event(verb: Verb, object_id: str, *, days_ago: float = 0, event_id: str = "", **fields: object) -> Event:
    occurred = NOW - timedelta(days=days_ago)
    name = event_id or f"{verb}-{object_id}-{days_ago}"
    body = {"tenant": "demo", "event_id": name, "learner_id": "L1", "verb": verb, "object_id": object_id}
    return Event.model_validate({**body, "occurred_at": occurred, "recorded_at": occurred, **fields})


def test_a_completed_item_shows_the_level_it_teaches() -> None:
    known = profile([event(Verb.COMPLETED, "excel-1")], ITEMS, NOW)
    assert known == {"excel": SkillState(2.0, Evidence.COMPLETED, pytest.approx(0.4), ("completed-excel-1-0",))}


def test_a_level_halves_after_its_half_life() -> None:
    days = HALF_LIFE[Evidence.COMPLETED].days
    assert profile([event(Verb.COMPLETED, "excel-2", days_ago=days)], ITEMS, NOW)["excel"].level == pytest.approx(2.0)


def test_what_is_assessed_fades_more_slowly_than_what_is_only_completed() -> None:
    read = profile([event(Verb.COMPLETED, "excel-2", days_ago=400)], ITEMS, NOW)["excel"]
    assessed = profile([event(Verb.PASSED, "excel-2", days_ago=400)], ITEMS, NOW)["excel"]
    assert assessed.level > read.level
    assert assessed.confidence > read.confidence


def test_starting_failing_and_being_waived_show_nothing() -> None:
    assert profile([event(v, "excel-1") for v in (Verb.STARTED, Verb.FAILED, Verb.WAIVED, Verb.SHOWN)], ITEMS, NOW) == {}


def test_what_happens_later_is_not_known_yet() -> None:
    assert profile([event(Verb.COMPLETED, "excel-1", days_ago=-1)], ITEMS, NOW) == {}


def test_revoked_takes_back_earlier_evidence_and_leaves_later() -> None:
    took_back = [event(Verb.PASSED, "excel-1", days_ago=3), event(Verb.REVOKED, "excel-1", days_ago=2)]
    assert profile(took_back, ITEMS, NOW) == {}
    again = [*took_back, event(Verb.PASSED, "excel-1", days_ago=1)]
    assert profile(again, ITEMS, NOW)["excel"].event_ids == ("passed-excel-1-1",)


def test_applying_a_skill_without_a_level_confirms_what_was_shown_before() -> None:
    old = event(Verb.COMPLETED, "excel-2", days_ago=365)
    applied = event(Verb.APPLIED, "skill:excel", days_ago=0)
    assert profile([old, applied], ITEMS, NOW)["excel"].level == pytest.approx(4.0)
    assert profile([applied], ITEMS, NOW)["excel"].level == pytest.approx(1.0)


def test_a_stated_level_counts() -> None:
    assert profile([event(Verb.ATTESTED, "skill:excel", context={"level": 3.5})], ITEMS, NOW)["excel"].level == 3.5


def test_gap_is_expected_minus_present_and_only_where_positive() -> None:
    known = profile([event(Verb.COMPLETED, "excel-1")], ITEMS, NOW)
    role = Role(id="analyst", name="Analyst", expects={"excel": 3, "analysis": 2, "writing": 0})
    assert gaps(known, role) == {"excel": pytest.approx(1.0), "analysis": pytest.approx(2.0)}
    assert gaps(known, None) == {}


VERBS = st.sampled_from([Verb.KNOWN, Verb.COMPLETED, Verb.PASSED, Verb.APPLIED, Verb.ENDORSED, Verb.REVOKED])
EVENTS = st.lists(st.tuples(VERBS, st.sampled_from(["excel-1", "excel-2", "skill:excel"]), st.integers(0, 3)), max_size=8)


@given(EVENTS, st.randoms(use_true_random=False))
def test_events_in_any_order_give_the_same_profile(rows: list[tuple[Verb, str, int]], random: object) -> None:
    events = [event(v, o, days_ago=d, event_id=f"e{n}") for n, (v, o, d) in enumerate(rows)]
    shuffled = list(events)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert profile(shuffled, ITEMS, NOW) == profile(events, ITEMS, NOW)


@given(EVENTS, st.sampled_from(sorted(CONFIDENCE)))
def test_more_evidence_never_lowers_confidence(rows: list[tuple[Verb, str, int]], strength: Evidence) -> None:
    events = [event(v, o, days_ago=d + 1, event_id=f"e{n}") for n, (v, o, d) in enumerate(rows)]
    verb = next(v for v in Verb if v.evidence is strength)
    before = profile(events, ITEMS, NOW)
    after = profile([*events, event(verb, "excel-1", event_id="more")], ITEMS, NOW)
    assert after["excel"].confidence >= (before["excel"].confidence if "excel" in before else 0)
