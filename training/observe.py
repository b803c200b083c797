"""What drift is measured on, gathered from the lake, the store and two bundles; the comparing is `training.drift`'s."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import columns
from features.catalogue import Catalogue, canonical_json
from features.decisions import Decision
from features.events import INTERACTION_VERBS
from features.interactions import Histories
from features.lake import learners, read_events
from features.store import TenantSession
from training.bundle import Bundle
from training.drift import (
    CATALOGUE_LIMIT,
    NEWCOMER_LIMIT,
    UNKNOWN_LIMIT,
    Answers,
    DriftReport,
    Finding,
    agreement,
    factor,
    overlap,
    popularity,
    scores,
    share,
    shift,
    silent,
)
from training.estimates import Inconclusive
from training.fit import Table
from training.models.base import retrieve
from training.record import RANKS, load_ranks
from training.reissue import source_run
from training.tracking import Registry, TrackingError, Version

NOW_DAYS, BEFORE_DAYS = 28, 182
"""The last four weeks are compared with the half year before them: the same however often the champion changes."""
WINDOW = timedelta(days=14)
"""What a learner takes up so long after a slate counts as its answer."""
SAMPLE = 400
"""Histories that are scored twice."""
K = 10
ASKED, DECISIONS_READ = 1_000, 50_000
"""Slates are those of so many learners, among the newest decisions of the store: seconds of reading, however long the log."""


@dataclass(frozen=True)
class Lake:
    """Where a tenant's lake is."""

    folder: Path
    tenant: str


@dataclass(frozen=True, eq=False)
class Log:
    """Events as columns, by time. at: datetime64[us][n], the rest object[n]; `audience` by learner id."""

    at: NDArray[np.datetime64]
    learner: NDArray[np.object_]
    verb: NDArray[np.object_]
    thing: NDArray[np.object_]
    audience: Mapping[str, str]

    def where(self, keep: NDArray[np.bool_]) -> "Log":
        return Log(self.at[keep], self.learner[keep], self.verb[keep], self.thing[keep], self.audience)

    @property
    def taken(self) -> "Log":
        """Take-ups alone."""
        return self.where(np.isin(self.verb, [verb.value for verb in INTERACTION_VERBS]))


def drift(
    table: Table,
    lake: Lake,
    *,
    served: Bundle | None,
    challenger: Bundle,
    offline: Answers | Inconclusive | None,
    session: TenantSession,
) -> DriftReport:
    """Everything that can be said of a challenger's data beside what came before it, and beside the champion."""
    log = read_log(lake)
    days = f"the last {NOW_DAYS} days of the log beside the {BEFORE_DAYS} before them"
    found = [*of_population(log), *of_interactions(log, table)]
    if served is None:
        reason = "no champion to compare with"
        found += [silent(group, "all", reason) for group in ("catalogue", "scores", "agreement")]
        return DriftReport(days, tuple(found))
    found += of_catalogue(served, table.catalogue, log)
    found += of_scores(table, served, challenger)
    found += of_answers(served.name, log, session, offline or Inconclusive("the champion's ranks are not at hand"), table)
    return DriftReport(f"{days}; champion {served.name} beside challenger {challenger.name}", tuple(found))


def read_log(lake: Lake) -> Log:
    """The lake's events as columns."""
    events = read_events(lake.folder, lake.tenant)
    names = (columns.LEARNER_ID, columns.VERB, columns.OBJECT_ID)
    who, verb, thing = (np.array(events[name].to_pylist(), dtype=object) for name in names)
    audience = {row.id: row.audiences[0] if row.audiences else "none" for row in learners(lake.folder, lake.tenant).values()}
    return Log(events[columns.OCCURRED_AT].to_numpy().astype("datetime64[us]"), who, verb, thing, audience)


def windows(log: Log) -> tuple[Log, Log]:
    """(before, now) by the time of the log's last event."""
    end = log.at.max() if len(log.at) else np.datetime64("NaT", "us")
    start = end - np.timedelta64(NOW_DAYS, "D")
    now = log.at > start
    return log.where(~now & (log.at > start - np.timedelta64(BEFORE_DAYS, "D"))), log.where(now)


