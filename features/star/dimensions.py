"""The dimensions: learners, items and skills in all their versions, and what each item teaches now."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import pyarrow as pa

from features.catalogue import Item, Learner, Role, Skill
from features.partitions import schema
from features.star.names import Names
from features.star.schema import ITEM, ITEM_SKILL, LEARNER, SKILL, Table
from features.store import TenantSession, Version


def learners(session: TenantSession, names: Names, *, identified: bool) -> pa.Table:
    """All that the catalogue knows, and those that `names` met besides. Their ids stand there only where `identified`."""
    roles = session.catalogue().roles
    rows = [
        {"learner_key": names.learner(one.row.id), **_learner(cast(Learner, one.row), names, roles), **_when(one)}
        for one in session.versions("learner")
    ]
    known = {row["learner_key"] for row in rows}
    rows += [{"learner_key": key, **_NEVER} for key in sorted(names.met) if key not in known]
    if identified:
        rows = [{**row, "learner_id": names.met[row["learner_key"]]} for row in rows]
    return _table(LEARNER, "learner", rows)


def items(session: TenantSession, used: Collection[str]) -> pa.Table:
    """All that the catalogue ever knew, and what else is `used` by facts."""
    rows = [{"item_id": one.row.id, **_item(cast(Item, one.row)), **_when(one)} for one in session.versions("item")]
    return _table(ITEM, "item", [*rows, *_others("item_id", rows, used)])


def skills(session: TenantSession, used: Collection[str]) -> pa.Table:
    """All that the catalogue ever knew, and what else is `used`."""
    rows = [{"skill_id": one.row.id, **_skill(cast(Skill, one.row)), **_when(one)} for one in session.versions("skill")]
    return _table(SKILL, "skill", [*rows, *_others("skill_id", rows, used)])


def item_skills(found: Iterable[Item], names: Names) -> pa.Table:
    """What these items teach."""
    rows = [
        {"item_skill": f"{item.id} {skill}", "item_id": item.id, "skill_id": names.skill(skill), "level": level}
        for item in found
        for skill, level in sorted(item.skills.items())
    ]
    return pa.Table.from_pylist(rows, schema=schema(ITEM_SKILL.names))


def _learner(row: Learner, names: Names, roles: Mapping[str, Role]) -> dict[str, Any]:
    role = roles.get(row.role_id or "")
    return {
        "status": row.status,
        "role_id": row.role_id,
        "role": None if role is None else role.name,
        "org_unit": row.org_unit,
        "audience": next(iter(row.audiences), None),
        "manager_key": None if row.manager_id is None else names.learner(row.manager_id),
        "personalisation": row.personalisation,
    }


def _item(row: Item) -> dict[str, Any]:
    said = {name: getattr(row, name) for name in ("title", "duration_s", "difficulty", "replaces")}
    return said | {"type": row.type.value, "provider": row.provider or None}


def _skill(row: Skill) -> dict[str, Any]:
    return {"name": row.name, "family": row.family or None}


_NEVER = {"known": False, "valid_from": None, "valid_to": None, "is_current": True}


def _when(one: Version) -> dict[str, Any]:
    return {"known": True, "valid_from": one.valid_from, "valid_to": one.valid_to, "is_current": one.valid_to is None}


def _others(key: str, rows: Sequence[dict[str, Any]], used: Collection[str]) -> Iterator[dict[str, Any]]:
    known = {row[key] for row in rows}
    return ({key: name, **_NEVER} for name in sorted(set(used) - known))


def _table(table: Table, what: str, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows by key and time, each with the name of its version."""
    key = table.columns[1].name
    named = [{f"{what}_version": _version(row[key], row["valid_from"]), **row} for row in rows]
    return pa.Table.from_pylist(sorted(named, key=lambda row: str(row[f"{what}_version"])), schema=schema(table.names))


def _version(key: str, since: Any) -> str:
    return key if since is None else f"{key} {since.isoformat()}"
