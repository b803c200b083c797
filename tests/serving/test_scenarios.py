"""What happens in organisations, through the real store and the real ranking path, day by day."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from acme import ITEMS, KEY, SKILLS, TENANT, publish
from starlette.testclient import TestClient

from features.catalogue import Assignment, Item, Learner, Role, Spell
from features.store import EventStore
from serving import service
from serving.runtime import Runtime
from serving.settings import Settings

SAFETY = (
    Item(id="safety", title="Fire safety", valid_for="P1Y", skills={"listening": 1}),
    Item(id="forklift-1", title="Forklift"),
    Item(
        id="forklift-2",
        title="Forklift, renewed",
        version="2",
        replaces="forklift-1",
        equivalent_to=("forklift-1",),
        equivalent_for=("office",),
    ),
)
CLERK = Role(id="clerk", name="Clerk", expects={"analysis": 4})
AGENT = Role(id="agent", name="Agent", expects={"listening": 3})


class Days:
    """A service whose clock is set by hand, in days of one year."""

    def __init__(self, client: TestClient, now: list[datetime]) -> None:
        self.client, self._now = client, now

    def at(self, day: str) -> "Days":
        self._now[0] = datetime.fromisoformat(f"{day}T12:00:00+00:00")
        return self

    def put(self, row: Learner | Assignment) -> None:
        path = f"/v1/{type(row).__name__.lower()}s"
        answer = self.client.put(path, json=row.model_dump(mode="json", exclude_defaults=True))
        assert answer.status_code == 200, answer.text

    def did(self, learner: str, verb: str, item: str) -> None:
        now = self._now[0].isoformat()
        body = {"event_id": f"{learner} {verb} {item} {now}", "learner_id": learner, "verb": verb, "object_id": item}
        assert self.client.post("/v1/events", json=body | {"occurred_at": now}).json()["accepted"] == 1

    def rule(self, learner: str, item: str) -> str:
        """The rule that keeps an item from a learner; `shown` where none does."""
        answer = self.client.post("/v1/rank", json={"learner_id": learner, "candidates": [item]}).json()
        shown = [one["item_id"] for row in answer["rows"] for one in row["items"]]
        return "shown" if shown == [item] else next(iter(answer["removed"]))

    def duties(self, learner: str) -> list[tuple[str, str, str | None, bool]]:
        """(assignment, state, day it is due, whether its time stands still)."""
        found = self.client.get(f"/v1/learners/{learner}/duties").json()["duties"]
        return [(one["assignment_id"], one["state"], one["due_at"] and one["due_at"][:10], one["paused"]) for one in found]

    def gaps(self, learner: str) -> tuple[str | None, set[str]]:
        found = self.client.get(f"/v1/learners/{learner}/gaps").json()
        return found["role"], {one["skill"] for one in found["gaps"]}


@pytest.fixture
def days(settings: Settings, tmp_path: Path) -> Iterator[Days]:
    publish(settings.bundles, items=(*ITEMS[:3], *SAFETY), roles=(CLERK, AGENT))
    opened = EventStore.open(settings.store)
    opened.tenant(TENANT).put([*ITEMS[:3], *SAFETY, *SKILLS, CLERK, AGENT], at=datetime(2025, 1, 1, tzinfo=UTC))
    now = [datetime(2025, 1, 1, tzinfo=UTC)]
    service.pages.runtime = Runtime(settings, clock=lambda: now[0])
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as client:
        yield Days(client, now)
    opened.close()


def midnight(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T00:00:00+00:00")


def test_re_hired_with_the_same_id_in_another_role(days: Days) -> None:
    first = Spell(since=midnight("2025-01-01"), until=midnight("2025-06-01"))
    days.at("2025-01-02").put(Learner(id="ann", role_id="agent", audiences=("drivers",), spells=(first,)))
    days.put(Assignment(id="drive", item_id="forklift-1", audience="drivers", due_at=midnight("2025-03-01")))
    days.at("2025-02-01").did("ann", "completed", "data")
    assert days.gaps("ann") == ("agent", {"listening"})
    assert days.duties("ann") == [("drive", "open", "2025-03-01", False)]
    days.at("2025-07-01")
    assert (days.rule("ann", "calm"), days.duties("ann")) == ("learner_ended", [])

    again = (first, Spell(since=midnight("2025-09-01")))
    days.at("2025-09-02").put(Learner(id="ann", role_id="clerk", audiences=("office",), spells=again))
    assert days.rule("ann", "data") == "finished"  # what was learned then counts
    assert days.rule("ann", "more") == "shown"  # and opens what needs it
    assert days.gaps("ann") == ("clerk", {"analysis"})  # the old role asks for nothing any more
    assert days.duties("ann") == []
    then = days.client.get("/v1/learners/ann/gaps", params={"at": "2025-02-02T00:00:00Z"}).json()
    assert then["role"] == "agent"


def test_a_mandatory_course_valid_for_a_year_is_due_again(days: Days) -> None:
    days.at("2025-01-10").put(Learner(id="ann", audiences=("office",)))
    days.put(Assignment(id="fire", item_id="safety", audience="office", due_at=midnight("2025-02-01")))
    assert (days.rule("ann", "safety"), days.duties("ann")) == ("shown", [("fire", "open", "2025-02-01", False)])
    days.at("2025-01-20").did("ann", "completed", "safety")
    assert (days.rule("ann", "safety"), days.duties("ann")) == ("finished", [("fire", "done", "2026-01-20", False)])
    days.at("2026-01-20")
    assert (days.rule("ann", "safety"), days.duties("ann")) == ("shown", [("fire", "overdue", "2026-01-20", False)])
    days.at("2026-01-21").did("ann", "passed", "safety")
    assert (days.rule("ann", "safety"), days.duties("ann")) == ("finished", [("fire", "done", "2027-01-21", False)])


def test_a_new_version_is_equivalent_for_office_staff_and_not_for_drivers(days: Days) -> None:
    days.at("2025-01-10")
    for who in ("office", "drivers"):
        days.put(Learner(id=f"of {who}", audiences=(who,)))
        days.did(f"of {who}", "completed", "forklift-1")
        days.put(Assignment(id=f"for {who}", item_id="forklift-2", audience=who, due_at=midnight("2025-03-01")))
    days.at("2025-04-01")
    assert days.rule("of office", "forklift-2") == "finished"
    assert days.rule("of drivers", "forklift-2") == "shown"
    assert [days.rule(f"of {who}", "forklift-1") for who in ("office", "drivers")] == ["replaced", "replaced"]
    assert days.duties("of office") == [("for office", "done", None, False)]
    assert days.duties("of drivers") == [("for drivers", "overdue", "2025-03-01", False)]
    assert days.rule("somebody unknown", "forklift-2") == "shown"


@pytest.mark.parametrize("pause", [True, False])
def test_a_contractor_on_leave_with_a_deadline(days: Days, pause: bool) -> None:
    here = Learner(id="con", audiences=("contractors",))
    away = here.model_copy(update={"status": "leave"})
    duty = Assignment(id="fire", item_id="safety", audience="contractors", due_at=midnight("2025-03-01"), pause_on_leave=pause)
    days.at("2025-01-31").put(here)
    days.put(duty)
    days.at("2025-02-10").put(away)
    days.at("2025-02-12").put(away.model_copy(update={"org_unit": "moved meanwhile"}))
    days.at("2025-03-15")
    assert days.duties("con") == [("fire", "open", "2025-04-03", True) if pause else ("fire", "overdue", "2025-03-01", False)]
    days.at("2025-03-20").put(here)  # back after 38 days
    assert days.duties("con") == [("fire", "open", "2025-04-08", False) if pause else ("fire", "overdue", "2025-03-01", False)]
    days.at("2025-04-09")
    assert days.duties("con")[0][1] == "overdue"
    days.did("con", "completed", "safety")
    assert days.duties("con") == [("fire", "done", "2026-04-09", False)]


def test_a_duty_is_asked_of_one_learner_by_any_of_their_ids(days: Days) -> None:
    days.at("2025-01-10").put(Learner(id="ann", aliases=("a-1",)))
    days.put(Assignment(id="hers", item_id="safety", learner_id="a-1", mandatory=False))
    days.put(Assignment(id="his", item_id="safety", learner_id="bob", due_at=midnight("2025-02-01")))
    assert days.duties("ann") == days.duties("a-1") == [("hers", "open", None, False)]
    days.client.post("/v1/learners/bob/merge", json={"into": "ann"})
    assert days.duties("bob") == days.duties("ann") == [("his", "open", "2025-02-01", False), ("hers", "open", None, False)]
    days.client.delete("/v1/assignments/hers")
    days.at("2025-01-11")
    assert days.duties("ann") == [("his", "open", "2025-02-01", False)]


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [("nobody/duties", 404, "learner_id"), ("ann/duties?at=2025-03-01T00:00:00Z", 400, "at"), ("ann/duties?x=1", 400, "x")],
)
def test_what_cannot_be_asked_is_a_problem(days: Days, path: str, status: int, field: str) -> None:
    days.at("2025-01-10").put(Learner(id="ann"))
    answer: Any = days.client.get(f"/v1/learners/{path}")
    assert (answer.status_code, answer.json()["field"]) == (status, field)
