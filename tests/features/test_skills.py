"""Skill profiles: levels from evidence, fading and retrieval, revocation, gaps; and the properties that always hold."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import Item, Role
from features.events import Event, Evidence, Result, Verb
from features.forgetting import GAP_DAYS, KINDS, MOST, NEVER, Chain, lengthening
from features.proposals import Proposal
from features.skills import DECLARED_LEVEL, SkillState, explain, fades_below, gaps, profile

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ITEMS = {
    "excel-1": Item(id="excel-1", title="Tables", skills={"excel": 2}),
    "excel-2": Item(id="excel-2", title="Pivot tables", skills={"excel": 4, "analysis": 2}),
    "bare": Item(id="bare", title="Macros"),
}
PROPOSED = {"bare": {"excel": Proposal(level=3, confidence=0.5)}}


def event(verb: Verb, object_id: str, *, days_ago: float = 0, event_id: str = "", **fields: Any) -> Event:
    occurred = NOW - timedelta(days=days_ago)
    name = event_id or f"{verb}-{object_id}-{days_ago}"
    body = {"tenant": "demo", "event_id": name, "learner_id": "L1", "verb": verb, "object_id": object_id}
    return Event.model_validate({**body, "occurred_at": occurred, "recorded_at": occurred, **fields})


def excel(*events: Event) -> SkillState:
    return profile(events, ITEMS, NOW)["excel"]


def test_a_completed_item_shows_the_level_it_teaches() -> None:
    known = profile([event(Verb.COMPLETED, "excel-1")], ITEMS, NOW)
    assert known == {"excel": SkillState(2.0, Evidence.COMPLETED, 0.4, ("completed-excel-1-0",), timedelta(days=365))}


def test_a_level_halves_after_its_half_life() -> None:
    assert excel(event(Verb.COMPLETED, "excel-2", days_ago=365)).level == pytest.approx(2.0)


def test_what_is_assessed_fades_more_slowly_than_what_is_only_completed() -> None:
    read, assessed = (excel(event(verb, "excel-2", days_ago=400)) for verb in (Verb.COMPLETED, Verb.PASSED))
    assert assessed.level > read.level
    assert assessed.confidence > read.confidence


def test_starting_failing_being_waived_and_a_wrong_answer_show_nothing() -> None:
    wrong = event(Verb.ANSWERED, "excel-1", result=Result(success=False, score=0.9))
    unsaid = event(Verb.ANSWERED, "excel-1", event_id="unsaid")
    contradicted = event(Verb.PASSED, "excel-1", result=Result(success=False))
    rest = [event(verb, "excel-1") for verb in (Verb.STARTED, Verb.FAILED, Verb.WAIVED, Verb.SHOWN)]
    assert profile([wrong, unsaid, contradicted, *rest], ITEMS, NOW) == {}


def test_what_happens_or_becomes_known_later_has_no_influence() -> None:
    late = event(Verb.COMPLETED, "excel-1", days_ago=9, recorded_at=NOW + timedelta(seconds=1))
    skewed = event(Verb.COMPLETED, "excel-1", days_ago=-1 / 1440, recorded_at=NOW)  # by a clock that is a minute ahead
    assert profile([event(Verb.COMPLETED, "excel-1", days_ago=-1), late, skewed], ITEMS, NOW) == {}
    assert profile([late.model_copy(update={"backfill": True})], ITEMS, NOW)["excel"].level > 0


def test_revoked_takes_back_earlier_evidence_and_leaves_later() -> None:
    took_back = [event(Verb.PASSED, "excel-1", days_ago=3), event(Verb.REVOKED, "excel-1", days_ago=2)]
    assert profile(took_back, ITEMS, NOW) == {}
    assert excel(*took_back, event(Verb.PASSED, "excel-1", days_ago=1)).event_ids == ("passed-excel-1-1",)


def test_an_alias_is_revoked_and_counted_as_the_item_it_names() -> None:
    items = {**ITEMS, "old-name": ITEMS["excel-1"]}
    passed = event(Verb.PASSED, "old-name", days_ago=2)
    assert profile([passed, event(Verb.REVOKED, "excel-1", days_ago=1)], items, NOW) == {}
    twice = [event(Verb.COMPLETED, "old-name"), event(Verb.COMPLETED, "excel-1")]
    assert profile(twice, items, NOW)["excel"].confidence == pytest.approx(0.4)


def test_applying_a_skill_without_a_level_confirms_what_was_shown_before() -> None:
    old, applied = event(Verb.COMPLETED, "excel-2", days_ago=365), event(Verb.APPLIED, "skill:excel")
    assert excel(old, applied).level == pytest.approx(4.0)
    assert excel(applied).level == pytest.approx(1.0)


def test_an_answer_confirms_and_never_shows_the_level_of_the_whole_item() -> None:
    right = event(Verb.ANSWERED, "excel-2", result=Result(success=True))
    assert excel(right).level == 1.0
    assert excel(right).confidence == pytest.approx(0.3)


def test_a_stated_level_counts_and_a_score_scales_a_test() -> None:
    assert excel(event(Verb.ATTESTED, "skill:excel", context={"level": 3.5})).level == 3.5
    assert excel(event(Verb.ATTESTED, "skill:excel", result=Result(score=0.6))).level == pytest.approx(3.0)  # a rating, of 5
    assert excel(event(Verb.PASSED, "excel-2", result=Result(score=0.75))).level == pytest.approx(3.0)  # 0.75 of 4
    assert excel(event(Verb.PASSED, "skill:excel", result=Result(score=0.75))).level == 1.0  # of what? it only confirms
    assert profile([event(Verb.PASSED, "skill:excel", context={"level": 0})], ITEMS, NOW) == {}


@pytest.mark.parametrize("level", ["5", None, True, float("nan"), float("inf"), {"of": 5}, 10**400, -1e308, 7.5])
def test_whatever_stands_in_the_context_levels_stay_within_0_and_5(level: Any) -> None:
    states = profile([event(Verb.ATTESTED, "skill:excel").model_copy(update={"context": {"level": level}})], ITEMS, NOW)
    assert all(0 <= state.level <= 5 for state in states.values())


def test_a_claim_counts_up_to_its_limit_and_an_assessment_says_the_rest() -> None:
    claim = event(Verb.KNOWN, "skill:excel", context={"level": 5})
    assert excel(claim).level == DECLARED_LEVEL
    assert excel(claim).confidence == pytest.approx(0.2)
    assert excel(claim, event(Verb.PASSED, "skill:excel", context={"level": 2})).level == 2
    more = [event(Verb.KNOWN, name) for name in ITEMS]
    assert excel(claim, *more).confidence == pytest.approx(0.2)  # claims are one source, however many


def test_watching_one_item_again_is_no_further_evidence_using_the_skill_again_is() -> None:
    again = [event(Verb.COMPLETED, "excel-1", days_ago=days) for days in (0, 5, 9)]
    assert excel(*again).confidence == pytest.approx(0.4)
    used = [event(Verb.APPLIED, "skill:excel", event_id=name) for name in "ab"]
    assert excel(*used).confidence == pytest.approx(1 - 0.15**2)


def test_retrieval_lengthens_the_half_life_more_after_a_longer_gap_and_viewing_again_does_not() -> None:
    seen = event(Verb.COMPLETED, "excel-2", days_ago=200)
    lives = [
        excel(seen, event(verb, "skill:excel", days_ago=200 - gap, context={"level": 0.1})).half_life.days
        for verb, gap in ((Verb.COMPLETED, 45), (Verb.PASSED, 0), (Verb.PASSED, 45), (Verb.PASSED, 90), (Verb.PASSED, 180))
    ]
    assert lives == [365, 365, 547, 730, 730]  # x1, x1, x1.5, x2, x2


def test_a_retrieval_carries_the_chain_before_it_too() -> None:
    spaced = [event(Verb.PASSED, "excel-1", days_ago=days) for days in (180, 90, 0)]
    assert excel(*spaced).half_life == timedelta(days=540 * 4)
    more = [event(Verb.PASSED, "excel-1", days_ago=days) for days in (900, 700, 500, 300)]
    assert excel(*spaced, *more).half_life == timedelta(days=540 * MOST)


def test_a_failure_takes_back_the_lengthening_and_never_raises_a_level() -> None:
    spaced = [event(Verb.PASSED, "excel-1", days_ago=days) for days in (300, 200)]
    failed = event(Verb.FAILED, "excel-1", days_ago=100)
    before, after = excel(*spaced), excel(*spaced, failed)
    assert (before.half_life, after.half_life) == (timedelta(days=1080), timedelta(days=540))
    assert after.level < before.level
    assert excel(*spaced, failed, event(Verb.PASSED, "excel-1", days_ago=55)).half_life == timedelta(days=810)


def test_factors_by_hand() -> None:
    assert [lengthening(days * 86_400) for days in (0, GAP_DAYS / 3, GAP_DAYS, 9 * GAP_DAYS)] == [1, pytest.approx(4 / 3), 2, 2]
    day = 86_400.0
    chain = Chain.of([60 * day, 30 * day, 30 * day], NEVER)
    assert chain.factor(0.0) == pytest.approx((4 / 3) ** 2)
    assert [chain.factor(day * at) for at in (30, 60, 99)] == [pytest.approx(4 / 3), 1, 1]
    assert Chain.of([30 * day, 60 * day], 40 * day).factor(0.0) == pytest.approx(1 + 20 / 90)


def test_a_proposed_skill_counts_with_the_confidence_of_its_proposal() -> None:
    done = [event(Verb.PASSED, "bare"), event(Verb.PASSED, "excel-1")]
    state = profile(done[:1], ITEMS, NOW, PROPOSED)["excel"]
    assert state.level == 3.0
    assert state.confidence == pytest.approx(0.7 * 0.5)
    assert profile(done[:1], ITEMS, NOW) == {}
    given_skills = {"excel-1": {"writing": Proposal(level=3, confidence=0.5)}}
    assert "writing" not in profile(done, ITEMS, NOW, given_skills)


def test_why_names_each_event_and_adds_up_to_the_profile() -> None:
    events = [
        event(Verb.COMPLETED, "excel-1", days_ago=30),
        event(Verb.COMPLETED, "excel-1", days_ago=200),
        event(Verb.PASSED, "bare", days_ago=90),
        event(Verb.FAILED, "excel-2", days_ago=300),
    ]
    state, why = explain(events, ITEMS, NOW, PROPOSED)["excel"]
    assert state == profile(events, ITEMS, NOW, PROPOSED)["excel"]
    assert max(one.level for one in why) == state.level
    assert why[0].half_life == state.half_life
    doubts = [1 - one.confidence for one in why]
    assert state.confidence == pytest.approx(1 - doubts[0] * doubts[1] * doubts[2] * doubts[3])
    assert [(one.event.event_id, one.proposed, one.confidence > 0) for one in why] == [
        ("passed-bare-90", 0.5, True),
        ("completed-excel-1-30", None, True),
        ("completed-excel-1-200", None, False),
        ("failed-excel-2-300", None, False),
    ]


def test_a_level_falls_below_an_expectation_when_it_said_it_would() -> None:
    events = [event(Verb.COMPLETED, "excel-2", days_ago=100), event(Verb.PASSED, "excel-1", days_ago=50)]
    _, why = explain(events, ITEMS, NOW)["excel"]
    at = fades_below(why, 3)
    assert at is not None
    levels = [profile(events, ITEMS, at + timedelta(hours=hours))["excel"].level for hours in (-1, 1)]
    assert levels[0] > 3 > levels[1]
    assert (fades_below(why, 5), fades_below(why, 0), fades_below(why, 1e-308)) == (None, None, None)


def test_gap_is_expected_minus_present_and_only_where_positive() -> None:
    known = profile([event(Verb.COMPLETED, "excel-1")], ITEMS, NOW)
    role = Role(id="analyst", name="Analyst", expects={"excel": 3, "analysis": 2, "writing": 0})
    assert gaps(known, role) == {"excel": pytest.approx(1.0), "analysis": pytest.approx(2.0)}
    assert gaps(known, None) == {}


def test_what_faded_since_last_week_is_no_gap_and_what_faded_in_a_month_is() -> None:
    role = Role(id="analyst", name="Analyst", expects={"excel": 2})
    last_week, last_month = (profile([event(Verb.COMPLETED, "excel-1", days_ago=days)], ITEMS, NOW) for days in (7, 30))
    assert last_week["excel"].level < 2
    assert (gaps(last_week, role), gaps(last_month, role)) == ({}, {"excel": pytest.approx(2 - 2 * 0.5 ** (30 / 365))})


POSITIVE = [*KINDS]
RESULTS = st.none() | st.builds(Result, score=st.none() | st.sampled_from([0.0, 0.3, 1.0]), success=st.none() | st.booleans())
CONTEXTS = st.sampled_from([{}, {"level": 0}, {"level": 0.5}, {"level": 2}, {"level": 5}])
DAYS = st.sampled_from([0.0, 1.0, 20.0, 45.0, 89.0, 90.0, 200.0, 1000.0])


def events_of(verbs: Sequence[Verb], name: str, most: int) -> st.SearchStrategy[list[Event]]:
    things = st.sampled_from(["excel-1", "excel-2", "skill:excel", "bare"])
    rows = st.tuples(st.sampled_from(verbs), things, DAYS, RESULTS, CONTEXTS)

    def made(rows: list[Any]) -> list[Event]:
        each = enumerate(rows)
        return [event(v, o, days_ago=d, event_id=f"{name}{n}", result=r, context=c) for n, (v, o, d, r, c) in each]

    return st.lists(rows, max_size=most).map(made)


ANY = events_of([*POSITIVE, Verb.FAILED, Verb.REVOKED, Verb.WAIVED], "e", 8)
LATER = st.sampled_from([NOW, NOW + timedelta(days=1), NOW + timedelta(days=700), NOW + timedelta(days=3000)])


@given(ANY, st.randoms(use_true_random=False))
def test_events_in_any_order_and_repeated_give_the_same_profile(events: list[Event], random: Any) -> None:
    shuffled = [*events, *events[:3]]
    random.shuffle(shuffled)
    assert profile(shuffled, ITEMS, NOW, PROPOSED) == profile(events, ITEMS, NOW, PROPOSED)


@given(ANY, events_of(POSITIVE, "more", 2), LATER)
def test_more_evidence_never_lowers_level_or_confidence(events: list[Event], more: list[Event], at: datetime) -> None:
    before = profile(events, ITEMS, at, PROPOSED)
    after = profile([*events, *more], ITEMS, at, PROPOSED)
    for skill, state in before.items():
        assert after[skill].level >= state.level - 1e-12
        assert after[skill].confidence >= state.confidence - 1e-12
        assert after[skill].evidence >= state.evidence


TIMES = st.lists(st.integers(0, 200), min_size=1, max_size=6)


@given(TIMES, TIMES, st.integers(0, 200), st.sampled_from([NEVER, 50 * 86_400.0]))
def test_more_retrievals_never_shorten_a_half_life(times: list[int], more: list[int], since: int, failed_at: float) -> None:
    fewer, all_of_them = (Chain.of([day * 86_400.0 for day in days], failed_at) for days in (times, [*times, *more]))
    assert all_of_them.factor(since * 86_400.0) >= fewer.factor(since * 86_400.0) - 1e-12


def test_an_earlier_completion_counts_where_retrieval_made_it_last_longer() -> None:
    first, second = (event(Verb.COMPLETED, "excel-1", days_ago=days, event_id=f"c{days}") for days in (200, 100))
    passed = event(Verb.PASSED, "skill:excel", days_ago=110)
    at = NOW + timedelta(days=3000)
    once, again = (profile(some, ITEMS, at)["excel"].confidence for some in ([first, passed], [first, passed, second]))
    assert again >= once


@given(ANY, events_of([Verb.FAILED, Verb.WAIVED, Verb.SHOWN, Verb.STARTED], "other", 3), LATER)
def test_failing_and_what_earns_nothing_never_raise_anything(events: list[Event], others: list[Event], at: datetime) -> None:
    before, after = (profile(some, ITEMS, at, PROPOSED) for some in (events, [*events, *others]))
    assert before.keys() == after.keys()
    assert all(after[skill].level <= state.level + 1e-12 for skill, state in before.items())
    assert all(after[skill].confidence <= state.confidence + 1e-12 for skill, state in before.items())


@given(ANY, LATER)
def test_levels_and_confidence_stay_within_their_limits(events: list[Event], at: datetime) -> None:
    for state in profile(events, ITEMS, at, PROPOSED).values():
        assert 0 <= state.level <= 5
        assert 0 <= state.confidence <= 1
        assert timedelta(days=365) <= state.half_life <= timedelta(days=730 * MOST)


@given(ANY, DAYS)
def test_what_came_after_a_moment_has_no_influence_on_it(events: list[Event], days: float) -> None:
    at = NOW - timedelta(days=days)
    past = [one for one in events if one.occurred_at <= at]
    late = [one.model_copy(update={"event_id": f"late-{one.event_id}", "recorded_at": NOW + timedelta(1)}) for one in events]
    assert profile([*events, *late], ITEMS, at, PROPOSED) == profile(past, ITEMS, at, PROPOSED)


@given(ANY)
def test_revoking_everything_gives_the_empty_profile(events: list[Event]) -> None:
    things = {one.object_id for one in events}
    assert profile([*events, *(event(Verb.REVOKED, thing) for thing in things)], ITEMS, NOW, PROPOSED) == {}


def test_the_worked_example_of_the_documentation() -> None:
    items = {
        "course": Item(id="course", title="Course", skills={"spreadsheets": 3}),
        "check": Item(id="check", title="Check", skills={"spreadsheets": 4}),
    }
    events = [
        event(Verb.COMPLETED, "course", days_ago=180),
        event(Verb.PASSED, "check", days_ago=90, result=Result(score=0.9)),
        event(Verb.APPLIED, "skill:spreadsheets", days_ago=45),
    ]
    state, why = explain(events, items, NOW)["spreadsheets"]
    at = fades_below(why, 3)
    assert at is not None
    shown = [[one.event.verb, f"{one.shown:.1f}", f"{one.half_life.days}"] for one in reversed(why)]
    now = [[f"{one.level / one.shown:.4f}", f"{one.level:.3f}", f"{one.confidence:.3f}"] for one in reversed(why)]
    page = (Path(__file__).parents[2] / "docs" / "skills.md").read_text("utf-8")
    table = [
        line.strip("| ").split(" | ")
        for line in page.splitlines()
        if line.startswith(("| completed | 1", "| passed,", "| applied |"))
    ]
    said = [[row[0].split(",")[0], row[2].split(",")[0], row[3].split("= ")[1]] for row in table]
    assert said == [["completed", "3.0", "1095"], ["passed", "3.6", "1620"], ["applied", "3.6", "2190"]] == shown
    assert [row[4:] for row in table] == now
    assert f"Level {state.level:.3f}, confidence" in page
    assert f"= {state.confidence:.3f}. A role that expects 3 is met for another {(at - NOW).days} days" in page
    for verb, kind in KINDS.items():
        assert any(verb in line and f"| {kind.confidence:g} | {kind.half_life_days:g} |" in line for line in page.splitlines())
