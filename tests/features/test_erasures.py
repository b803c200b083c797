"""Erased, and then yesterday's backup comes back: nobody does with it, on either database."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from features import lake
from features.backup import back_up, restore
from features.catalogue import Assignment, Learner
from features.cli import app
from features.decisions import Decision, Randomisation
from features.erasures import erasures_of, write_erasures
from features.events import Event, Verb
from features.store import EventStore, TenantSession
from features.store.tables import METADATA
from features.store.wall import across
from features.xapi.intake import check, take_in
from features.xapi.mentions import NOBODY_ID

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ANN = "https://lms.example|ann"
AGENT = {"account": {"homePage": "https://lms.example", "name": "ann"}}


@pytest.fixture
def store(store_url: str) -> Iterator[EventStore]:
    opened = EventStore.open(store_url)
    yield opened
    opened.close()


@pytest.fixture
def second_url(request: pytest.FixtureRequest, store_url: str, tmp_path: Path) -> str:
    """Another empty database of the same kind."""
    if store_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path}/second.db"
    url: str = request.getfixturevalue("another_postgresql_url")
    return url


@pytest.fixture
def acme(store: EventStore) -> TenantSession:
    return store.tenant("acme")


def said(n: int, at: datetime) -> dict[str, object]:
    verb, thing = {"id": "http://adlnet.gov/expapi/verbs/completed"}, {"id": f"https://lms.example/{n}"}
    name = f"00000000-0000-0000-0000-{n:012}"
    return {"id": name, "actor": AGENT, "verb": verb, "object": thing, "timestamp": at.isoformat()}


def receive(session: TenantSession, *bodies: dict[str, object], at: datetime) -> tuple[int, int]:
    given = check(bodies, compat=False)
    intake = take_in(given, tenant="acme", now=at, known=lambda _: False, authority="key", compat=False)
    done = session.receive(intake)
    return len(done.new), done.suppressed


def event(name: str, learner: str, at: datetime = NOON) -> Event:
    body = {"tenant": "acme", "learner_id": learner, "verb": Verb.STARTED, "object_id": "excel"}
    return Event.model_validate({**body, "event_id": name, "occurred_at": at, "recorded_at": at})


def decision(name: str, learner: str) -> Decision:
    chance = Randomisation(epsilon=0.1, seed=7, support=3)
    return Decision(
        decision_id=name, tenant="acme", learner_id=learner, decided_at=NOON, bundle="b", policy="p", randomisation=chance
    )


def everything(url: str) -> str:
    opened = EventStore.open(url)
    with across(opened.engine).connect() as connection:
        found = json.dumps([[list(row) for row in connection.execute(sa.select(table))] for table in METADATA.sorted_tables])
    opened.close()
    return found


OLD = [said(n, NOON + timedelta(minutes=n)) for n in range(200)]


def test_erased_then_200_old_statements_replayed_and_yesterdays_backup_restored(
    acme: TenantSession, store_url: str, second_url: str, tmp_path: Path
) -> None:
    acme.put([Learner(id="ann", aliases=(ANN,)), Learner(id="bob", manager_id="ann")], at=NOON)
    acme.append([event("b1", "bob")])
    assert receive(acme, *OLD, at=NOON + DAY) == (200, 0)
    acme.record([decision("d1", "ann"), decision("d2", "bob")])
    lake.materialize(acme, tmp_path / "lake")
    back_up(store_url, tmp_path / "yesterday.gz")

    erased = acme.erase("ann", at=NOON + 2 * DAY)
    assert (erased.events, erased.statements, erased.decisions) == (200, 200, 1)
    assert receive(acme, *OLD, at=NOON + 3 * DAY) == (0, 200)
    restore(tmp_path / "yesterday.gz", second_url, erasures=erasures_of(store_url))

    restored = EventStore.open(second_url)
    session = restored.tenant("acme")
    assert receive(session, *OLD, at=NOON + 3 * DAY) == (0, 200)
    session.record([decision("d1", "ann")])  # it waited in a spool
    lake.materialize(session, tmp_path / "lake")
    assert [one.event_id for one in session.history("bob")] == ["b1"]
    restored.close()
    left = everything(second_url)
    assert "lms.example" not in left
    assert '\\"ann\\"' not in left
    assert '"ann"' not in left
    assert lake.read_events(tmp_path / "lake", "acme")["learner_id"].to_pylist() == ["bob"]
    assert set(lake.learners(tmp_path / "lake", "acme")) == {"bob"}

    opened = EventStore.open(second_url)
    assert receive(opened.tenant("acme"), said(999, NOON + 4 * DAY), at=NOON + 4 * DAY) == (1, 0)
    assert [one.object_id for one in opened.tenant("acme").history(ANN)] == ["https://lms.example/999"]
    opened.close()


def test_without_the_erasures_a_backup_brings_everybody_back_and_the_command_says_so(
    acme: TenantSession, store_url: str, tmp_path: Path
) -> None:
    acme.append([event("a1", "ann"), event("b1", "bob")])
    back_up(store_url, tmp_path / "yesterday.gz")
    acme.erase("ann", at=NOON + DAY)
    bare, clean = (f"sqlite:///{tmp_path}/{name}.db" for name in ("bare", "clean"))
    done = CliRunner().invoke(app, ["restore", str(tmp_path / "yesterday.gz"), "--store", bare])
    assert done.exit_code == 0
    assert "Warning: learners who were erased after this backup" in done.stderr
    assert "--erasures" in done.stderr
    assert '"ann"' in everything(bare)
    file = tmp_path / "kept" / "erasures.json"
    told = CliRunner().invoke(app, ["erasures", str(file), "--store", store_url])
    assert (told.exit_code, told.stdout) == (0, f"1 erased names of 1 tenants written to {file}\n")
    done = CliRunner().invoke(app, ["restore", str(tmp_path / "yesterday.gz"), "--store", clean, "--erasures", str(file)])
    assert (done.exit_code, done.stderr.strip()) == (0, "")
    assert '"ann"' not in everything(clean)
    assert erasures_of(clean) == erasures_of(store_url)


def test_what_came_after_an_erasure_that_the_backup_knows_stays(
    acme: TenantSession, store_url: str, second_url: str, tmp_path: Path
) -> None:
    acme.append([event("a1", "ann")])
    acme.erase("ann", at=NOON + DAY)
    acme.append([event("a2", "ann", NOON + 2 * DAY)])
    back_up(store_url, tmp_path / "later.gz")
    acme.erase("bob", at=NOON + 3 * DAY)
    restore(tmp_path / "later.gz", second_url, erasures=erasures_of(store_url))
    opened = EventStore.open(second_url)
    assert [one.event_id for one in opened.tenant("acme").history("ann")] == ["a2"]
    opened.close()
    acme.erase("ann", at=NOON + 4 * DAY)  # once more, and now a2 is old as well
    again = f"sqlite:///{tmp_path}/again.db"
    restore(tmp_path / "later.gz", again, erasures=erasures_of(store_url))
    assert '"ann"' not in everything(again)


def test_a_name_that_only_others_mention_is_forgotten_too(
    acme: TenantSession, store_url: str, second_url: str, tmp_path: Path
) -> None:
    acme.put([Learner(id="bob", manager_id="ann"), Assignment(id="duty", item_id="excel", learner_id="ann")], at=NOON)
    taught = {"actor": {"mbox": "mailto:bob@acme.example"}, "context": {"instructor": AGENT}}
    receive(acme, said(1, NOON) | taught, at=NOON)
    back_up(store_url, tmp_path / "yesterday.gz")
    for name in ("ann", ANN):
        acme.erase(name, at=NOON + DAY)
    restore(tmp_path / "yesterday.gz", second_url, erasures=erasures_of(store_url))
    assert '\\"ann\\"' not in everything(second_url)


def test_who_only_vouched_for_others_is_forgotten_too(
    acme: TenantSession, store_url: str, second_url: str, tmp_path: Path
) -> None:
    attested = event("b1", "bob").model_copy(update={"verb": Verb.ATTESTED, "context": {"kind": "attested", "by": "ann"}})
    acme.append([attested, event("b2", "bob")])
    back_up(store_url, tmp_path / "yesterday.gz")
    acme.erase("ann", at=NOON + DAY)
    restore(tmp_path / "yesterday.gz", second_url, erasures=erasures_of(store_url))
    assert '\\"ann\\"' not in everything(second_url)
    opened = EventStore.open(second_url)
    session = opened.tenant("acme")
    assert {one.event_id: one.context for one in session.history("bob")} == {
        **{"b1": {"kind": "attested", "by": NOBODY_ID}, "b2": {}}
    }
    assert session.append([attested]).outcomes == ("duplicate",)
    assert session.append([event("b3", "bob")]).outcomes == ("accepted",)  # its number is a new one
    opened.close()


def test_one_tenants_backup_takes_that_tenants_erasures(
    store: EventStore, store_url: str, second_url: str, tmp_path: Path
) -> None:
    for tenant in ("acme", "other"):
        store.tenant(tenant).put([Learner(id="ann")], at=NOON)
    back_up(store_url, tmp_path / "acme.gz", tenant="acme")
    for tenant in ("acme", "other"):
        store.tenant(tenant).erase("ann", at=NOON + DAY)
    restore(tmp_path / "acme.gz", second_url, erasures=erasures_of(store_url))
    assert list(erasures_of(second_url).keys) == ["acme"]


def test_erasures_of_another_store_restore_nothing(
    acme: TenantSession, store_url: str, second_url: str, tmp_path: Path
) -> None:
    acme.erase("ann", at=NOON)
    back_up(store_url, tmp_path / "backup.gz")
    foreign = EventStore.open(f"sqlite:///{tmp_path}/foreign.db")
    foreign.tenant("acme").erase("bob", at=NOON)
    foreign.close()
    with pytest.raises(ValueError, match="those of another store"):
        restore(tmp_path / "backup.gz", second_url, erasures=erasures_of(f"sqlite:///{tmp_path}/foreign.db"))
    opened = EventStore.open(second_url)
    assert opened.tenant("acme").last_erasure() == 0
    opened.close()


@pytest.mark.parametrize(
    "text", ["", "{}", '{"format": 2, "keys": {}, "erasures": []}', '{"keys": {"acme": "x"}, "erasures": []}']
)
def test_what_is_no_list_of_erasures_is_refused_before_anything_is_restored(text: str, tmp_path: Path) -> None:
    (tmp_path / "erasures.json").write_text(text)
    with pytest.raises(ValueError, match="no file of erasures"):
        erasures_of(str(tmp_path / "erasures.json"))


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither a file of erasures nor the URL of a store"):
        erasures_of(str(tmp_path / "none.json"))
    with pytest.raises(ValueError, match="there is no store"):
        erasures_of(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(ValueError, match="there is no store"):
        write_erasures(f"sqlite:///{tmp_path}/none.db", tmp_path / "out.json")
    assert list(tmp_path.iterdir()) == []


def test_the_commands_for_one_learner(acme: TenantSession, store_url: str) -> None:
    acme.append([event("a1", "ann"), event("b1", "bob")])
    of = ["ann", "--tenant", "acme", "--store", store_url]
    shown = CliRunner().invoke(app, ["export-learner", *of])
    assert (shown.exit_code, [one["event_id"] for one in json.loads(shown.stdout)["events"]]) == (0, ["a1"])
    done = CliRunner().invoke(app, ["erase", *of])
    assert (done.exit_code, done.stdout[:18]) == (0, "Erased: 1 events, ")
    gone = CliRunner().invoke(app, ["export-learner", *of])
    assert (gone.exit_code, gone.stderr) == (1, "Error: nothing is stored of 'ann' in tenant acme\n")
    again = CliRunner().invoke(app, ["erase", *of, "--json"])
    assert set(json.loads(again.stdout).values()) == {0}
