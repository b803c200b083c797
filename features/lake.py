"""The lake: Parquet files of one tenant's events by day and snapshots of its catalogue, made from the store.

    events/tenant=T/day=YYYY-MM-DD/part.parquet     in order of (occurred_at, seq), microseconds UTC: what is written anew
    months/tenant=T/month=YYYY-MM/part.parquet      the same rows, in few files: what is read
    items|item_skills|skills|roles|role_skills|learners|people/tenant=T/part.parquet
    decisions|choices|memberships/tenant=T/...      what experiments are read from: see features.decided
    manifests/T.json                                when it was read, watermark, imports with their time zones, counts and
                                                    digests of all files

A day is rewritten only when an event of it arrived since the watermark or its file is not what the manifest says. Files are
written beside and then swapped, the manifest last, so a reader or a crash never meets half a file. Readers take the files
that the manifest names, no others, and refuse what it does not describe. Equal stores give an equal `digest`.
"""

import fcntl
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from features import columns, decided, partitions
from features.catalogue import Catalogue, CatalogueRow, Item, Learner, Role, Skill, canonical_json
from features.events import INTERACTION_VERBS, Event, Verb
from features.interactions import NAT, Groups, Histories, Interactions
from features.partitions import SCHEMA, LakeError, schema
from features.store import TenantSession
from features.vocabulary import Vocabulary
from features.xapi.tables import resolved_table

FORMAT: Final = 1
SNAPSHOTS: Final[Mapping[str, Mapping[str, str]]] = {
    "items": columns.ITEM,
    "item_skills": columns.ITEM_SKILL,
    "skills": columns.SKILL,
    "roles": columns.ROLE,
    "role_skills": columns.ROLE_SKILL,
    "learners": columns.LEARNER,
    "people": columns.PERSON,
}
R = TypeVar("R", bound=CatalogueRow)


@dataclass(frozen=True)
class LakeReport:
    """What one `materialize` found and wrote. `watermark` is the last event in the lake.

    `digest` covers every row that models learn from: all but what `features.decided` writes.
    """

    tenant: str
    events: int
    decisions: int
    days: int
    days_written: int
    watermark: int
    rows: Mapping[str, int]
    digest: str


WriteDays = Callable[[TenantSession, Path, Sequence[date], int], None]
"""(session, lake, days, watermark): writes the file of each day with the rows up to the watermark, whatever stood there."""


def write_days(session: TenantSession, lake: Path, days: Sequence[date], watermark: int) -> None:
    """Day by day in this process: no more than one day is in memory."""
    for day in days:
        partitions.write(event_table(day_rows(session, day, watermark)), day_path(lake, session.tenant, day.isoformat()))


def materialize(session: TenantSession, lake: Path, *, write: WriteDays = write_days) -> LakeReport:
    """Brings the lake up to date with the store and returns what it holds; lost and damaged files are written again.

    LakeError when another process is at it, or when the lake is of a newer format or schema than this program.
    """
    with _alone(lake, session.tenant):
        read = datetime.now(UTC)  # before anything is read: who is erased from now on may be in it
        before = manifest(lake, session.tenant)
        erased = session.last_erasure()
        days, watermark, voided = _days(session, lake, before, erased)
        write(session, lake, [date.fromisoformat(day) for day in sorted(days)], watermark)
        files = _described(lake, session.tenant, before, days)
        months = _write_months(lake, session.tenant, before, days, files)
        snapshots = _write_snapshots(session, lake)
        decisions = decided.write(session, lake, before.get("decided", {}), erased)
        rows = {name: found["rows"] for name, found in snapshots.items()}
        total = sum(file["rows"] for file in files.values())
        n_decisions = decided.count(decisions)
        report = LakeReport(
            session.tenant, total, n_decisions, len(files), len(days), watermark, rows, _digest(files, snapshots)
        )
        body = {"format": FORMAT, "schema": SCHEMA, "files": files, "months": months, "snapshots": snapshots}
        body["decided"] = decisions
        facts = {"voidings": voided, "erasures": erased, "imports": session.imports(), "read_at": read.isoformat()}
        _swap_text(_manifest_path(lake, session.tenant), body | facts | asdict(report))
        decided.sweep(lake, session.tenant, decisions)
    return report


