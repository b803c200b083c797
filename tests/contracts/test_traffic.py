"""Who came, and when first: what an experiment's traffic is counted from, on SQLite and on PostgreSQL."""

from datetime import UTC, datetime, timedelta

from features.decisions import Decision, Randomisation
from features.events import Event
from features.nudges import Arm, Channel, Nudge
from features.store import EventStore, TenantSession

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def decided(who: str, at: datetime, nudge: Nudge | None = None, tenant: str = "acme") -> Decision:
    chance = Randomisation(epsilon=0, seed=1, support=1)
    body = {"decision_id": f"{who} {at} {nudge is None}", "tenant": tenant, "learner_id": who, "decided_at": at, "bundle": "b"}
    kind = "ranking" if nudge is None else "nudge"
    return Decision.model_validate({**body, "policy": "p", "randomisation": chance, "kind": kind, "nudge": nudge})


def happened(who: str, verb: str, at: datetime) -> Event:
    said = {"tenant": "acme", "learner_id": who, "verb": verb, "object_id": "excel", "occurred_at": at, "recorded_at": at}
    return Event.model_validate({"event_id": f"{who} {verb} {at}", **said})


def test_the_first_ranking_and_the_first_nudge_within_a_time(store: EventStore, acme: TenantSession) -> None:
    nudge = Nudge(arm=Arm.APPLY, channel=Channel.SLACK, propensity=1, offered={Arm.APPLY: 1}, item_id="excel", reason="now")
    acme.record([decided("ann", NOON + DAY), decided("ann", NOON), decided("bob", NOON + 2 * DAY, nudge)])
    acme.record([decided("old", NOON - DAY), decided("late", NOON + 3 * DAY)])
    store.tenant("other").record([decided("else", NOON, tenant="other")])
    within = NOON, NOON + 3 * DAY
    assert acme.first_decided(*within, nudges=False) == {"ann": NOON}
    assert acme.first_decided(*within, nudges=True) == {"bob": NOON + 2 * DAY}


def test_the_first_and_the_last_time_that_something_was_taken_up(acme: TenantSession) -> None:
    acme.append([happened("ann", "started", NOON + DAY), happened("ann", "completed", NOON), happened("bob", "shown", NOON)])
    acme.append([happened("old", "started", NOON - DAY), happened("ann", "passed", NOON + 2 * DAY)])
    acme.void([f"ann passed {NOON + 2 * DAY}"], by="taken back", at=NOON + 2 * DAY)
    assert acme.first_taken_up(NOON, NOON + 3 * DAY) == {"ann": NOON}
    assert acme.last_taken_up(at=NOON + 3 * DAY) == NOON + DAY
    assert acme.last_taken_up(at=NOON + DAY / 2) == NOON
    assert acme.last_taken_up(at=NOON - 9 * DAY) is None
