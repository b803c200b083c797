"""Where a learner stands: what undoes what, and how long a completion holds."""

from datetime import UTC, datetime, timedelta

import pytest
from acme import LEARNERS, NOW, event

from features.events import Verb
from serving.prepared import Prepared
from serving.standing import add_period, history_of, standing, still_valid


@pytest.mark.parametrize(
    ("start", "period", "end"),
    [
        ("2024-02-29", "P1Y", "2025-02-28"),
        ("2026-01-31", "P1M", "2026-02-28"),
        ("2026-11-15", "P2M", "2027-01-15"),
        ("2026-01-01", "P1W3D", "2026-01-11"),
        ("2026-01-01", "P1Y2M10D", "2027-03-11"),
        ("2026-01-01", "P9000Y", "9999-12-31"),
    ],
)
def test_periods_follow_the_calendar(start: str, period: str, end: str) -> None:
    at = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert add_period(at, period).date().isoformat() == end


def test_a_period_must_be_one() -> None:
    with pytest.raises(ValueError, match="P1Y"):
        add_period(NOW, "a year")


def test_a_completion_holds_for_its_period_and_is_due_after_it(stock: Prepared) -> None:
    done = {"safe": datetime(2025, 6, 2, tzinfo=UTC), "calm": datetime(2020, 1, 1, tzinfo=UTC)}
    assert still_valid(done, stock, datetime(2026, 6, 1, tzinfo=UTC), ()) == {"safe", "calm"}
    assert still_valid(done, stock, datetime(2026, 6, 2, tzinfo=UTC), ()) == {"calm"}


def test_revoking_undoes_everything_before_it(stock: Prepared) -> None:
    verbs = (Verb.COMPLETED, Verb.DISMISSED, Verb.KNOWN)
    events = [event("ana", verb, "calm") for verb in verbs] + [event("ana", Verb.REVOKED, "calm")]
    found = standing(events, stock)
    assert (found.finished, found.known, found.taken_up, found.dismissed) == ({}, {}, {}, {})


def test_withdrawing_undoes_a_start_but_no_completion(stock: Prepared) -> None:
    events = [event("ana", Verb.STARTED, "data"), event("ana", Verb.COMPLETED, "calm")]
    events += [event("ana", Verb.WITHDRAWN, thing) for thing in ("data", "calm")]
    found = standing(events, stock)
    assert set(found.finished) == {"calm"}
    assert found.in_progress() == set()


def test_starting_again_after_finishing_is_in_progress(stock: Prepared) -> None:
    events = [event("ana", Verb.COMPLETED, "calm"), event("ana", Verb.STARTED, "calm", at=NOW - timedelta(days=1))]
    assert standing(events, stock).in_progress() == {"calm"}


def test_a_history_holds_each_item_once_where_it_was_first_taken_up(stock: Prepared) -> None:
    things = ["data", "calm", "data", "unknown", "safe"]
    events = [event("ana", Verb.STARTED, thing, at=NOW - timedelta(days=9 - n)) for n, thing in enumerate(things)]
    events.append(event("ana", Verb.SHOWN, "lead"))
    found = history_of(events, stock, LEARNERS[0])
    assert [stock.ids[index] for index in found[0]] == ["data", "calm", "safe"]
    assert found.audience.tolist() == [0]