def manifest(lake: Path, tenant: str) -> dict[str, Any]:
    """The manifest of a tenant, {} when it was never materialized.

    LakeError when it is unreadable, another tenant's, or of a newer format or schema.
    """
    path = _manifest_path(lake, tenant)
    if not path.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        format, version, owner = found.get("format"), found.get("schema", 1), found.get("tenant", tenant)
    except (ValueError, AttributeError):
        raise LakeError(f"{path} is not readable; delete it and materialize again") from None
    if format != FORMAT or version > SCHEMA:
        known = f"format {FORMAT}, schema {SCHEMA}"
        raise LakeError(f"{path} has format {format!r}, schema {version}, this program knows {known}; delete it or upgrade")
    if owner != tenant:
        raise LakeError(f"{path} is the manifest of tenant {owner!r}; delete it and materialize again")
    return found


def read_events(lake: Path, tenant: str, names: Collection[str] = columns.EVENT.keys()) -> pa.Table:
    """Events of a tenant, the columns `names` of `features.columns.EVENT`, by (occurred_at, seq).

    LakeError when the lake was never materialized, or when a file of it is not what the manifest says.
    """
    files = [str(path) for path in event_files(lake, tenant)]
    return ds.dataset(files, schema=schema(columns.EVENT), format="parquet").to_table(columns=list(names))


def event_files(lake: Path, tenant: str) -> list[Path]:
    """The files with all events, in order, each verified. Errors as `read_events`."""
    found = _current(lake, tenant)
    names, place = ("months", _month_path) if "months" in found else ("files", day_path)
    paths = {name: place(lake, tenant, name) for name in sorted(found[names])}
    for name, path in paths.items():
        partitions.verify(path, found[names][name], columns.EVENT, tenant=tenant)
    return list(paths.values())


def decided_files(lake: Path, tenant: str) -> dict[str, list[Path]]:
    """`decisions`, `choices`, `memberships` -> their files, in order, each verified. Errors as `read_events`."""
    return decided.files(lake, tenant, _current(lake, tenant).get("decided", {}))


def read_at(lake: Path, tenant: str) -> datetime:
    """The moment from which on the lake knows nothing. Errors as `read_events`."""
    return datetime.fromisoformat(_current(lake, tenant)["read_at"])


def snapshot_file(lake: Path, tenant: str, name: str) -> Path:
    """The verified file of a catalogue table. Errors as `read_events`."""
    described = _current(lake, tenant).get("snapshots", {}).get(name)
    path = _snapshot_path(lake, tenant, name)
    if described is None and not path.is_file():  # the lake is of a program that had no such table
        raise LakeError(f"{path} is missing: run `python -m features materialize --tenant {tenant}`")
    if described is not None:
        partitions.verify(path, described, SNAPSHOTS[name], tenant=tenant)
    return path


def catalogue(lake: Path, tenant: str) -> Catalogue:
    """Items, skills and roles of the last snapshot."""
    return Catalogue(_load(lake, tenant, Item), _load(lake, tenant, Skill), _load(lake, tenant, Role))


def learners(lake: Path, tenant: str) -> dict[str, Learner]:
    """Learners of the last snapshot, by id."""
    return _load(lake, tenant, Learner)


def _people(lake: Path, tenant: str) -> dict[str, str]:
    """Alias or merged id -> the learner that it leads to, as of the last snapshot."""
    table = snapshot(lake, tenant, "people")
    return dict(zip(table["name"].to_pylist(), table["learner_id"].to_pylist(), strict=True))


