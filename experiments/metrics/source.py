"""What metrics are found in: Ibis tables of one tenant, with every name resolved to the learner or item that it means now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.expr.types import Table

from features import columns, lake
from features.partitions import schema


@dataclass(frozen=True)
class Source:
    """One tenant's tables in DuckDB; times are UTC without a zone. Voided events are in none of them.

    `events(learner, verb, item, decision_id, at, backfill, success, score, context, seq)`: `item` is the item's id now, or
    `skill:ID`. `decisions(learner, decision_id, at, kind, arms, item_ids, spoke, fallback, total_ms, seq)`: those whose
    outcomes count; who reads one experiment narrows them. `choices(learner, choice, at)`. `memberships(learner, manager_id,
    org_unit, role_id, valid_from, valid_to)`. `taught(item, skill, level)` and `expected(role_id, skill, level)`.
    `until`: nothing later is known.
    """

    backend: ibis.BaseBackend
    events: Table
    decisions: Table
    choices: Table
    memberships: Table
    taught: Table
    expected: Table
    until: datetime

    def without_backfill(self) -> "Source":
        """The same without what an import marked as backfill."""
        return replace(self, events=self.events.filter(~self.events.backfill))


def open_source(connection: duckdb.DuckDBPyConnection, folder: Path, tenant: str) -> Source:
    """The tables of a lake. LakeError when it was never materialized, is damaged, or holds no decisions yet."""
    backend = ibis.duckdb.from_connection(connection)
    files = {"events": lake.event_files(folder, tenant), **lake.decided_files(folder, tenant)}
    files |= {name: [lake.snapshot_file(folder, tenant, name)] for name in ("people", "item_skills", "role_skills")}
    shapes = {"events": columns.EVENT, "decisions": columns.DECISION, "choices": columns.CHOICE}
    shapes |= {
        "memberships": columns.MEMBERSHIP,
        **{name: lake.SNAPSHOTS[name] for name in ("people", "item_skills", "role_skills")},
    }
    raw = {name: _table(backend, name, paths, shapes[name]) for name, paths in files.items()}
    people, aliases = raw["people"], _aliases(backend, lake.catalogue(folder, tenant).items)
    until = lake.read_at(folder, tenant).astimezone(UTC).replace(tzinfo=None)
    return Source(
        backend=backend,
        events=_events(raw["events"], people, aliases),
        decisions=_decisions(raw["decisions"], people),
        choices=_of_learner(raw["choices"], people).select("learner", "choice", at=_utc("occurred_at")),
        memberships=raw["memberships"].select(
            "manager_id", "org_unit", "role_id", learner="learner_id", valid_from=_utc("valid_from"), valid_to=_utc("valid_to")
        ),
        taught=raw["item_skills"].select("level", item="item_id", skill="skill_id"),
        expected=raw["role_skills"].select("role_id", "level", skill="skill_id"),
        until=until,
    )


def _table(backend: ibis.BaseBackend, name: str, paths: Sequence[Path], names: Mapping[str, str]) -> Table:
    if not paths:
        return backend.create_table(f"no_{name}", schema(names).empty_table(), temp=True)
    return backend.read_parquet([str(path) for path in paths], table_name=f"lake_{name}", hive_partitioning=False)


def _aliases(backend: ibis.BaseBackend, items: Mapping[str, object]) -> Table:
    """(name, item): aliases of items that are no item's id."""
    found = {alias: row.id for row in items.values() for alias in row.aliases if alias not in items}  # type: ignore[attr-defined]
    rows = pa.table({"name": pa.array(found, pa.string()), "item": pa.array(found.values(), pa.string())})
    return backend.create_table("item_aliases", rows, temp=True)


def _events(events: Table, people: Table, aliases: Table) -> Table:
    named = _of_learner(events, people).left_join(aliases, [("object_id", "name")])
    return named.select(
        "learner",
        "verb",
        "decision_id",
        "backfill",
        "success",
        "score",
        "context",
        "seq",
        item=ibis.coalesce(named.item, named.object_id),
        at=_utc("occurred_at"),
    )


def _decisions(decisions: Table, people: Table) -> Table:
    kept = ("decision_id", "kind", "arms", "item_ids", "spoke", "fallback", "total_ms", "seq")
    return _of_learner(decisions, people).select("learner", *kept, at=_utc("decided_at"))


def _of_learner(table: Table, people: Table) -> Table:
    known = people.select(called="name", person="learner_id")
    found = table.left_join(known, [("learner_id", "called")])
    return found.mutate(learner=ibis.coalesce(found.person, found.learner_id)).drop("called", "person", "learner_id")


def _utc(name: str) -> ibis.Deferred:
    """The same without its zone, by its number of microseconds: a cast asks a calendar of each row, ten times as long."""
    return _make_timestamp(_epoch_us(ibis._[name]))


def _builtin(name: str, given: Any, gives: Any) -> Any:
    """A function of DuckDB that ibis has no name for."""

    def in_duckdb(value: Any) -> Any: ...  # ibis wants a signature; DuckDB has the body

    return ibis.udf.scalar.builtin(in_duckdb, name=name, signature=((given,), gives))


_epoch_us: Final = _builtin("epoch_us", dt.Timestamp(timezone="UTC"), dt.int64)
_make_timestamp: Final = _builtin("make_timestamp", dt.int64, dt.Timestamp(scale=6))
