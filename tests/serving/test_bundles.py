"""The pointer is followed; what cannot be loaded is refused and the old bundle goes on serving."""

import sys
import time
import weakref
from datetime import timedelta
from pathlib import Path

import pytest
from acme import ITEMS, KEY, NOW, TENANT, publish
from starlette.testclient import TestClient

from features.catalogue import Item
from features.decisions import Decision
from features.store import EventStore
from serving import runtime, service
from serving.bundles import Bundles
from serving.pipeline import rank
from serving.prepared import Prepared
from serving.rules import matching
from serving.runtime import Runtime
from serving.settings import Settings
from training.bundle import Pointer, read_pointer, write_pointer


def current(bundles: Bundles) -> str | None:
    stock = bundles.current(TENANT)
    return None if stock is None else stock.bundle.name


def test_a_new_bundle_replaces_the_old_which_is_kept(bundles: Path) -> None:
    served = Bundles(bundles)
    served.refresh()
    old = current(served)
    new = publish(bundles, recipe={"n": 2}).name
    served.refresh()
    assert (current(served), old) == (new, served.served[TENANT].previous.bundle.name)  # type: ignore[union-attr]
    write_pointer(bundles, TENANT, Pointer(bundle=str(old), previous=None))
    served.refresh()
    assert current(served) == old


def test_a_damaged_bundle_is_refused_and_named(bundles: Path) -> None:
    served = Bundles(bundles)
    served.refresh()
    old = current(served)
    folder = publish(bundles, recipe={"n": 2})
    array = folder / "arrays" / "counts.npy"
    array.chmod(0o644)
    array.write_bytes(array.read_bytes()[:-1] + b"\x01")
    served.refresh()
    assert current(served) == old
    assert "counts.npy" in served.refused[TENANT]
    assert publish(bundles, recipe={"n": 3}).name
    served.refresh()
    assert current(served) != old
    assert served.refused == {}


def test_a_pointer_to_nothing_or_another_tenants_bundle_is_refused(bundles: Path) -> None:
    served = Bundles(bundles)
    served.refresh()
    old = current(served)
    write_pointer(bundles, TENANT, Pointer(bundle="0" * 16, previous=None))
    served.refresh()
    assert current(served) == old
    other = publish(bundles, tenant="other")
    other.rename(bundles / TENANT / other.name)
    write_pointer(bundles, TENANT, Pointer(bundle=other.name, previous=None))
    served.refresh()
    assert current(served) == old
    assert "another tenant" in served.refused[TENANT]
    assert served.current("nobody") is None


def _damaged(bundles: Path, previous: str) -> str:
    folder = publish(bundles, recipe={"n": 2}, previous=previous)
    (folder / "arrays" / "counts.npy").unlink()
    return folder.name


def test_after_a_restart_the_previous_bundle_serves_where_the_new_one_is_refused(bundles: Path) -> None:
    old = read_pointer(bundles, TENANT).bundle
    _damaged(bundles, old)
    served = Bundles(bundles)
    served.refresh()
    assert current(served) == old
    assert "counts.npy" in served.refused[TENANT]
    new = publish(bundles, recipe={"n": 3}).name
    served.refresh()
    assert (current(served), served.refused) == (new, {})


def test_when_neither_can_be_loaded_both_are_named(bundles: Path) -> None:
    bad = _damaged(bundles, "0" * 16)
    served = Bundles(bundles)
    served.refresh()
    assert current(served) is None
    assert bad in served.refused[TENANT]
    assert "0" * 16 in served.refused[TENANT]


