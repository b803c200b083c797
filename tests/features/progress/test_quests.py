"""Quests: what the role expects as four steps, and which of them is next."""

from datetime import UTC, datetime, timedelta
from typing import Any

from features.catalogue import Item, Role
from features.events import Event, Verb
from features.progress.quests import Quest, Step, quests
from features.skills import explain

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ITEMS = {"excel": Item(id="excel", title="Tables", skills={"sheets": 3})}
ROLE = Role(id="clerk", name="Clerk", expects={"sheets": 3, "words": 2})


def did(verb: Verb, thing: str, days_ago: float = 2, **context: Any) -> Event:
    at = NOW - timedelta(days=days_ago)
    fields = {"tenant": "demo", "event_id": f"{verb}-{thing}-{days_ago}", "learner_id": "ann", "verb": verb, "object_id": thing}
    return Event.model_validate({**fields, "occurred_at": at, "recorded_at": at, "context": context})


def seen(*events: Event, role: Role | None = ROLE) -> list[Quest]:
    return quests(explain(events, ITEMS, NOW), role, frozenset({"ann"}))


def step(*events: Event) -> Step | None:
    return next((one.next for one in seen(*events) if one.skill == "sheets"), None)


def test_the_largest_gap_comes_first_and_what_is_closed_goes_on() -> None:
    assert [(one.skill, one.gap, one.next) for one in seen()] == [("sheets", 3, Step.LEARN), ("words", 2, Step.LEARN)]
    closed = seen(did(Verb.COMPLETED, "excel"))
    assert [(one.skill, one.next) for one in closed] == [("words", Step.LEARN), ("sheets", Step.ASSESS)]
    assert closed[1].done == {Step.LEARN: did(Verb.COMPLETED, "excel")}
    assert seen(role=None) == []


def test_the_steps_are_learned_assessed_applied_and_taught() -> None:
    passed, used = did(Verb.PASSED, "excel"), did(Verb.APPLIED, "skill:sheets", 1)
    own, taught = (
        did(Verb.KNOWN, "skill:sheets", 1, kind="follow_up", used="yes"),
        did(Verb.ENDORSED, "skill:sheets", 1, kind="helped", by="mia"),
    )
    assert step(passed) is Step.APPLY
    assert step(passed, own) is Step.APPLY  # one's own word is no step
    assert step(passed, used) is Step.TEACH
    assert step(passed, used, taught) is None
    assert step(passed, did(Verb.APPLIED, "skill:sheets", 1, by="ann")) is Step.APPLY


def test_what_has_faded_has_to_be_learned_again() -> None:
    assert step(did(Verb.PASSED, "excel", 400)) is Step.LEARN