def interactions(lake: Path, tenant: str) -> tuple[Vocabulary, Vocabulary, Interactions, Groups]:
    """(learners, items, interactions, groups): who took up which known item, by (occurred_at, seq).

    Items are all of the catalogue, learners all with an interaction, both sorted by id; aliases count as the row they name,
    merged ids as the person that they are now, and parts as the item that they are within. A learner's audience is the first
    one of today, whatever it was at the time of an event (-1: none), and so are role and org unit; `until` is the latest time
    at which an event became known, `known_at` that of the first interaction of learner and item, `recommended` says whether
    that one followed a recommendation: see `_flagged`.
    """
    items, item_of = _names(_load(lake, tenant, Item))
    events = resolved_table(read_events(lake, tenant), lambda name: name in items or name in item_of)
    known, learner_of = _load(lake, tenant, Learner), _people(lake, tenant)
    groups = _groups(known.values())
    vocabulary = Vocabulary(sorted(items))
    taken = _read(
        events.filter(pc.is_in(events[columns.VERB], pa.array(sorted(INTERACTION_VERBS)))), learner_of, item_of, vocabulary
    )
    people = Vocabulary.of(name for name, item in zip(taken.who, taken.what, strict=True) if item >= 0)
    of = _indices(groups, [known.get(name) for name in people.ids])
    histories = _histories(people.indices(taken.who), taken, of, len(vocabulary))
    table = Interactions.of_histories(histories, n_audiences=len(groups.audiences), until=_until(events))
    by_decision = pc.and_(pc.equal(events[columns.VERB], Verb.SHOWN), pc.is_valid(events[columns.DECISION_ID]))
    shown = _read(events.filter(by_decision), learner_of, item_of, vocabulary)
    return people, vocabulary, _flagged(table, people, shown), groups


def _groups(learners: Iterable[Learner]) -> Groups:
    """Every group that some learner of the catalogue belongs to, by name."""
    columns = zip(*(_groups_of(row) for row in learners), strict=True)
    return Groups(*(tuple(sorted({name for name in names if name is not None})) for names in columns))


def _groups_of(learner: Learner) -> tuple[str | None, str | None, str | None]:
    """Primary audience, role and org unit of a learner, for whom personalisation may leave the last two unused."""
    personal = learner.personalisation
    role, unit = (learner.role_id, learner.org_unit) if personal else (None, None)
    return next(iter(learner.audiences), None), role, unit


def _indices(groups: Groups, learners: Sequence[Learner | None]) -> dict[str, NDArray[np.int32]]:
    """int32[n] for each field of `Histories`: the index of a learner's group, -1 where there is none."""
    rows = [(None, None, None) if row is None else _groups_of(row) for row in learners]
    named = zip(("audience", "role", "org_unit"), (groups.audiences, groups.roles, groups.org_units), strict=True)
    found = {}
    for which, (field, names) in enumerate(named):
        place: dict[str | None, int] = {name: index for index, name in enumerate(names)}
        found[field] = np.array([place.get(row[which], -1) for row in rows], dtype=np.int32)
    return found


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


def _histories(who: Any, taken: _Rows, groups: Mapping[str, NDArray[np.int32]], n_items: int) -> Histories:
    kept = np.flatnonzero(taken.what >= 0)
    order = kept[np.argsort(who[kept], kind="stable")]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(who[kept], minlength=len(groups["audience"])))]).astype(np.int64)
    said = {"known_at": taken.known_at[order], "recommended": taken.led[order]}
    arrays = indptr, taken.what[order], taken.at[order], groups["audience"]
    return Histories(*arrays, n_items, **said, role=groups["role"], org_unit=groups["org_unit"])


def _until(events: pa.Table) -> np.datetime64:
    last = pc.max(events[columns.KNOWN_AT]).as_py()
    return NAT if last is None else np.datetime64(last.replace(tzinfo=None), "us")


def _names(rows: Mapping[str, Item]) -> tuple[Mapping[str, Item], dict[str, str]]:
    aliases = {alias: row.id for row in rows.values() for alias in row.aliases}
    return rows, {alias: name for alias, name in aliases.items() if alias not in rows}


# -- writing --


