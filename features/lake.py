"""The lake: Parquet files of one tenant's events by day and snapshots of its catalogue, made from the store.

    events/tenant=T/day=YYYY-MM-DD/part.parquet     in order of (occurred_at, seq), microseconds UTC
    items|item_skills|skills|roles|role_skills|learners/tenant=T/part.parquet
    manifests/T.json                                watermark, imports with their time zones, counts and digests

A day is rewritten only when an event of it arrived since the watermark. Files are written beside and then swapped, the
manifest last, so a reader or a crash never meets half a file; equal stores give equal bytes.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from features import columns
from features.catalogue import Catalogue, CatalogueRow, Item, Learner, Role, Skill, canonical_json
from features.events import INTERACTION_VERBS, Event, Verb
from features.interactions import NAT, Histories, Interactions
from features.store import TenantSession
from features.vocabulary import Vocabulary

FORMAT: Final = 1
SNAPSHOTS: Final[Mapping[str, Mapping[str, str]]] = {
    "items": columns.ITEM,
    "item_skills": columns.ITEM_SKILL,
    "skills": columns.SKILL,
    "roles": columns.ROLE,
    "role_skills": columns.ROLE_SKILL,
    "learners": columns.LEARNER,
}
R = TypeVar("R", bound=CatalogueRow)


@dataclass(frozen=True)
class LakeReport:
    """What one `materialize` found and wrote. `watermark` is the last `seq` in the lake, `digest` covers every file."""

    tenant: str
    events: int
    days: int
    days_written: int
    watermark: int
    rows: Mapping[str, int]
    digest: str


def materialize(session: TenantSession, lake: Path) -> LakeReport:
    """Brings the lake up to date with the store and returns what it holds.

    Only one process may materialize a tenant at a time. ValueError when the lake's manifest is of a newer format.
    """
    before = manifest(lake, session.tenant)
    files, watermark, written = _write_days(session, lake, before)
    rows = _write_snapshots(session, lake)
    digest = _digest(lake, session.tenant, files)
    report = LakeReport(session.tenant, _total(files), len(files), written, watermark, rows, digest)
    body = {"format": FORMAT, "files": files, "imports": session.imports()} | asdict(report)
    _swap_text(_manifest_path(lake, session.tenant), body)
    return report


def manifest(lake: Path, tenant: str) -> dict[str, Any]:
    """The manifest of a tenant, {} when it was never materialized; ValueError when it is unreadable or of a newer format."""
    path = _manifest_path(lake, tenant)
    if not path.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{path} is not readable; delete it and materialize again") from None
    if found.get("format") != FORMAT:
        raise ValueError(f"{path} has format {found.get('format')!r}, this program knows {FORMAT}; delete it or upgrade")
    return found


def read_events(lake: Path, tenant: str) -> pa.Table:
    """All events of a tenant, columns of `features.columns.EVENT`, by (occurred_at, seq). ValueError: not materialized."""
    days = sorted(_materialized(lake, tenant)["files"])
    files = [str(_day_path(lake, tenant, day)) for day in days]
    return ds.dataset(files, schema=_schema(columns.EVENT), format="parquet").to_table()


def catalogue(lake: Path, tenant: str) -> Catalogue:
    """Items, skills and roles of the last snapshot."""
    return Catalogue(_load(lake, tenant, Item), _load(lake, tenant, Skill), _load(lake, tenant, Role))


def learners(lake: Path, tenant: str) -> dict[str, Learner]:
    """Learners of the last snapshot, by id."""
    return _load(lake, tenant, Learner)


def interactions(lake: Path, tenant: str) -> tuple[Vocabulary, Vocabulary, Interactions, tuple[str, ...]]:
    """(learners, items, interactions, audiences): who took up which known item, by (occurred_at, seq).

    Items are all of the catalogue, learners all with an interaction, both sorted by id; aliases count as the row they name.
    A learner's audience is the first one of today, whatever it was at the time of an event (-1: none); `until` is the
    latest time at which an event became known, `known_at` that of the first interaction of learner and item, `recommended`
    says whether that one followed a recommendation: see `_flagged`.
    """
    events = read_events(lake, tenant)
    items, item_of = _names(_load(lake, tenant, Item))
    known, learner_of = _names(_load(lake, tenant, Learner))
    audiences = tuple(sorted({row.audiences[0] for row in known.values() if row.audiences}))
    vocabulary = Vocabulary(sorted(items))
    taken = _read(
        events.filter(pc.is_in(events[columns.VERB], pa.array(sorted(INTERACTION_VERBS)))), learner_of, item_of, vocabulary
    )
    people = Vocabulary.of(name for name, item in zip(taken.who, taken.what, strict=True) if item >= 0)
    first = [known[name].audiences[:1] if name in known else () for name in people.ids]
    audience = [audiences.index(found[0]) if found else -1 for found in first]
    histories = _histories(people.indices(taken.who), taken, audience, len(vocabulary))
    table = Interactions.of_histories(histories, n_audiences=len(audiences), until=_until(events))
    by_decision = pc.and_(pc.equal(events[columns.VERB], Verb.SHOWN), pc.is_valid(events[columns.DECISION_ID]))
    shown = _read(events.filter(by_decision), learner_of, item_of, vocabulary)
    return people, vocabulary, _flagged(table, people, shown), audiences


@dataclass(frozen=True)
class _Rows:
    """Events as columns: learners by name, items by index, both clocks, and whether a decision id stands there."""

    who: list[str]
    what: Any
    at: Any
    known_at: Any
    led: Any


def _read(events: pa.Table, learner_of: Mapping[str, str], item_of: Mapping[str, str], items: Vocabulary) -> _Rows:
    who = [learner_of.get(name, name) for name in events[columns.LEARNER_ID].to_pylist()]
    what = items.indices([item_of.get(name, name) for name in events[columns.OBJECT_ID].to_pylist()])
    at, known_at = (events[name].to_numpy().astype("datetime64[us]") for name in (columns.OCCURRED_AT, columns.KNOWN_AT))
    return _Rows(who, what, at, known_at, events[columns.DECISION_ID].is_valid().to_numpy())


def _flagged(table: Interactions, people: Vocabulary, shown: _Rows) -> Interactions:
    """The table with every take-up `recommended` that carries a decision id or whose item a decision had shown before.

    Served is not seen: without `shown` (or the decision's id on the take-up itself) a take-up is organic.
    """
    if not shown.who:
        return table
    seen = table.after_shown(people.indices(shown.who), shown.what, shown.at, shown.known_at)
    return replace(table, recommended=table.recommended | seen)


def _histories(who: Any, taken: _Rows, audience: Sequence[int], n_items: int) -> Histories:
    kept = np.flatnonzero(taken.what >= 0)
    order = kept[np.argsort(who[kept], kind="stable")]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(who[kept], minlength=len(audience)))]).astype(np.int64)
    who_of = np.array(audience, dtype=np.int32)
    said = {"known_at": taken.known_at[order], "recommended": taken.led[order]}
    return Histories(indptr, taken.what[order], taken.at[order], who_of, n_items, **said)


def _until(events: pa.Table) -> np.datetime64:
    last = pc.max(events[columns.KNOWN_AT]).as_py()
    return NAT if last is None else np.datetime64(last.replace(tzinfo=None), "us")


def _names(rows: Mapping[str, R]) -> tuple[Mapping[str, R], dict[str, str]]:
    aliases = {alias: row.id for row in rows.values() for alias in getattr(row, "aliases", ())}
    return rows, {alias: name for alias, name in aliases.items() if alias not in rows}


# -- writing --


def _write_days(session: TenantSession, lake: Path, before: Mapping[str, Any]) -> tuple[dict[str, Any], int, int]:
    files = dict(before.get("files", {}))
    watermark = int(before.get("watermark", 0))
    missing = {day for day in files if not _day_path(lake, session.tenant, day).is_file()}
    touched = set(missing)
    for seq, at in session.arrivals(after=watermark):
        touched.add(at.date().isoformat())
        watermark = max(watermark, seq)
    for day in sorted(touched):
        rows = _day(session, date.fromisoformat(day), watermark)
        found = _swap_table(_event_table(rows), _day_path(lake, session.tenant, day))
        files[day] = {"rows": len(rows), "sha256": found}
    return dict(sorted(files.items())), watermark, len(touched)


def _day(session: TenantSession, day: date, watermark: int) -> list[tuple[int, Event]]:
    start = datetime.combine(day, time(), UTC)
    # What arrived after the watermark was read belongs to the next run: rows and watermark speak of one moment.
    return [row for row in session.between(start, start + timedelta(days=1)) if row[0] <= watermark]


def _event_table(rows: Iterable[tuple[int, Event]]) -> pa.Table:
    return pa.Table.from_pylist([_event_row(seq, event) for seq, event in rows], schema=_schema(columns.EVENT))


def _event_row(seq: int, event: Event) -> dict[str, Any]:
    result = {} if event.result is None else dict(event.result)
    named = {name: getattr(event, name) for name in columns.EVENT if name in Event.model_fields}
    context = json.dumps(event.context, sort_keys=True, ensure_ascii=False)
    return {**named, **result, "context": context, "seq": seq, "known_at": event.known_at, "verb": event.verb.value}


def _write_snapshots(session: TenantSession, lake: Path) -> dict[str, int]:
    found, people = session.catalogue(), session.learners()
    tables = {
        "items": [_row(item) | _fields(item, columns.ITEM) for item in found.items.values()],
        "item_skills": _levels("item_id", ((item.id, item.skills) for item in found.items.values())),
        "skills": [_row(skill) | _fields(skill, columns.SKILL) for skill in found.skills.values()],
        "roles": [_row(role) | _fields(role, columns.ROLE) for role in found.roles.values()],
        "role_skills": _levels("role_id", ((role.id, role.expects) for role in found.roles.values())),
        "learners": [
            _row(x) | _fields(x, columns.LEARNER) | {"audience": next(iter(x.audiences), None)} for x in people.values()
        ],
    }
    for name, rows in tables.items():
        _swap_table(pa.Table.from_pylist(rows, schema=_schema(SNAPSHOTS[name])), _snapshot_path(lake, session.tenant, name))
    return {name: len(rows) for name, rows in tables.items()}


def _row(row: CatalogueRow) -> dict[str, Any]:
    return {"id": row.id, "body": canonical_json(row)}


def _fields(row: CatalogueRow, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names if name not in columns.ROW and hasattr(row, name)}


def _levels(owner: str, rows: Iterable[tuple[str, Mapping[str, float]]]) -> list[dict[str, Any]]:
    return [{owner: key, "skill_id": skill, "level": level} for key, skills in rows for skill, level in sorted(skills.items())]


def _schema(names: Mapping[str, str]) -> pa.Schema:
    instants = {"timestamp": pa.timestamp("us", tz="UTC")}
    return pa.schema([(name, instants.get(kind) or pa.type_for_alias(kind)) for name, kind in names.items()])


def _swap_table(table: pa.Table, path: Path) -> str:
    """Writes beside and swaps in; the SHA-256 of the bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    pq.write_table(table, beside, compression="zstd", coerce_timestamps="us", store_schema=False)
    os.replace(beside, path)
    return sha256(path.read_bytes()).hexdigest()


def _swap_text(path: Path, body: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(beside, path)


def _digest(lake: Path, tenant: str, days: Mapping[str, Mapping[str, Any]]) -> str:
    found = sha256()
    for day, file in days.items():
        found.update(f"{day} {file['sha256']}\n".encode())
    for name in SNAPSHOTS:
        found.update(_snapshot_path(lake, tenant, name).read_bytes())
    return found.hexdigest()


def _total(files: Mapping[str, Mapping[str, Any]]) -> int:
    return sum(file["rows"] for file in files.values())


# -- reading --


def _materialized(lake: Path, tenant: str) -> dict[str, Any]:
    found = manifest(lake, tenant)
    if not found:
        raise ValueError(
            f"no lake of tenant {tenant!r} in {lake}: run `python -m features materialize --tenant {tenant}` first"
        )
    return found


def snapshot(lake: Path, tenant: str, name: str) -> pa.Table:
    """One catalogue table: `items`, `item_skills`, `skills`, `roles`, `role_skills` or `learners`, sorted by id."""
    _materialized(lake, tenant)
    return pq.read_table(_snapshot_path(lake, tenant, name), partitioning=None)


def _load(lake: Path, tenant: str, kind: type[R]) -> dict[str, R]:
    bodies = snapshot(lake, tenant, f"{kind.__name__.lower()}s")["body"].to_pylist()
    found = [cast(R, kind.model_validate_json(body)) for body in bodies]
    return {row.id: row for row in found}


def _manifest_path(lake: Path, tenant: str) -> Path:
    return lake / "manifests" / f"{tenant}.json"


def _day_path(lake: Path, tenant: str, day: str) -> Path:
    return lake / "events" / f"tenant={tenant}" / f"day={day}" / "part.parquet"


def _snapshot_path(lake: Path, tenant: str, name: str) -> Path:
    return lake / name / f"tenant={tenant}" / "part.parquet"
