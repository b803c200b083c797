"""The service from a host's side: three learners' rows, why and why not, an urgent push, what was finished, nudges."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import urlopen

from rich.console import Console
from rich.markup import escape

from features.catalogue import Learner
from features.events import INTERACTION_VERBS
from features.store import EventStore, TenantSession
from serving.demo.host import DemoError, Host
from serving.demo.pushes import nudges, push
from serving.settings import Settings
from training.bundle import BundleError, bundle_folder, load_bundle, read_pointer

_SEARCHED = 300
_WHY_NOT = ("prerequisites", "in_progress", "finished", "other_audience")
"""Rules of which one is shown at work."""


def run(url: str, settings: Settings, *, wait_s: float, console: Console) -> None:
    """The whole demo, printed to `console`. Raises DemoError."""
    tenant = settings.dev_tenant
    try:
        name = read_pointer(settings.bundles, tenant).bundle
        catalogue = load_bundle(bundle_folder(settings.bundles, tenant, name), verify=False).catalogue
    except BundleError as error:
        raise DemoError(str(error)) from error
    host = Host(url, settings.dev_key, catalogue)
    _wait(url, wait_s, console)
    store = EventStore.open(settings.store)
    try:
        learners = _three(store.tenant(tenant))
        others = _active(store.tenant(tenant))
    finally:
        store.close()
    answers = [_show(host, learner, console) for learner in learners]
    _why(host, learners[0], answers[0], console)
    _next_answer(host, learners[0], answers[0], console)
    shown = [item["item_id"] for row in answers[0]["rows"] for item in row["items"]]
    push(host, learners[0], shown, console)
    nudges(host, [*learners, *others], console)
    console.print(
        f"\nPreview        {url}/preview/{quote(learners[0].id, safe='')} (the key as password)"
        f"\nAPI reference  {url}/docs\nMetrics        {url}/metrics\nMLflow         make mlflow, then http://127.0.0.1:5000"
    )


def _wait(url: str, wait_s: float, console: Console) -> None:
    until, said = time.monotonic() + wait_s, "no answer"
    with console.status("Waiting for the service"):
        while True:
            try:
                urlopen(f"{url}/readyz", timeout=5).close()
                return
            except HTTPError as error:
                said = error.read().decode()
            except (URLError, OSError) as error:
                said = str(error)
            if time.monotonic() > until:
                raise DemoError(f"{url}/readyz is not ready after {wait_s:g} s: {said}")
            time.sleep(0.2)


def _three(session: TenantSession) -> list[Learner]:
    """Two learners of different audiences with a history, and one without, as far as there are such."""
    active = _active(session)
    if not active:
        raise DemoError(f"the store holds no active learner of tenant {session.tenant}; run python -m features ingest")
    warm: dict[str, Learner] = {}
    cold: Learner | None = None
    for learner in islice(active, _SEARCHED):
        taken = sum(event.verb in INTERACTION_VERBS for event in session.history(learner.id))
        audience = learner.audiences[0] if learner.audiences else ""
        if taken >= 5 and learner.role_id is not None:
            warm.setdefault(audience, learner)
        if taken == 0:
            cold = cold or learner
    chosen = [*list(warm.values())[: 2 if cold else 3], *([cold] if cold else [])]
    return chosen or active[:3]


def _active(session: TenantSession) -> list[Learner]:
    return [learner for learner in session.learners().values() if learner.status == "active" and learner.personalisation]


def _show(host: Host, learner: Learner, console: Console) -> dict[str, Any]:
    answer = host.recommend(learner)
    role = host.catalogue.roles.get(learner.role_id or "")
    about = ", ".join(filter(None, [role.name if role else None, *learner.audiences[:1]]))
    console.print(f"\n[bold]What should {escape(learner.id)} learn next?[/bold] ({escape(about)})")
    _print_rows(host, answer, console)
    return answer


def _print_rows(host: Host, answer: Mapping[str, Any], console: Console) -> None:
    for row in answer["rows"]:
        console.print(f"  [cyan]{escape(row['title'])}[/cyan]")
        for item in row["items"]:
            console.print(f"    {item['position'] + 1}. {escape(host.title(item['item_id']))}")
            for reason in item["reasons"]:
                console.print(f"       [dim]{escape(reason)}[/dim]")


def _why(host: Host, learner: Learner, answer: Mapping[str, Any], console: Console) -> None:
    """Why the first item is there, and why two others of the catalogue are not."""
    decision = host.get(f"/v1/decisions/{answer['decision_id']}")
    shown = [item["item_id"] for row in decision["rows"] for item in row["items"]]
    removed = [decision["removed"][rule][0] for rule in _WHY_NOT if rule in decision["removed"]]
    gone = {*shown, *(item_id for ids in decision["removed"].values() for item_id in ids)}
    left = [item_id for item_id in host.catalogue.items if item_id not in gone]
    asked = {"learner_id": learner.id, "decision_id": answer["decision_id"]}
    told = host.post("/v1/explain", {**asked, "items": [*shown[:1], *removed[:1], *left[:1]]})
    for item in told["items"]:
        why = "Why" if item["outcome"] == "shown" else "Why not"
        console.print(f"\n[bold]{why} {escape(item['title'] or item['item_id'])}?[/bold]\n  {escape(item['why'])}")
        if item["change"]:
            console.print(f"  [dim]{escape(item['change'])}[/dim]")


def _next_answer(host: Host, learner: Learner, before: Mapping[str, Any], console: Console) -> None:
    """Finish the first item, then show what the next answer no longer, and newly, holds."""
    items = [item for row in before["rows"] for item in row["items"]]
    if not items:
        return
    done, at = items[0]["item_id"], datetime.now(UTC)
    event = {"event_id": f"demo-{before['decision_id']}", "learner_id": learner.id, "verb": "completed", "object_id": done}
    sent = {**event, "occurred_at": at.isoformat(), "decision_id": before["decision_id"]}
    host.post("/v1/events", sent)
    console.print(f"\n[bold]{escape(learner.id)} completes[/bold] {escape(host.title(done))}; [bold]the next answer:[/bold]")
    after = host.recommend(learner)
    _print_rows(host, after, console)
    shown = {item["item_id"] for row in after["rows"] for item in row["items"]}
    fresh = [item_id for item_id in shown if item_id not in {item["item_id"] for item in items}]
    gone = "still there" if done in shown else "gone"
    console.print(f"  The completed item is {gone}; {len(fresh)} of {len(shown)} items are new.")