def of_population(log: Log) -> list[Finding]:
    """Who is active, how much, and who is new."""
    before, now = windows(log)
    active = [set(side.learner.tolist()) for side in (before, now)]
    mixes = [dict(Counter(log.audience.get(name, "unknown") for name in names)) for names in active]
    old, new = (len(side.at) / _learner_weeks(side) for side in (before, now))
    seen = set(log.where(log.at <= _start(now)).learner.tolist()) if len(now.at) else set()
    fresh = len(active[1] - seen)
    return [
        shift("population", "audiences of active learners", mixes[0], mixes[1]),
        factor("population", "activity", old, new, "events a learner in each week with any"),
        share("population", "newcomers", fresh, len(active[1]), NEWCOMER_LIMIT, "active learners were never seen before"),
    ]


def of_interactions(log: Log, table: Table) -> list[Finding]:
    """What is done, and to which items."""
    sides = windows(log)
    verbs = [dict(Counter(side.verb.tolist())) for side in sides]
    before, now = (_items(side.taken, table) for side in sides)
    return [shift("interactions", "verbs", verbs[0], verbs[1]), popularity(before, now, len(table.items))]


def of_catalogue(served: Bundle, today: Catalogue, log: Log) -> list[Finding]:
    """What the champion's catalogue does not say, and how often learners take up what it cannot score."""
    old, new = served.catalogue.items, today.items
    changed = [name for name in old.keys() & new.keys() if canonical_json(old[name]) != canonical_json(new[name])]
    detail = {"new": len(new.keys() - old.keys()), "changed": len(changed), "gone": len(old.keys() - new.keys())}
    listed = {alias: item.id for item in new.values() for alias in (item.id, *item.aliases)}
    taken = [listed[name] for name in windows(log)[1].taken.thing.tolist() if name in listed]
    unknown = sum(name not in served.vocabulary for name in taken)
    what = f"items are new ({detail['new']}), changed ({detail['changed']}) or gone ({detail['gone']})"
    return [
        share("catalogue", "items", sum(detail.values()), len(old.keys() | new.keys()), CATALOGUE_LIMIT, what, detail),
        share("catalogue", "take-ups of items the champion does not know", unknown, len(taken), UNKNOWN_LIMIT, "take-ups"),
    ]


def of_scores(table: Table, served: Bundle, challenger: Bundle) -> list[Finding]:
    """Champion and challenger on the same histories, and the champion on them as they were when it learned."""
    ids = [name for name in served.vocabulary.ids if name in challenger.vocabulary]
    if not ids:
        return [silent("scores", "all", "champion and challenger have no item in common")]
    now = sample(table)
    ours, theirs = (_scored(bundle, table, now, ids) for bundle in (served, challenger))
    best, other = ([retrieve(row, K) for row in scored] for scored in (ours, theirs))
    found = [overlap(best, other, min(K, len(ids)))]
    if served.model.kind == challenger.model.kind:
        found.append(scores("challenger beside champion", ours, theirs))
    else:
        words = f"the scores of {served.model.kind} and {challenger.model.kind} have different scales"
        found.append(silent("scores", "challenger beside champion", words))
    until = served.manifest.provenance.data_until
    name = "champion now beside when it learned"
    if until is None:
        return [*found, silent("scores", name, "its log has order but no time")]
    then = now.where(now.known_at <= np.datetime64(until.astimezone(UTC).replace(tzinfo=None), "us"))
    then = then.take(np.flatnonzero(then.lengths))
    return [*found, scores(name, _scored(served, table, then, ids), ours)]


def sample(table: Table) -> Histories:
    """The histories of up to `SAMPLE` learners, the same for the same table."""
    rows = np.flatnonzero(table.interactions.lengths)
    chosen = np.random.default_rng(0).permutation(rows)[:SAMPLE]
    return table.interactions.take(np.sort(chosen))


