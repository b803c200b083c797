"""A granted item from the command to a ranking, and away again with the next request after the grant is revoked."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from acme import ITEMS, NOW, SKILLS, TENANT
from starlette.testclient import TestClient
from typer.testing import CliRunner

from features.catalogue import Item
from features.decisions import Decision
from features.lake import catalogue, materialize
from features.store import EventStore
from serving.cli import app
from serving.payloads import RankRequest
from serving.pipeline import HISTORY_UNAVAILABLE, rank
from serving.policy import Policy, load_policy
from serving.prepared import prepare
from serving.replay import replay
from serving.runtime import Runtime
from serving.settings import Settings
from training.bundle import bundle_folder, load_bundle, read_pointer
from training.inputs import read_table
from training.start import begin

OTHER = "other"
OWN = Item(id="own", title="Their own")
BEFORE = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def granted(store_url: str, settings: Settings, tmp_path: Path) -> Settings:
    """Another tenant with one item, and two of acme's; its first bundle is published."""
    opened = EventStore.open(store_url)
    opened.tenant(TENANT).put([*ITEMS, *SKILLS], at=BEFORE)
    opened.tenant(OTHER).put([OWN], at=BEFORE)
    opened.grants().add(TENANT, OTHER, at=BEFORE, items=["calm", "data"])
    materialize(opened.tenant(OTHER), tmp_path / "lake")
    table, *_ = read_table(tmp_path / "lake", OTHER, lambda step: None)
    begin(table, settings.bundles)
    opened.close()
    return settings.model_copy(update={"store": store_url})


def decided(settings: Settings, *works: Callable[[EventStore], object]) -> list[Decision]:
    """A ranking after each of these, by one running service."""
    opened, found = EventStore.open(settings.store), list[Decision]()

    async def serve() -> None:
        runtime = Runtime(settings, clock=lambda: NOW)
        await runtime.start()
        try:
            for work in works:
                work(opened)
                request = RankRequest(learner_id="bob", candidates=("own", "calm", "data", "safe"))
                found.append(await runtime.decide(OTHER, request))
        finally:
            await runtime.stop()

    try:
        asyncio.run(serve())
    finally:
        opened.close()
    return found


def shown(decision: Decision) -> set[str]:
    return {item.item_id for item in decision.slate}


def test_the_lake_and_the_bundle_hold_what_is_granted(granted: Settings, tmp_path: Path) -> None:
    found = catalogue(tmp_path / "lake", OTHER)
    assert {item.id: item.granted_by for item in found.items.values()} == {"calm": TENANT, "data": TENANT, "own": None}
    assert (sorted(found.skills), found.roles) == (["analysis", "listening"], {})
    bundle = load_bundle(bundle_folder(granted.bundles, OTHER, read_pointer(granted.bundles, OTHER).bundle))
    assert bundle.catalogue.digest == found.digest


def test_a_granted_item_is_ranked_until_the_request_after_its_grant_ends(granted: Settings) -> None:
    def revoke(store: EventStore) -> None:
        (grant,) = store.grants().listed()
        store.grants().revoke(grant.grant_id, at=NOW)

    def grant_one(store: EventStore) -> None:
        store.grants().add(TENANT, OTHER, at=NOW, items=["data"])

    first, revoked, again = decided(granted, lambda store: None, revoke, grant_one)
    assert (shown(first), first.removed) == ({"own", "calm", "data"}, {"unknown_item": ("safe",)})
    assert (shown(revoked), sorted(revoked.removed["not_granted"])) == ({"own"}, ["calm", "data"])
    assert (shown(again), again.removed["not_granted"]) == ({"own", "data"}, ("calm",))


def test_a_decision_is_replayed_with_the_grants_of_its_time(granted: Settings) -> None:
    (logged,) = decided(granted, lambda store: None)
    opened = EventStore.open(granted.store)
    opened.grants().revoke(1, at=NOW + timedelta(seconds=1))
    stock = prepare(load_bundle(bundle_folder(granted.bundles, OTHER, logged.bundle)))
    replayed = replay(opened.tenant(OTHER), stock, load_policy(granted.policy), logged)
    assert (replayed.slate, replayed.removed) == (logged.slate, logged.removed)
    opened.close()


def test_where_grants_cannot_be_read_nothing_granted_is_shown(granted: Settings) -> None:
    stock = prepare(load_bundle(bundle_folder(granted.bundles, OTHER, read_pointer(granted.bundles, OTHER).bundle)))
    request = RankRequest(learner_id="bob", candidates=("own", "calm"))
    found = rank(stock, request, None, (), at=NOW, decision_id="d", policy=Policy(), fallback=HISTORY_UNAVAILABLE)
    assert (shown(found), found.removed) == ({"own"}, {"not_granted": ("calm",)})


def test_over_http_it_is_marked_and_cannot_be_changed(client: TestClient, store: EventStore) -> None:
    store.tenant("lender").put([Item(id="lent", title="Lent", audiences=("theirs",))], at=BEFORE)
    store.grants().add("lender", TENANT, at=BEFORE)
    row = client.get("/v1/items/lent").json()
    assert (row["granted_by"], row["audiences"]) == ("lender", [])
    for answer in (client.put("/v1/items", json={"id": "lent", "title": "Mine"}), client.delete("/v1/items/lent")):
        assert (answer.status_code, answer.json()["detail"].partition(" and ")[0]) == (
            409,
            "item 'lent' is granted by tenant lender",
        )
    answer = client.put("/v1/items", json={"id": "new", "title": "Mine", "granted_by": "lender"})
    assert (answer.status_code, answer.json()["field"]) == (400, "granted_by")
    assert store.tenant("lender").catalogue().items["lent"].title == "Lent"


def run(url: str, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["grants", *arguments, "--store", url])
    assert result.exit_code == code, result.output
    return result.output


def test_grants_are_given_listed_and_taken_by_commands(store: EventStore, settings: Settings) -> None:
    url = settings.store
    assert "There is no grant" in run(url, "list")
    said = run(url, "add", "--from", TENANT, "--to", OTHER, "--item", "calm", "--item", "nothing")
    assert f"Grant 1: {OTHER} may use calm, nothing of {TENANT}, 1 items now." in said
    run(url, "add", "--from", TENANT, "--to", OTHER, "--provider", "Linked")
    run(url, "add", "--from", TENANT, "--to", "third", "--all")
    found = json.loads(run(url, "list", "--tenant", OTHER, "--json"))
    assert [(one["from"], one["to"], one["provider"], one["items"], one["until"]) for one in found] == [
        (TENANT, OTHER, None, ["calm", "nothing"], None),
        (TENANT, OTHER, "Linked", None, None),
    ]
    assert f"Grant 3 (all items of {TENANT} to third) is revoked." in run(url, "revoke", "3")
    assert "had ended already" in run(url, "revoke", "3")
    assert "no grant has the number 9" in run(url, "revoke", "9", code=1)
    lines = run(url, "list").splitlines()
    assert [line.split()[0] for line in lines] == ["grant", "1", "2", "3"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", OTHER), "say what is granted"),
        (("--to", OTHER, "--all", "--provider", "Linked"), "say what is granted"),
        (("--to", TENANT, "--all"), "has its own catalogue"),
        (("--to", "No Tenant", "--all"), "is not a tenant"),
    ],
)
def test_what_cannot_be_granted_is_said(store: EventStore, settings: Settings, words: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(app, ["grants", "add", "--from", TENANT, *words, "--store", settings.store])
    assert (result.exit_code != 0, said in result.output) == (True, True)
    assert store.grants().listed() == []
