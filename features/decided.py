"""What experiments are read from, in the lake: decisions, what learners chose about nudges, and to whom they belonged when.

    decisions/tenant=T/FIRST-LAST.parquet      by number of arrival; the newest file is filled up, the others stay
    choices/tenant=T/part.parquet              written anew each time, as are
    memberships/tenant=T/part.parquet

A file of decisions is written again when it is damaged or when a learner in it was erased. Names are as they came; aliases are
resolved by who reads. No model learns from these, so the lake's digest leaves them out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from features import columns, partitions
from features.decisions import Decision
from features.partitions import LakeError, schema
from features.store import TenantSession

FULL: Final = 100_000
"""Decisions a file holds before the next one is begun."""
_BESIDE: Final = {"choices": columns.CHOICE, "memberships": columns.MEMBERSHIP}


def write(session: TenantSession, lake: Path, before: Mapping[str, Any], erased: int) -> dict[str, Any]:
    """Brings the files up to date with the store; what the manifest is to say of them. `erased`: the last erasure.

    `before`: what it said. All is written anew where the store does not hold the last decision of the lake.
    """
    kept = _kept(session, lake, before, erased)
    last = max((int(name.split("-")[1]) for name in kept), default=0)
    for rows in _batches(session.decisions(after=last)):
        kept = _add(lake, session.tenant, kept, rows)
    learners = ((one.row, one.valid_from, one.valid_to) for one in session.versions("learner"))
    beside = {
        "choices": [{name: getattr(one, name) for name in columns.CHOICE} for one in session.every_choice()],
        "memberships": [_membership(*one) for one in learners],
    }
    described = {}
    for name, said in beside.items():
        path = _beside(lake, session.tenant, name)
        partitions.write(pa.Table.from_pylist(said, schema=schema(_BESIDE[name])), path)
        described[name] = partitions.described(path, len(said))
    return {"erasures": erased, "files": kept, **described}


def count(described: Mapping[str, Any]) -> int:
    """The decisions in the lake."""
    return sum(file["rows"] for file in described["files"].values())


def sweep(lake: Path, tenant: str, described: Mapping[str, Any]) -> None:
    """Removes files of decisions that the manifest no longer names."""
    for path in _folder(lake, tenant).glob("*.parquet"):
        if path.stem not in described["files"]:
            path.unlink()


def files(lake: Path, tenant: str, described: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Table -> its files in order, each verified. LakeError where one is not as described, or none was written yet."""
    if not described:
        command = f"python -m features materialize --tenant {tenant}"
        raise LakeError(f"the lake of tenant {tenant!r} has no decisions yet: run `{command}`")
    found = {}
    for name in sorted(described["files"], key=_first):
        partitions.verify(_path(lake, tenant, name), described["files"][name], columns.DECISION, tenant=tenant)
        found[name] = _path(lake, tenant, name)
    for name, names in _BESIDE.items():
        partitions.verify(_beside(lake, tenant, name), described[name], names, tenant=tenant)
    return {"decisions": list(found.values()), **{name: [_beside(lake, tenant, name)] for name in _BESIDE}}


def decision_table(rows: Iterable[tuple[int, Decision]]) -> pa.Table:
    """Decisions as they stand in the lake."""
    return pa.Table.from_pylist([_row(*row) for row in rows], schema=schema(columns.DECISION))


def _kept(session: TenantSession, lake: Path, before: Mapping[str, Any], erased: int) -> dict[str, Any]:
    """The files that stay, those with erased decisions written again; none after the first that is damaged."""
    kept: dict[str, Any] = {}
    if not _holds(session, before):
        return kept
    for name, file in sorted(before.get("files", {}).items(), key=lambda one: _first(one[0])):
        first, last = map(int, name.split("-"))
        path = _path(lake, session.tenant, name)
        if not partitions.is_sound(path, file):
            return kept
        if erased != before["erasures"] and session.count_decisions(after=first - 1, until=last) < file["rows"]:
            rows = [row for row in session.decisions(after=first - 1, limit=file["rows"]) if row[0] <= last]
            partitions.write(decision_table(rows), path)
            file = partitions.described(path, len(rows))
        kept[name] = file
    return kept


def _first(name: str) -> int:
    return int(name.split("-")[0])


def _holds(session: TenantSession, before: Mapping[str, Any]) -> bool:
    """Whether the store holds what the lake ends with, or lost it by an erasure."""
    last = max((int(name.split("-")[1]) for name in before.get("files", {})), default=0)
    if last == 0 or session.count_decisions(after=last - 1, until=last):
        return True
    return bool(session.last_erasure() != before["erasures"] and session.count_decisions(after=last, until=1 << 62))


def _add(lake: Path, tenant: str, kept: Mapping[str, Any], rows: list[tuple[int, Decision]]) -> dict[str, Any]:
    """The newest file filled up with these, or another one."""
    name, table = f"{rows[0][0]}-{rows[-1][0]}", decision_table(rows)
    path, found = _path(lake, tenant, name), dict(kept)
    partitions.write(table, path)
    n, newest = table.num_rows, list(found)[-1] if found else None
    if newest is not None and found[newest]["rows"] + n <= FULL:
        n += found.pop(newest)["rows"]
        part, name = path, f"{newest.split('-')[0]}-{rows[-1][0]}"
        path = _path(lake, tenant, name)
        partitions.join([_path(lake, tenant, newest), part], path, columns.DECISION)
    return {**found, name: partitions.described(path, n)}


def _batches(rows: Iterator[tuple[int, Decision]]) -> Iterator[list[tuple[int, Decision]]]:
    while batch := list(islice(rows, FULL)):
        yield batch


def _row(seq: int, decision: Decision) -> dict[str, Any]:
    same = ("decision_id", "learner_id", "decided_at", "kind", "surface", "policy", "bundle", "fallback")
    return {
        "seq": seq,
        **{name: getattr(decision, name) for name in same},
        "arms": _text(dict(decision.arms)),
        "item_ids": _text([item.item_id for item in decision.slate] or _of_nudge(decision)),
        "spoke": decision.nudge is not None and decision.nudge.spoke,
        "stages_ms": _text(dict(decision.stages_ms)),
        "total_ms": float(sum(decision.stages_ms.values())),
    }


def _of_nudge(decision: Decision) -> list[str]:
    """The item that a nudge named."""
    nudge = decision.nudge
    return [nudge.item_id] if nudge is not None and nudge.spoke and nudge.item_id is not None else []


def _membership(row: Any, valid_from: datetime, valid_to: datetime | None) -> dict[str, Any]:
    said = {"manager_id": row.manager_id, "org_unit": row.org_unit, "role_id": row.role_id}
    return {"learner_id": row.id, **said, "valid_from": valid_from, "valid_to": valid_to}


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _folder(lake: Path, tenant: str) -> Path:
    return lake / "decisions" / f"tenant={tenant}"


def _path(lake: Path, tenant: str, name: str) -> Path:
    return _folder(lake, tenant) / f"{name}.parquet"


def _beside(lake: Path, tenant: str, name: str) -> Path:
    return lake / name / f"tenant={tenant}" / "part.parquet"
