"""Each metric on a tiny organisation whose answer is counted by hand, through a real store and its lake."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from experiments.metrics.catalogue import METRICS, MetricError, metric
from experiments.metrics.rows import before, rows
from experiments.metrics.source import Source, open_source
from experiments.outcomes.tables import empty
from features import lake
from features.catalogue import Item, Learner, Role, Skill
from features.decisions import Decision, Randomisation, Row, SlateItem
from features.events import Event, Result
from features.nudges import Choice, NudgeChoice
from features.store import EventStore, TenantSession

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""The first exposure of everybody."""
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
Rows = list[tuple[str, float, float]]
Ask = Callable[..., Rows]


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[TenantSession]:
    opened = EventStore.open(f"sqlite:///{tmp_path}/events.db")
    session = opened.tenant("acme")
    items = [
        Item(id="calls", title="Calm calls", skills={"listening": 3}),
        Item(id="data", title="Reading data", skills={"analysis": 2}, aliases=("old-data",)),
        Item(id="safe", title="Fire safety"),
    ]
    session.put([*items, Skill(id="listening", name="Listening"), Skill(id="analysis", name="Analysis")], at=START - 400 * DAY)
    people = [Learner(id="ann", aliases=("ann@acme.example",), role_id="agent"), Learner(id="bob", role_id="agent")]
    session.put([Role(id="agent", name="Agent", expects={"listening": 3, "analysis": 2}), *people], at=START - 400 * DAY)
    yield session
    opened.close()


def happened(session: TenantSession, verb: str, thing: str, after: timedelta, who: str = "ann", **more: Any) -> None:
    """Something that occurred so long after the first exposure."""
    at = START + after
    said = {"tenant": "acme", "learner_id": who, "verb": verb, "object_id": thing, "occurred_at": at, "recorded_at": at}
    event_id = f"{who} {verb} {thing} {after}"
    assert session.append([Event.model_validate({"event_id": event_id, **said, **more})]).accepted == 1


def decided(session: TenantSession, name: str, after: timedelta, who: str = "ann", items: tuple[str, ...] = ("calls",)) -> None:
    slate = tuple(SlateItem(item_id=item, position=n, score=1, propensity=1, source="x") for n, item in enumerate(items))
    body = {"decision_id": name, "tenant": "acme", "learner_id": who, "decided_at": START + after, "bundle": "b", "policy": "p"}
    more = {"randomisation": Randomisation(epsilon=0, seed=1, support=1), "rows": (Row(title="For you", items=slate),)}
    session.record([Decision.model_validate({**body, **more})])


def source_of(session: TenantSession, folder: Path, until: timedelta) -> Source:
    lake.materialize(session, folder)
    return replace(open_source(empty(), folder, "acme"), until=(START + until).replace(tzinfo=None))


@pytest.fixture
def ask(acme: TenantSession, tmp_path: Path) -> Ask:
    """(unit, value, days since the first exposure) of a metric, of ann and bob, who were exposed together."""

    def ask(name: str, *, until: timedelta = 100 * DAY, find: Any = rows, **more: Any) -> Rows:
        source = source_of(acme, tmp_path / "lake", until)
        units = {"unit": ["ann", "bob"], "learner": ["ann", "bob"], "at": [START.replace(tzinfo=None)] * 2}
        exposures = source.backend.create_table("exposures", pa.table(units))
        found = source.backend.to_pyarrow(find(metric(name), source, exposures, **more)).to_pylist()
        return sorted((row["unit"], row["value"], _days(row["at"])) for row in found)

    return ask


def _days(at: datetime) -> float:
    return round((at.replace(tzinfo=UTC) - START) / DAY, 3)


def test_completion_counts_each_item_that_a_decision_led_to_once(acme: TenantSession, ask: Ask) -> None:
    decided(acme, "d1", 0 * DAY)
    happened(acme, "completed", "calls", 2 * DAY, decision_id="d1")
    happened(acme, "passed", "calls", 3 * DAY, decision_id="d1")  # again: it counts once
    happened(acme, "shown", "data", 1 * DAY, decision_id="d1")
    happened(acme, "completed", "old-data", 4 * DAY)  # without the id, but what it showed before; by an alias of the item
    happened(acme, "completed", "safe", 5 * DAY)  # found elsewhere
    happened(acme, "completed", "safe", 6 * DAY, decision_id="of another experiment")
    assert ask("completion") == [("ann", 1.0, 2.0), ("ann", 1.0, 4.0)]


