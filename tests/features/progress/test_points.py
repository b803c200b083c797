"""Points: each rule by hand, and what always holds: volume and imports earn nothing, and order of arrival changes nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import Item
from features.events import Event, Verb
from features.progress.applied import Applied, People
from features.progress.points import Points, points, week_of
from features.progress.settings import ProgressSettings
from features.skills import explain

NOW = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
ITEMS = {
    "excel": Item(id="excel", title="Tables", skills={"sheets": 2}),
    "both": Item(id="both", title="Pivot tables", skills={"sheets": 4, "analysis": 2}),
}
NO_CAP = ProgressSettings(weekly_cap=1_000)


def did(verb: Verb, thing: str, days_ago: float, **more: Any) -> Event:
    at = NOW - timedelta(days=days_ago)
    name = more.pop("event_id", f"{verb}-{thing}-{days_ago}-{more}")[:250]
    fields = {"tenant": "demo", "event_id": name, "learner_id": "ann", "verb": verb, "object_id": thing}
    return Event.model_validate({**fields, "occurred_at": at, "recorded_at": at, **more})


def used(days_ago: float, **context: Any) -> Event:
    return did(Verb.APPLIED, "skill:sheets", days_ago, context={"kind": "used_in_work", "source": "crm:1", **context})


def attested(days_ago: float, by: str = "mia", **more: Any) -> Event:
    return did(Verb.ATTESTED, "skill:sheets", days_ago, context={"kind": "attested", "by": by}, **more)


def said(days_ago: float) -> Event:
    return did(Verb.KNOWN, "skill:sheets", days_ago, context={"kind": "follow_up", "used": "yes"})


def earned(*events: Event, settings: ProgressSettings = NO_CAP, people: People = People(frozenset({"ann"}))) -> Points:  # noqa: B008
    behind = {skill: why for skill, (_, why) in explain(events, ITEMS, NOW).items()}
    return points(behind, settings, people, NOW, UTC)


def test_what_is_passed_is_pending_until_it_is_applied() -> None:
    passed = did(Verb.PASSED, "excel", 30)
    waiting = earned(passed)
    (pending,) = waiting.pending
    assert (waiting.total, pending.points, pending.event, pending.until) == (0, 10, passed, NOW + timedelta(days=60))
    vested = earned(passed, attested(10))
    (award,) = vested.awards
    assert (vested.total, award.learned, award.learned_by, vested.pending) == (20, 10, passed, ())
    assert award.event == attested(10)


def test_what_is_not_applied_within_the_window_lapses() -> None:
    assert earned(did(Verb.PASSED, "excel", 91)).pending == ()
    assert earned(did(Verb.PASSED, "excel", 100), attested(10)).total == 20
    assert earned(did(Verb.PASSED, "excel", 101), attested(10)).total == 10
    assert earned(did(Verb.PASSED, "excel", 5), attested(10)).total == 10  # applied before it was learned
    again = earned(did(Verb.PASSED, "excel", 101), did(Verb.PASSED, "excel", 60), attested(10))
    assert again.total == 20


def test_ones_own_word_is_worth_less_and_leaves_the_rest_to_a_stronger_one() -> None:
    passed = did(Verb.PASSED, "excel", 30)
    alone = earned(passed, said(20))
    assert (alone.total, alone.pending[0].points) == (5, 7.5)
    assert earned(passed, said(20), attested(10)).total == 5 + 10 + 7.5
    assert earned(passed, attested(20), said(10)).total == 20 + 2.5
    declared = did(Verb.KNOWN, "skill:sheets", 10, context={"level": 5})  # that one can do it is not that one did it
    assert earned(passed, declared) == earned(passed)
    with pytest.raises(ValueError, match="worth less"):
        ProgressSettings(stated=0.75)


def test_a_colleagues_word_and_help_to_a_peer_count() -> None:
    peer = did(Verb.ENDORSED, "skill:sheets", 5, context={"kind": "confirmed", "by": "cem"})
    helped = did(Verb.ENDORSED, "skill:sheets", 5, context={"kind": "helped", "by": "cem"})
    assert (earned(peer).total, earned(helped).total) == (7.5, 10)
    assert [one.kind for one in earned(helped).awards] == [Applied.HELPED]


def test_the_same_voice_again_is_worth_half_and_in_the_end_nothing() -> None:
    found = earned(*(attested(days) for days in range(60, 50, -1)))
    assert [one.points for one in found.awards[::-1]] == [10, 5, 2.5, 1.25, 0.625, 0, 0, 0, 0, 0]
    assert [one.repeats for one in found.awards] == [*range(9, -1, -1)]
    assert earned(attested(9), attested(8, "zoe")).total == 20
    assert earned(used(9), used(8, source="crm:2")).total == 15  # another row of the same system
    assert earned(used(9), used(8, source="erp:2")).total == 20


def test_two_names_of_one_person_are_one_voice_and_ones_own_other_name_is_ones_own_word() -> None:
    people = People(frozenset({"ann", "ann-2"}), {"mia-2": "mia", "mia": "mia"})
    assert earned(attested(9), attested(8, "mia-2"), people=people).total == 15
    (award,) = earned(attested(9, "ann-2"), people=people).awards
    assert (award.kind, award.points) == (Applied.STATED, 2.5)


def test_two_who_attest_each_other_get_less_each_time() -> None:
    gave = {"mia": [NOW - timedelta(days=days) for days in (12, 11, 3)]}
    people = People(frozenset({"ann"}), {"mia": "mia"}, gave)
    (award,) = earned(attested(10), people=people).awards
    assert (award.points, award.given) == (2.5, 2)


def test_a_circle_of_three_is_worth_less_each_time_it_goes_round() -> None:
    def ago(*days: float) -> list[datetime]:
        return [NOW - timedelta(days=one) for one in days]

    three = People(
        frozenset({"ann"}), {"mia": "mia"}, {"mia": ago(2)}, {"mia": [(ago(14, 12), ago(13, 11)), (ago(30), ago(1))]}
    )
    rounds = [earned(attested(days), people=three).awards[0] for days in (13.5, 13, 12.5, 11, 1)]
    assert [(one.given, one.points) for one in rounds] == [(0, 10), (1, 5), (1, 5), (2, 2.5), (2, 2.5)]


def test_learning_the_same_again_is_worth_half() -> None:
    first = did(Verb.PASSED, "excel", 90), attested(80)
    found = earned(*first, did(Verb.PASSED, "excel", 30), attested(20, "zoe"))
    assert [one.learned for one in found.awards[::-1]] == [10, 5]


def test_one_event_is_worth_the_same_however_many_skills_it_has() -> None:
    found = earned(did(Verb.PASSED, "both", 20), did(Verb.APPLIED, "both", 10))
    assert (found.total, [one.skill for one in found.awards]) == (20, ["sheets", "analysis"])


def test_a_week_has_room_for_so_much() -> None:
    voices = [attested(3 + n / 100, f"v{n}") for n in range(4)]
    found = earned(*voices, attested(15, "w"), settings=ProgressSettings(weekly_cap=25))
    assert found.total == 35
    assert sorted((one.points, one.capped) for one in found.awards) == [(0, 10), (5, 5), (10, 0), (10, 0), (10, 0)]
    sunday = datetime(2026, 5, 31, 23, tzinfo=UTC)
    assert week_of(sunday, UTC) == week_of(sunday, ZoneInfo("America/Lima"))
    assert week_of(sunday, ZoneInfo("Asia/Tokyo")) - week_of(sunday, UTC) == timedelta(days=7)


def test_what_is_revoked_takes_its_points_back() -> None:
    passed = did(Verb.PASSED, "excel", 30)
    assert earned(passed, attested(10), did(Verb.REVOKED, "skill:sheets", 5)).total == 0
    assert earned(passed, attested(10), did(Verb.REVOKED, "excel", 5)).total == 10


VOLUME = (Verb.SHOWN, Verb.STARTED, Verb.PROGRESSED, Verb.COMPLETED, Verb.RATED, Verb.SAVED, Verb.SHARED, Verb.ENROLLED)
THINGS = ("excel", "both", "skill:sheets")
days = st.integers(0, 200).map(lambda n: n / 2)
telling = st.lists(
    st.one_of(
        st.builds(did, st.just(Verb.PASSED), st.sampled_from(THINGS), days),
        st.builds(used, days),
        st.builds(attested, days, st.sampled_from(("mia", "zoe"))),
        st.builds(said, days),
    ),
    max_size=12,
    unique_by=lambda event: event.event_id,
)
volume = st.lists(st.builds(did, st.sampled_from(VOLUME), st.sampled_from(THINGS), days), max_size=12)
GAVE = People(frozenset({"ann"}), {}, {"zoe": [NOW - timedelta(days=40)]})


@given(telling, volume)
def test_opens_completions_and_minutes_never_add_a_point(events: list[Event], more: list[Event]) -> None:
    assert earned(*events, *more, people=GAVE) == earned(*events, people=GAVE)


@given(telling, st.data())
def test_the_order_of_arrival_and_repetition_change_nothing(events: list[Event], data: st.DataObject) -> None:
    mixed = data.draw(st.permutations([*events, *events]))
    late = [one.model_copy(update={"recorded_at": NOW}) for one in mixed]
    assert earned(*mixed, people=GAVE) == earned(*events, people=GAVE)
    assert earned(*late, people=GAVE).total == earned(*events, people=GAVE).total


@given(telling, telling)
def test_an_import_never_adds_a_point(events: list[Event], old: list[Event]) -> None:
    imported = [
        one.model_copy(update={"event_id": f"old-{one.event_id}"[:250], "backfill": True, "recorded_at": NOW}) for one in old
    ]
    assert earned(*imported) == Points(0, (), ())
    both, alone = (earned(*given, people=GAVE) for given in ([*events, *imported], events))
    assert both.total == pytest.approx(alone.total)
    assert both.pending == alone.pending


@given(telling, telling)
def test_more_evidence_takes_no_point_away(events: list[Event], more: list[Event]) -> None:
    """Where no week is full and nobody vouches for each other."""
    names = {one.event_id for one in events}
    applied = [one for one in more if one.verb is not Verb.PASSED and one.event_id not in names]
    assert earned(*events, *applied).total >= earned(*events).total - 1e-9


def test_the_worked_example_of_the_documentation() -> None:
    story = did(Verb.PASSED, "excel", 80), said(70), attested(60), attested(30)
    watched = (did(Verb.COMPLETED, "excel", day) for day in range(20))
    found = earned(*story, *watched)
    assert [one.points for one in found.awards[::-1]] == [5, 17.5, 5]