@contextmanager
def _alone(lake: Path, tenant: str) -> Iterator[None]:
    """Holds the tenant's writing lock, which ends with the process however it ends; LakeError when another one has it."""
    path = _manifest_path(lake, tenant).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LakeError(f"another process materializes tenant {tenant!r} into {lake}; try again when it is done") from None
        yield


def _days(session: TenantSession, lake: Path, before: Mapping[str, Any], erased: int) -> tuple[set[str], int, int]:
    """The days to write: those with news since the watermark, with an event that was voided or erased since, or whose file is
    not what the manifest says; and the last event and voiding that are in the lake then. `erased`: the last erasure.

    All, where the store does not hold the last event of the lake: it was restored to an earlier state, or it is another one.
    """
    files, watermark, voided = before.get("files", {}), int(before.get("watermark", 0)), int(before.get("voidings", 0))
    if anew := before.get("schema", 1) < SCHEMA or not (holds(session, watermark) and _voided(session, voided)):
        watermark = voided = 0
    days = {day for day in files if anew or not partitions.is_sound(day_path(lake, session.tenant, day), files[day])}
    if erased != before.get("erasures", 0):  # their rows are gone, and so is what would say of which day they were
        held = session.per_day(until=watermark)
        days |= {day for day, file in files.items() if file["rows"] != held.get(day, 0)}
    for seq, at in session.arrivals(after=watermark):
        days.add(at.date().isoformat())
        watermark = max(watermark, seq)
    for seq, happened in session.voidings(after=voided):
        days |= set() if happened is None else {happened.date().isoformat()}
        voided = max(voided, seq)
    return days, watermark, voided


def holds(session: TenantSession, watermark: int) -> bool:
    """Whether the store holds the event that a watermark names; 0 is that of an empty lake."""
    return watermark == 0 or any(seq == watermark for seq, _ in session.arrivals(after=watermark - 1, limit=1))


def _voided(session: TenantSession, last: int) -> bool:
    """Whether the store holds the voiding up to which a lake goes."""
    return last == 0 or any(seq == last for seq, _ in session.voidings(after=last - 1, limit=1))


def _described(lake: Path, tenant: str, before: Mapping[str, Any], written: Collection[str]) -> dict[str, Any]:
    files = {day: file for day, file in before.get("files", {}).items() if day not in written and "content" in file}
    for day in {*written, *before.get("files", {})} - set(files):
        files[day] = partitions.describe(day_path(lake, tenant, day), columns.EVENT)
    return dict(sorted(files.items()))


def _write_months(
    lake: Path, tenant: str, before: Mapping[str, Any], written: set[str], files: Iterable[str]
) -> dict[str, Any]:
    """Joins the days of every month in which one was written, or whose file is not what the manifest says."""
    known, months = before.get("months", {}), {}
    for month, group in groupby(files, key=lambda day: day[:7]):
        days, path = list(group), _month_path(lake, tenant, month)
        months[month] = known.get(month)
        if month not in known or not written.isdisjoint(days) or not partitions.is_sound(path, known[month]):
            partitions.join([day_path(lake, tenant, day) for day in days], path, columns.EVENT)
            months[month] = partitions.describe(path, columns.EVENT)
    return months


def day_rows(session: TenantSession, day: date, watermark: int) -> list[tuple[int, Event]]:
    """The (seq, event) of a UTC day up to the watermark, by (occurred_at, seq).

    What arrived after the watermark was read belongs to the next run: rows and watermark speak of one moment.
    """
    start = datetime.combine(day, time(), UTC)
    return [row for row in session.between(start, start + timedelta(days=1)) if row[0] <= watermark]


def event_table(rows: Iterable[tuple[int, Event]]) -> pa.Table:
    """Events as they stand in the lake."""
    return pa.Table.from_pylist([_event_row(seq, event) for seq, event in rows], schema=schema(columns.EVENT))


def _event_row(seq: int, event: Event) -> dict[str, Any]:
    result = {} if event.result is None else dict(event.result)
    named = {name: getattr(event, name) for name in columns.EVENT if name in Event.model_fields}
    context = json.dumps(event.context, sort_keys=True, ensure_ascii=False)
    return {**named, **result, "context": context, "seq": seq, "known_at": event.known_at, "verb": event.verb.value}