def test_what_was_shown_to_somebody_else_or_afterwards_leads_to_nothing(acme: TenantSession, ask: Ask) -> None:
    decided(acme, "d1", 0 * DAY)
    happened(acme, "shown", "calls", 3 * DAY, decision_id="d1")
    happened(acme, "completed", "calls", 2 * DAY)  # before it was shown
    happened(acme, "completed", "calls", 2 * DAY, who="bob", decision_id="d1")  # ann's decision
    assert ask("completion") == []


def test_any_completion_counts_wherever_it_was_found_within_28_days(acme: TenantSession, ask: Ask) -> None:
    happened(acme, "completed", "safe", -HOUR)
    happened(acme, "completed", "data", 0 * DAY)
    happened(acme, "completed", "calls", 28 * DAY - HOUR, who="bob")
    happened(acme, "completed", "safe", 28 * DAY, who="bob")  # the window is half-open
    happened(acme, "started", "safe", 1 * DAY)
    assert ask("any_completion") == [("ann", 1.0, 0.0), ("bob", 1.0, 27.958)]


def test_backfill_is_never_an_outcome_and_tells_of_before(acme: TenantSession, ask: Ask) -> None:
    happened(acme, "completed", "data", 2 * DAY, backfill=True)
    happened(acme, "completed", "safe", -2 * DAY, backfill=True)
    assert ask("any_completion") == []
    assert ask("any_completion", find=before) == [("ann", 1.0, -2.0)]
    assert ask("any_completion", backfill=True) == [("ann", 1.0, 2.0)]


def test_what_was_voided_is_gone_and_an_alias_is_the_learner(acme: TenantSession, ask: Ask) -> None:
    happened(acme, "completed", "data", 2 * DAY, who="ann@acme.example")
    assert ask("any_completion") == [("ann", 1.0, 2.0)]
    acme.void(["ann@acme.example completed data 2 days, 0:00:00"], by="test", at=START + 3 * DAY)
    assert ask("any_completion") == []


def test_assessed_skill_counts_skills_tested_directly_or_by_an_item(acme: TenantSession, ask: Ask) -> None:
    happened(acme, "passed", "calls", 1 * DAY)
    happened(acme, "passed", "skill:listening", 2 * DAY)  # the same skill
    happened(acme, "passed", "safe", 3 * DAY)  # teaches nothing
    happened(acme, "passed", "data", 4 * DAY, result=Result(success=False))
    happened(acme, "endorsed", "skill:analysis", 5 * DAY, who="bob")
    happened(acme, "completed", "data", 6 * DAY)  # is no test
    assert ask("assessed_skill") == [("ann", 1.0, 1.0), ("bob", 1.0, 5.0)]


def test_applied_skill_counts_evidence_from_work_unless_it_was_revoked(acme: TenantSession, ask: Ask) -> None:
    happened(acme, "applied", "calls", 1 * DAY)
    happened(acme, "attested", "skill:analysis", 2 * DAY)
    happened(acme, "applied", "skill:analysis", 3 * DAY, who="bob")
    happened(acme, "revoked", "skill:analysis", 4 * DAY, who="bob")
    happened(acme, "passed", "calls", 5 * DAY, who="bob")
    assert ask("applied_skill") == [("ann", 1.0, 1.0), ("ann", 1.0, 2.0)]


def test_a_gap_is_closed_when_the_level_of_the_role_is_reached_for_the_first_time(acme: TenantSession, ask: Ask) -> None:
    happened(acme, "passed", "calls", 1 * DAY, result=Result(score=0.9))  # 0.9 of 3 is below the 3 that the role expects
    happened(acme, "attested", "skill:listening", 2 * DAY, context={"level": 3})
    happened(acme, "applied", "skill:listening", 3 * DAY, context={"level": 4})  # closed already
    happened(acme, "endorsed", "skill:analysis", 4 * DAY, result=Result(score=0.5))  # 2.5 of 5: enough for 2
    happened(acme, "attested", "skill:analysis", -9 * DAY, who="bob", context={"level": 2})  # there was no gap
    happened(acme, "passed", "data", 1 * DAY, who="bob")
    happened(acme, "passed", "skill:listening", 2 * DAY, who="bob")  # states no level
    assert ask("gap_closed") == [("ann", 1.0, 2.0), ("ann", 1.0, 4.0)]


