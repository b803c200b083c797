"""What learners choose about nudges and what was said to them, as every store keeps it."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from pydantic import ValidationError

from features.catalogue import Learner
from features.decisions import Decision, Randomisation
from features.nudges import Arm, Channel, Choice, Nudge, NudgeChoice
from features.store import EventStore, TenantSession

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)


def chosen(action: str, choice: Choice = Choice.STOP, learner: str = "ann", at: datetime = NOON) -> NudgeChoice:
    until = at + HOUR if choice is Choice.SNOOZE else None
    times = {"until": until, "occurred_at": at, "recorded_at": at}
    return NudgeChoice(action_id=action, learner_id=learner, choice=choice, **times)  # type: ignore[arg-type]


def nudge(name: str, arm: Arm = Arm.QUEST, learner: str = "ann", at: datetime = NOON) -> Decision:
    said = Nudge(arm=arm, channel=Channel.SLACK, propensity=1, offered={arm: 1}, item_id="excel", reason="a reason")
    chance = Randomisation(epsilon=0, seed=7, support=1)
    facts = {"bundle": "b", "policy": "p", "randomisation": chance, "kind": "nudge", "nudge": said}
    return Decision(decision_id=name, tenant="acme", learner_id=learner, decided_at=at, **facts)  # type: ignore[arg-type]


def actions(session: TenantSession, learner: str = "ann", at: datetime | None = None) -> list[str]:
    return [one.action_id for one in session.nudge_choices(learner, at=at)]


def test_a_choice_is_given_back_as_it_was_stored(acme: TenantSession) -> None:
    given = [
        chosen("a", Choice.SNOOZE),
        chosen("b", Choice.STOP, at=NOON + HOUR),
        chosen("c", Choice.RESUME, at=NOON + 2 * HOUR),
    ]
    assert [acme.choose_nudges(one) for one in reversed(given)] == ["accepted"] * 3
    assert acme.nudge_choices("ann") == given
    assert actions(acme, at=NOON + HOUR) == ["a", "b"]
    assert actions(acme, "bob") == []


def test_the_same_choice_sent_again_is_stored_once_and_the_first_one_holds(acme: TenantSession) -> None:
    outcomes = [acme.choose_nudges(chosen("a", choice)) for choice in (Choice.STOP, Choice.STOP, Choice.RESUME)]
    assert outcomes == ["accepted", "duplicate", "duplicate"]
    assert acme.nudge_choices("ann") == [chosen("a")]


def test_choices_are_a_persons_whichever_of_their_names_they_were_made_under(acme: TenantSession) -> None:
    acme.put([Learner(id="ann", aliases=("a-1",))], at=NOON)
    acme.choose_nudges(chosen("a", learner="a-1"))
    acme.choose_nudges(chosen("z", learner="zoe", at=NOON + HOUR))
    assert actions(acme) == actions(acme, "a-1") == ["a"]
    acme.merge("zoe", "ann", occurred_at=NOON, at=NOON)
    assert actions(acme) == actions(acme, "zoe") == ["a", "z"]


def test_another_tenant_has_other_choices_under_the_same_ids(store: EventStore, acme: TenantSession) -> None:
    acme.choose_nudges(chosen("a"))
    other = store.tenant("other")
    assert actions(other) == []
    assert other.choose_nudges(chosen("a", Choice.RESUME)) == "accepted"
    assert [one.choice for one in acme.nudge_choices("ann")] == [Choice.STOP]


def test_a_snooze_ends_and_nothing_else_does() -> None:
    with pytest.raises(ValidationError, match="a snooze needs the moment"):
        NudgeChoice(action_id="a", learner_id="ann", choice=Choice.SNOOZE, occurred_at=NOON, recorded_at=NOON)
    with pytest.raises(ValidationError, match="a snooze needs the moment"):
        NudgeChoice(action_id="a", learner_id="ann", choice=Choice.STOP, until=NOON, occurred_at=NOON, recorded_at=NOON)


def test_choices_are_exported_and_erased_and_do_not_come_back(acme: TenantSession) -> None:
    acme.choose_nudges(chosen("a"))
    acme.choose_nudges(chosen("b", learner="bob"))
    found = acme.export("ann")
    assert found is not None
    assert [one["action_id"] for one in found["nudge_choices"]] == ["a"]
    assert acme.erase("ann", at=NOON + HOUR).nudge_choices == 1
    assert acme.choose_nudges(chosen("a")) == "suppressed"
    assert (actions(acme), actions(acme, "bob"), acme.export("ann")) == ([], ["b"], None)
    assert acme.choose_nudges(chosen("c", at=NOON + 2 * HOUR)) == "accepted"


def test_only_nudges_that_spoke_count_and_only_those_since(acme: TenantSession) -> None:
    acme.put([Learner(id="ann", aliases=("a-1",))], at=NOON)
    ranked = nudge("r").model_copy(update={"kind": "ranking", "nudge": None})
    late = nudge("late", learner="a-1", at=NOON + HOUR)
    acme.record([late, nudge("first"), nudge("silent", Arm.NOTHING), ranked, nudge("his", learner="bob")])
    assert acme.nudges("ann", since=NOON - HOUR) == [nudge("first"), late]
    assert acme.nudges("a-1", since=NOON) == [late]
    assert acme.decision("first") == nudge("first")


def test_of_many_that_decide_at_once_each_knows_those_before(store_url: str) -> None:
    """Two processes would be two stores: each has connections of its own."""
    stores = [EventStore.open(store_url) for _ in range(4)]
    stores[0].tenant("acme").choose_nudges(chosen("a", Choice.RESUME))
    start = Barrier(len(stores))

    def ask(n: int) -> int:
        start.wait(10)

        def decide(choices: Sequence[NudgeChoice], said: Sequence[Decision]) -> Decision:
            assert [one.action_id for one in choices] == ["a"]
            seen.append(len(said))
            return nudge(f"d{n}", Arm.QUEST if len(said) < 2 else Arm.NOTHING, at=NOON - n * HOUR)

        seen: list[int] = []
        stores[n].tenant("acme").nudge("ann", decide, since=NOON - WEEK)
        return seen[0]

    with ThreadPoolExecutor(len(stores)) as pool:
        seen = sorted(pool.map(ask, range(len(stores))))
    assert seen == [0, 1, 2, 2]
    assert len(stores[0].tenant("acme").nudges("ann", since=NOON - WEEK)) == 2
    assert len(list(stores[0].tenant("acme").decisions())) == 4
    for one in stores:
        one.close()