def _write_snapshots(session: TenantSession, lake: Path) -> dict[str, Any]:
    found, learners = session.catalogue(), session.learners()
    tables = {
        "items": [_row(item) | _fields(item, columns.ITEM) for item in found.items.values()],
        "item_skills": _levels("item_id", ((item.id, item.skills) for item in found.items.values())),
        "skills": [_row(skill) | _fields(skill, columns.SKILL) for skill in found.skills.values()],
        "roles": [_row(role) | _fields(role, columns.ROLE) for role in found.roles.values()],
        "role_skills": _levels("role_id", ((role.id, role.expects) for role in found.roles.values())),
        "learners": [
            _row(x) | _fields(x, columns.LEARNER) | {"audience": next(iter(x.audiences), None)} for x in learners.values()
        ],
        "people": [{"name": name, "learner_id": person} for name, person in sorted(session.people().items())],
    }
    paths = {name: _snapshot_path(lake, session.tenant, name) for name in tables}
    for name, rows in tables.items():
        partitions.write(pa.Table.from_pylist(rows, schema=schema(SNAPSHOTS[name])), paths[name])
    return {name: partitions.describe(path, SNAPSHOTS[name]) for name, path in paths.items()}


def _row(row: CatalogueRow) -> dict[str, Any]:
    return {"id": row.id, "body": canonical_json(row)}


def _fields(row: CatalogueRow, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names if name not in columns.ROW and hasattr(row, name)}


def _levels(owner: str, rows: Iterable[tuple[str, Mapping[str, float]]]) -> list[dict[str, Any]]:
    return [{owner: key, "skill_id": skill, "level": level} for key, skills in rows for skill, level in sorted(skills.items())]


def _swap_text(path: Path, body: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(beside, path)


def _digest(files: Mapping[str, Mapping[str, Any]], snapshots: Mapping[str, Mapping[str, Any]]) -> str:
    found = sha256()
    for name, described in [*files.items(), *snapshots.items()]:
        found.update(f"{name} {described['content']}\n".encode())
    return found.hexdigest()


# -- reading --


def _current(lake: Path, tenant: str) -> dict[str, Any]:
    found = manifest(lake, tenant)
    command = f"python -m features materialize --tenant {tenant}"
    if not found:
        raise LakeError(f"no lake of tenant {tenant!r} in {lake}: run `{command}` first")
    if (version := found.get("schema", 1)) < SCHEMA:
        raise LakeError(f"the lake of tenant {tenant!r} in {lake} has schema {version}, not {SCHEMA}: run `{command}`")
    return found


def snapshot(lake: Path, tenant: str, name: str) -> pa.Table:
    """One catalogue table: `items`, `item_skills`, `skills`, `roles`, `role_skills`, `learners` or `people`, sorted by id."""
    return ds.dataset(str(snapshot_file(lake, tenant, name)), schema=schema(SNAPSHOTS[name]), format="parquet").to_table()


def _load(lake: Path, tenant: str, kind: type[R]) -> dict[str, R]:
    bodies = snapshot(lake, tenant, f"{kind.__name__.lower()}s")["body"].to_pylist()
    found = [cast(R, kind.model_validate_json(body)) for body in bodies]
    return {row.id: row for row in found}


def _manifest_path(lake: Path, tenant: str) -> Path:
    return lake / "manifests" / f"{tenant}.json"


def day_path(lake: Path, tenant: str, day: str) -> Path:
    """Where the events of a day (YYYY-MM-DD, UTC) lie."""
    return lake / "events" / f"tenant={tenant}" / f"day={day}" / "part.parquet"


def _month_path(lake: Path, tenant: str, month: str) -> Path:
    return lake / "months" / f"tenant={tenant}" / f"month={month}" / "part.parquet"


def _snapshot_path(lake: Path, tenant: str, name: str) -> Path:
    return lake / name / f"tenant={tenant}" / "part.parquet"