def test_return_7d_is_known_when_the_week_is_over(acme: TenantSession, ask: Ask) -> None:
    happened(acme, "started", "safe", 25 * HOUR)
    happened(acme, "started", "safe", 23 * HOUR, who="bob")  # the same visit
    happened(acme, "shown", "safe", 3 * DAY, who="bob")  # what a host does
    happened(acme, "started", "data", 7 * DAY, who="bob")
    assert ask("return_7d") == [("ann", 1.0, 7.0), ("bob", 0.0, 7.0)]
    assert ask("return_7d", until=7 * DAY - HOUR) == []


def test_time_to_first_useful_is_14_where_nothing_was(acme: TenantSession, ask: Ask) -> None:
    happened(acme, "completed", "safe", 1 * DAY)  # neither recommended nor used
    decided(acme, "d1", 2 * DAY, items=("calls", "data"))
    happened(acme, "completed", "old-data", 3 * DAY)  # it stood in the slate
    assert ask("time_to_first_useful") == [("ann", 3.0, 14.0), ("bob", 14.0, 14.0)]


def test_what_later_evidence_used_was_useful(acme: TenantSession, ask: Ask) -> None:
    happened(acme, "completed", "calls", 2 * DAY)
    happened(acme, "completed", "data", 1 * DAY)
    happened(acme, "applied", "skill:listening", 5 * DAY)
    happened(acme, "completed", "calls", 3 * DAY, who="bob")
    happened(acme, "applied", "skill:listening", 2 * DAY, who="bob")  # known before it was learnt
    assert ask("time_to_first_useful") == [("ann", 2.0, 14.0), ("bob", 14.0, 14.0)]


def test_dismissals_count_each_that_a_decision_showed(acme: TenantSession, ask: Ask) -> None:
    decided(acme, "d1", 0 * DAY)
    happened(acme, "dismissed", "calls", 1 * DAY, decision_id="d1")
    happened(acme, "dismissed", "calls", 2 * DAY, decision_id="d1")
    happened(acme, "dismissed", "data", 3 * DAY)
    assert ask("dismissals") == [("ann", 1.0, 1.0), ("ann", 1.0, 2.0)]


def test_opt_outs_count_who_stops_once_and_no_snooze(acme: TenantSession, ask: Ask) -> None:
    for n, (who, choice) in enumerate([("ann", "stop"), ("ann", "resume"), ("ann", "stop"), ("bob", "snooze")]):
        at = START + (n + 1) * DAY
        said = {"action_id": f"a{n}", "learner_id": who, "choice": Choice(choice), "occurred_at": at, "recorded_at": at}
        acme.choose_nudges(NudgeChoice.model_validate({**said, "until": at + DAY if choice == "snooze" else None}))
    assert ask("opt_outs") == [("ann", 1.0, 1.0)]


def test_decisions_are_counted(acme: TenantSession, ask: Ask) -> None:
    for n in range(3):
        decided(acme, f"d{n}", (20 * n - 1) * DAY)
    assert ask("decisions") == [("ann", 1.0, 19.0)]
    assert ask("decisions", find=before) == [("ann", 1.0, -1.0)]


def test_before_is_the_equally_long_time_up_to_the_exposure(acme: TenantSession, ask: Ask) -> None:
    happened(acme, "started", "safe", -(6 * DAY) - HOUR)  # within a day of what is taken for an exposure then
    happened(acme, "started", "safe", -(7 * DAY) - HOUR, who="bob")
    assert ask("return_7d", find=before) == [("ann", 0.0, 0.0), ("bob", 0.0, 0.0)]
    happened(acme, "started", "data", -2 * DAY)
    assert ask("return_7d", find=before) == [("ann", 1.0, 0.0), ("bob", 0.0, 0.0)]


def test_an_unknown_metric_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        MetricError, match=r"metric 'clicks' is not defined; there are completion, any_completion, assessed_skill"
    ):
        metric("clicks")


@pytest.mark.parametrize("name", METRICS)
def test_nothing_happened_is_no_error(ask: Ask, name: str) -> None:
    assert all(value in (0.0, 14.0) for _, value, _ in ask(name))