def of_answers(bundle: str, log: Log, session: TenantSession, offline: Answers | Inconclusive, table: Table) -> list[Finding]:
    """How the bundle's logged slates fared, beside what was measured before it was published."""
    taken = _some_learners(log.taken)
    asked = set(taken.learner.tolist())
    slates = [one for one in session.newest_decisions(DECISIONS_READ, bundle=bundle, learners=asked) if _counts_as_slate(one)]
    names = {alias: item.id for item in table.catalogue.items.values() for alias in (item.id, *item.aliases)}
    online = answers(slates, taken, lambda name: names.get(name, name))
    k = min([K, *(len(one.slate) for one in slates)])
    return [agreement(name, online, offline, max(k, 1)) for name in ("recall", "ndcg")]


def answers(slates: list[Decision], taken: Log, item_of: Callable[[str], str]) -> Answers:
    """The first item that each learner took up anew within `WINDOW` of a slate, and its place there.

    A take-up answers the last slate before it, and no other; what the learner knew before is no answer.
    """
    steps: dict[str, list[tuple[np.datetime64, str]]] = {}
    for at, who, thing in zip(taken.at, taken.learner, taken.thing, strict=True):
        steps.setdefault(str(who), []).append((at, item_of(str(thing))))
    found: dict[tuple[str, str], float] = {}
    for one in sorted(slates, key=lambda decision: decision.decided_at):
        chosen = _next(steps.get(one.learner_id, []), one)
        if chosen is not None:
            place = [item.position + 1.0 for item in one.slate if item.item_id == chosen]
            found[one.learner_id, chosen] = place[0] if place else float("inf")
    who = [learner for learner, _ in found]
    return Answers(np.array(list(found.values()), dtype=float), np.unique(who, return_inverse=True)[1])


def offline(registry: Registry, champion: Version, scratch: Path) -> Answers | Inconclusive:
    """The ranks that a fit measured for what serves: rank and learner of each held-out item."""
    try:
        found = load_ranks(registry.fetch_file(source_run(champion), RANKS, scratch))
        row = found[champion.tags["model"]]
    except (TrackingError, OSError, KeyError, ValueError) as error:
        return Inconclusive(f"the ranks of version {champion.number} cannot be read: {error}")
    return Answers(row.rank, row.learner)


def _next(steps: list[tuple[np.datetime64, str]], slate: Decision) -> str | None:
    start = np.datetime64(slate.decided_at.astimezone(UTC).replace(tzinfo=None), "us")
    known = {item for at, item in steps if at <= start}
    later = (item for at, item in steps if start < at <= start + np.timedelta64(WINDOW) and item not in known)
    return next(later, None)


def _some_learners(taken: Log) -> Log:
    """The take-ups of up to `ASKED` learners, the same for the same log."""
    names = np.unique(taken.learner.astype(str))
    return taken.where(np.isin(taken.learner.astype(str), np.random.default_rng(0).permutation(names)[:ASKED]))


def _counts_as_slate(one: Decision) -> bool:
    return one.kind == "ranking" and one.fallback is None and bool(one.slate)


def _scored(bundle: Bundle, table: Table, histories: Histories, ids: list[str]) -> Any:
    """float32[n, len(ids)] of a bundle's model on histories of the table; NaN where an item stands in the history."""
    to = bundle.vocabulary.indices(table.items.ids)
    kept = histories.where(to[histories.items] >= 0)
    groups = (
        (bundle.audience_index, table.audiences),
        (bundle.role_index, table.roles),
        (bundle.org_unit_index, table.org_units),
    )
    index = [np.array([place(name) for name in names], dtype=np.int32) for place, names in groups]
    own = kept.renamed(to, len(bundle.vocabulary)).in_groups(*index)
    found = np.array(bundle.model.score(own), dtype=np.float32)
    found[own.rows(), own.items] = np.nan
    return found[:, bundle.vocabulary.indices(ids)]


def _items(taken: Log, table: Table) -> NDArray[np.int32]:
    found = table.items.indices(taken.thing.tolist())
    return found[found >= 0]


def _learner_weeks(log: Log) -> int:
    """How many pairs of a learner and a week have an event: holidays and who has left do not dilute what the others do."""
    weeks = (log.at.astype("datetime64[D]").astype(np.int64) // 7).tolist()
    return max(len(set(zip(log.learner.tolist(), weeks, strict=True))), 1)


def _start(log: Log) -> np.datetime64:
    found: np.datetime64 = log.at.max() - np.timedelta64(NOW_DAYS, "D")
    return found
