"""`GET /v1/learners/{learner_id}/progress` through the whole service, and over both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import ITEMS, LEARNERS, NOW, ROLE, SKILLS, TENANT, event
from starlette.testclient import TestClient

from features.catalogue import Skill
from features.events import Event, Verb
from features.progress.settings import ProgressSettings
from features.store import EventStore, TenantSession
from serving.nudging.settings import NudgeSettings
from serving.policy import Policy, load_policy
from serving.prepared import Prepared
from serving.progress.answer import progress_of, read
from serving.progress.payloads import ProgressAnswer

DAY = timedelta(days=1)


def did(verb: Verb, thing: str, days: float, learner: str = "ana", **more: Any) -> Event:
    return event(learner, verb, thing, at=NOW - days * DAY, **more)


def attested(days: float, by: str, learner: str = "ana", **more: Any) -> Event:
    return did(Verb.ATTESTED, "skill:listening", days, learner, context={"kind": "attested", "by": by}, **more)


def progress(client: TestClient, learner: str = "ana", **query: str) -> dict[str, Any]:
    answer = client.get(f"/v1/learners/{learner}/progress", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_it_says_which_event_vested_the_points(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([did(Verb.PASSED, "calm", 9, event_id="quiz")])
    waiting = progress(client)
    assert (waiting["points"]["total"], waiting["points"]["pending_total"]) == (0, 10)
    assert waiting["points"]["pending"][0]["event_id"] == "quiz"
    body = {"event_id": "seen", "learner_id": "ana", "skill": "listening", "kind": "attested", "by": "ben"}
    client.post("/v1/evidence", json={**body, "occurred_at": (NOW - DAY).isoformat()})
    (award,) = progress(client)["points"]["vested"]
    assert {name: award[name] for name in ("event_id", "kind", "name", "points", "learned", "learned_by")} == {
        "event_id": "seen",
        "kind": "attested",
        "name": "Listening",
        "points": 20,
        "learned": 10,
        "learned_by": "quiz",
    }
    earlier = progress(client, at=(NOW - DAY).isoformat())  # the evidence was recorded later than that
    assert (earlier["points"]["total"], earlier["points"]["pending_total"]) == (0, 10)


def test_a_quest_has_steps_and_items_for_the_next(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([did(Verb.COMPLETED, "data", 3), did(Verb.STARTED, "calm", 2)])
    first, second = progress(client)["quests"]
    assert (first["skill"], first["next"], first["gap"]) == ("listening", "learn", 3)
    assert first["items"] == [{"item_id": "calm", "title": "Calm calls", "begun": True}]
    assert (second["skill"], second["next"], second["items"]) == ("analysis", "assess", [])
    assert [one["done_by"] is not None for one in second["steps"]] == [True, False, False, False]


def test_with_personalisation_off_there_is_no_profile_and_it_says_so(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([attested(3, "ben", "off")])
    found = progress(client, "off")
    assert found["fallback"] == "personalisation_off"
    assert found["points"] is found["streak"] is found["quests"] is None


def test_somebody_never_heard_of_and_wrong_questions_are_refused(client: TestClient) -> None:
    assert client.get("/v1/learners/nobody/progress").status_code == 404
    assert client.get("/v1/learners/ana/progress", params={"limit": "3"}).json()["field"] == "limit"
    future = client.get("/v1/learners/ana/progress", params={"at": (NOW + DAY).isoformat()})
    assert (future.status_code, future.json()["field"]) == (400, "at")


@pytest.fixture
def session(store_url: str) -> Iterator[TenantSession]:
    opened = EventStore.open(store_url)
    session = opened.tenant(TENANT)
    session.put([*ITEMS, *SKILLS, ROLE, *LEARNERS], at=datetime(2025, 1, 1, tzinfo=UTC))
    yield session
    opened.close()


def told(session: TenantSession, stock: Prepared, learner: str = "ana", at: datetime = NOW) -> ProgressAnswer:
    return progress_of(*read(session, learner, at, stock), ProgressSettings(), NudgeSettings())


def total(session: TenantSession, stock: Prepared, learner: str = "ana", at: datetime = NOW) -> float:
    points = told(session, stock, learner, at).points
    assert points is not None
    return points.total


def test_what_is_voided_or_revoked_takes_its_points_back(session: TenantSession, stock: Prepared) -> None:
    session.append([did(Verb.PASSED, "calm", 9), attested(5, "ben")])
    assert total(session, stock) == 20
    session.append([did(Verb.REVOKED, "skill:listening", 1)])
    assert total(session, stock) == 0
    assert total(session, stock, at=NOW - 2 * DAY) == 20


def test_erasure_leaves_no_point_and_no_name_of_who_vouched(session: TenantSession, stock: Prepared) -> None:
    session.append([attested(5, "ben"), attested(4, "ana", "ben")])
    assert (total(session, stock), total(session, stock, "ben")) == (10, 5)
    session.erase("ana", at=NOW)
    assert told(session, stock).points == told(session, stock, "nobody").points
    assert total(session, stock, "ben") == 10  # what ana had from ben is gone, and so is who vouched


def test_merged_ids_are_one_person_as_learner_and_as_voucher(session: TenantSession, stock: Prepared) -> None:
    session.append([did(Verb.PASSED, "calm", 9, "ana-2"), attested(6, "ben"), attested(5, "ben-2"), attested(4, "ana-2")])
    apart = total(session, stock)
    session.merge("ana-2", into="ana", occurred_at=NOW - DAY, at=NOW - DAY)
    session.merge("ben-2", into="ben", occurred_at=NOW - DAY, at=NOW - DAY)
    found = told(session, stock).points
    assert found is not None
    assert [(one.kind, one.points) for one in found.vested[::-1]] == [("attested", 20), ("attested", 5), ("stated", 2.5)]
    assert (apart, found.total) == (30, 27.5)


def test_two_who_attest_each_other_get_less_each_time(session: TenantSession, stock: Prepared) -> None:
    session.append([one for days in (9, 7, 5) for one in (attested(days, "ben"), attested(days - 1, "ana", "ben"))])
    found = told(session, stock).points
    assert found is not None
    assert [(one.repeats, one.given, one.points) for one in found.vested[::-1]] == [(0, 0, 10), (1, 1, 2.5), (2, 2, 0.625)]


def test_three_who_attest_each_other_in_turn_get_less_with_each_round(session: TenantSession, stock: Prepared) -> None:
    ring = (("ben", "ana"), ("zoe", "ben"), ("ana", "zoe"))
    session.append([attested(10 * turn - place, by, learner) for turn in (3, 2, 1) for place, (learner, by) in enumerate(ring)])
    points = {name: told(session, stock, name).points for name in ("ana", "ben", "zoe")}
    given = {name: [one.given for one in found.vested[::-1]] for name, found in points.items() if found is not None}
    assert given == {"ana": [1, 2, 3], "ben": [0, 1, 2], "zoe": [0, 1, 2]}
    assert [found.total for found in points.values() if found is not None] == [5 + 1.25, 10 + 2.5 + 0.625, 10 + 2.5 + 0.625]


def test_who_passes_a_word_on_in_a_line_is_in_no_circle(session: TenantSession, stock: Prepared) -> None:
    line = [attested(9, "ana", "ben"), attested(8, "zoe", "ben"), attested(7, "zoe"), attested(6, "ben", "zoe")]
    session.append(line)
    assert total(session, stock) == 10  # ana vouched for ben, and nobody of hers for zoe by then
    session.append([attested(5, "zoe", event_id="later")])
    found = told(session, stock).points
    assert found is not None
    assert [one.given for one in found.vested] == [1, 0]


def test_evidence_of_a_skill_that_is_in_no_catalogue_earns_nothing(session: TenantSession, stock: Prepared) -> None:
    context = {"kind": "attested", "by": "ben", "level": 5}
    session.append([did(Verb.ATTESTED, "skill:juggling", 200 - days, context=context) for days in (0, 10, 180)])
    found = told(session, stock)
    assert found.points is not None
    assert found.streak is not None
    assert (found.points.total, found.points.events, found.streak.weeks, found.streak.due) == (0, 0, 0, ())
    session.put([Skill(id="juggling", name="Juggling")], at=NOW)  # no bundle has it yet
    assert total(session, stock) > 0


def test_an_import_of_three_years_gives_no_point_and_no_week(session: TenantSession, stock: Prepared) -> None:
    things = [(Verb.COMPLETED, "calm"), (Verb.PASSED, "calm"), (Verb.PASSED, "data"), (Verb.APPLIED, "skill:analysis")]
    history = [
        did(verb, thing, days, recorded_at=NOW - DAY, backfill=True) for days in range(1, 1_096, 15) for verb, thing in things
    ]
    history += [attested(days, "ben", recorded_at=NOW - DAY, backfill=True) for days in range(1, 1_096, 15)]
    session.append(history)
    found = told(session, stock)
    assert found.points is not None
    assert (found.points.total, found.points.vested, found.points.pending) == (0, (), ())
    assert found.streak is not None
    assert (found.streak.weeks, found.streak.longest, found.streak.kept, found.streak.due) == (0, 0, (), ())
    session.append([attested(0.5, "zoe")])
    assert total(session, stock) == 10  # of what happened since, and not of what the import says was learned


def test_the_policy_says_what_progress_is_worth(tmp_path: Path, session: TenantSession, stock: Prepared) -> None:
    (tmp_path / "policy.toml").write_text("[progress]\napplied = 4\n", "utf-8")
    settings = load_policy(tmp_path / "policy.toml").progress
    session.append([attested(5, "ben")])
    found = progress_of(*read(session, "ana", NOW, stock), settings, NudgeSettings())
    assert found.points is not None
    assert (found.points.total, found.settings) == (4, settings.digest)
    assert found.settings != ProgressSettings().digest
    assert Policy().digest == Policy(progress=ProgressSettings()).digest != Policy(progress=settings).digest
