"""A company of six items and three learners: small enough to know every answer."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from features.catalogue import Catalogue, Item, ItemType, Learner, Role, Skill
from features.events import Event, Verb
from features.interactions import Histories, Interactions
from features.proposals import Proposals
from features.vocabulary import Vocabulary
from training.bundle import Pointer, Provenance, write_bundle, write_pointer
from training.models.popularity import Popularity

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TENANT = "acme"
KEY = {"Authorization": "Bearer test-key"}
CUSTOMERS = "customer-care"

ITEMS = (
    Item(id="calm", title="Calm calls", skills={"listening": 3}, duration_s=600, languages=("en",)),
    Item(id="data", title="Reading data", skills={"analysis": 2}, duration_s=1800, type=ItemType.VIDEO),
    Item(id="more", title="More data", skills={"analysis": 4}, duration_s=1800, prerequisites=("data",)),
    Item(id="safe", title="Fire safety", valid_for="P1Y", duration_s=900),
    Item(id="lead", title="Leading well", audiences=("leaders",), duration_s=900),
    Item(id="soon", title="Coming soon", available_from=NOW + timedelta(days=1)),
)
SKILLS = (Skill(id="listening", name="Listening"), Skill(id="analysis", name="Analysis"))
ROLE = Role(id="agent", name="Agent", expects={"listening": 3, "analysis": 2})
LEARNERS = (
    Learner(id="ana", audiences=(CUSTOMERS,), role_id="agent"),
    Learner(id="ben", audiences=("leaders",)),
    Learner(id="off", audiences=(CUSTOMERS,), personalisation=False),
)
TAKEN = ((0, 1), (0, 3), (0, 1, 2), (0,), (4,))
"""Histories of the training table: calm 4, data 2, more 1, safe 1, lead 1, soon 0."""


class Clock:
    """It stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def event(learner: str, verb: Verb | str, thing: str, *, at: datetime = NOW - timedelta(days=2), **more: Any) -> Event:
    """An event recorded as it occurred."""
    event_id = more.pop("event_id", f"{learner}-{verb}-{thing}-{at.isoformat()}")
    fields = {"recorded_at": at, **more}
    return Event(tenant=TENANT, event_id=event_id, learner_id=learner, verb=verb, object_id=thing, occurred_at=at, **fields)


def publish(
    bundles: Path,
    *,
    tenant: str = TENANT,
    items: tuple[Item, ...] = ITEMS,
    recipe: Mapping[str, Any] | None = None,
    previous: str | None = None,
    proposals: Proposals | None = None,
    roles: tuple[Role, ...] = (ROLE,),
    retrain_by: date | None = None,
) -> Path:
    """Fit popularity on `TAKEN`, write the bundle and point to it."""
    histories = Histories.of(TAKEN, len(items), at=[[np.datetime64("2026-01-01")] * len(row) for row in TAKEN])
    interactions = Interactions.of_histories(histories)
    folder = write_bundle(
        bundles / tenant,
        tenant=tenant,
        model=Popularity().fit(interactions, rng=np.random.default_rng(0)),
        vocabulary=Vocabulary([item.id for item in items]),
        catalogue=Catalogue({i.id: i for i in items}, {s.id: s for s in SKILLS}, {role.id: role for role in roles}),
        audiences=(CUSTOMERS, "leaders"),
        population={"popularity": interactions.item_counts().astype(np.float32)},
        provenance=Provenance(recipe=dict(recipe or {}), data_digest="d", split_digest="s", data_until=NOW),
        proposals=proposals,
        retrain_by=retrain_by,
    )
    write_pointer(bundles, tenant, Pointer(bundle=folder.name, previous=previous))
    return folder