def test_a_refused_bundle_is_named_to_operators_and_in_the_log_and_to_nobody_else(
    settings: Settings, store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    _damaged(settings.bundles, read_pointer(settings.bundles, TENANT).bundle)
    service.pages.runtime = Runtime(settings)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as client:
        ready, metrics = client.get("/readyz"), client.get("/metrics")
    assert (ready.status_code, ready.text) == (200, "ready\n")
    assert 'nextwise_bundle_refused{tenant="acme"} 1.0' in metrics.text
    assert "counts.npy" in caplog.text


def test_a_service_that_can_load_no_bundle_says_so_and_names_no_tenant(settings: Settings, store: EventStore) -> None:
    _damaged(settings.bundles, "0" * 16)
    service.pages.runtime = Runtime(settings)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as client:
        ready = client.get("/readyz")
    assert (ready.status_code, "no bundle can be loaded" in ready.json()["detail"]) == (503, True)
    assert TENANT not in ready.json()["detail"].replace(str(settings.bundles), "")


@pytest.mark.parametrize(("days", "over"), [(0, False), (-1, True)])
def test_a_deadline_that_is_over_is_told_and_the_bundle_serves_on(
    client: TestClient, settings: Settings, days: int, over: bool
) -> None:
    day = NOW.date() + timedelta(days=days)
    publish(settings.bundles, retrain_by=day)
    service.pages.runtime.bundles.refresh()
    ready, health = client.get("/readyz"), client.get("/v1/ingest/health").json()
    assert (ready.status_code, ready.text) == (200, "ready\n")
    assert (health["retrain_by"], health["retrain_overdue"]) == (day.isoformat(), over)
    assert "nextwise_retrain_left_days" in client.get("/metrics").text


def test_the_running_service_swaps_between_requests(client: TestClient, settings: Settings) -> None:
    def ask() -> dict[str, object]:
        answer: dict[str, object] = client.post("/v1/rank", json={"learner_id": "ana", "candidates": ["fresh"]}).json()
        return answer

    assert ask()["removed"] == {"unknown_item": ["fresh"]}
    old = read_pointer(settings.bundles, TENANT).bundle
    new = publish(settings.bundles, items=(*ITEMS, Item(id="fresh", title="Fresh")), previous=old).name
    until = time.monotonic() + 5
    while ask()["bundle"] != new and time.monotonic() < until:
        time.sleep(0.05)
    assert (ask()["bundle"], ask()["removed"]) == (new, {})


def test_what_rules_look_at_is_ready_before_a_bundle_serves(bundles: Path) -> None:
    served = Bundles(bundles)
    served.refresh()
    stock = served.current(TENANT)
    assert stock is not None
    assert set(matching._LABELS[stock]["skills"]) == {"listening", "analysis"}


def test_every_long_step_of_loading_rests_now_and_then(bundles: Path) -> None:
    """It would hold up requests else: there is one interpreter lock, and often one core."""
    many = tuple(Item(id=f"item-{n}", title="Title", skills={"listening": 1.0}) for n in range(1_000))
    publish(bundles, items=many)
    steps: list[str] = []
    Bundles(bundles, rest=lambda: steps.append(sys._getframe(2).f_code.co_name)).refresh()
    assert set(steps) >= {"_file_hash", "catalogue_of", "digest", "of", "_by_name", "_scores"}
    assert steps.count("catalogue_of") > len(many) / 50


def test_the_rows_of_the_bundle_before_the_last_are_let_go_in_pieces(bundles: Path) -> None:
    steps: list[str] = []
    served = Bundles(bundles, rest=lambda: steps.append(sys._getframe(2).f_code.co_name))
    served.refresh()
    item = weakref.ref(served.served[TENANT].stock.bundle.catalogue.items["calm"])
    for number in range(2):
        assert (item() is not None, "_let_go" in steps) == (True, False)
        publish(bundles, recipe={"n": number})
        served.refresh()
    assert (item(), "_let_go" in steps) == (None, True)


def test_a_bundle_ranks_once_before_it_serves(bundles: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[tuple[str, str | None]] = []

    def first(stock: Prepared) -> None:
        seen.append((stock.bundle.name, current(served)))
        raise ValueError("as a policy may have it")

    served = Bundles(bundles, first=first)
    served.refresh()
    old, new = current(served), publish(bundles, recipe={"n": 2}).name
    served.refresh()
    assert (seen, current(served)) == ([(old, None), (new, old)], new)
    assert "the first ranking by it failed: as a policy may have it" in caplog.text


def test_the_service_ranks_once_with_a_new_bundle_for_nobody_and_records_nothing(
    settings: Settings, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Decision] = []
    monkeypatch.setattr(runtime, "rank", lambda *given, **named: made.append(rank(*given, **named)))
    Runtime(settings).bundles.refresh()
    assert [(one.learner_id, one.fallback, len(one.slate) > 0) for one in made] == [("nobody", None, True)]
    assert list(store.tenant(TENANT).decisions()) == []
