"""Skill levels of all learners at one moment, by the skill profile that the service answers with."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from features import columns
from features.catalogue import Catalogue, Learner
from features.events import Event, Evidence, Result, Verb
from features.partitions import schema
from features.proposals import Proposals
from features.skills import TELLING, SkillState, profile
from features.star.names import Names
from features.star.schema import SKILL_LEVEL

_RESULT: Final = tuple(Result.model_fields)
_NOTHING: Final = SkillState(0.0, Evidence.NONE, 0.0, (), timedelta(0))


def end_of(day: date) -> datetime:
    """The moment at which a UTC day ends."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1)


def skill_levels(
    events: pa.Table,
    learners: Mapping[str, Learner],
    catalogue: Catalogue,
    proposals: Proposals,
    names: Names,
    *,
    as_of: date,
) -> pa.Table:
    """A row for each skill that a learner's events show at the end of the day, or that their role expects.

    `events` are the lake's, with every column of `features.columns.EVENT`.
    """
    at, histories = end_of(as_of), _histories(events, names)
    items = {alias: item for item in catalogue.items.values() for alias in item.aliases} | dict(catalogue.items)
    rows: list[dict[str, Any]] = []
    for who in sorted({*histories, *learners}):
        expected = _expected(learners.get(who), catalogue)
        found = profile(histories.get(who, ()), items, at, proposals)
        rows += _rows(names, who, found, expected, as_of)
    return pa.Table.from_pylist(rows, schema=schema(SKILL_LEVEL.names))


def _expected(learner: Learner | None, catalogue: Catalogue) -> Mapping[str, float]:
    role = None if learner is None or learner.role_id is None else catalogue.roles.get(learner.role_id)
    return {} if role is None else role.expects


def _rows(
    names: Names, who: str, found: Mapping[str, SkillState], expected: Mapping[str, float], as_of: date
) -> Iterator[dict[str, Any]]:
    learner = names.learner(who)
    for skill in sorted({*found, *expected}):
        state, key = found.get(skill, _NOTHING), names.skill(skill)
        yield {
            "skill_level": f"{learner} {key} {as_of.isoformat()}",
            "learner_key": learner,
            "skill_id": key,
            "as_of": as_of,
            "level": state.level,
            "confidence": state.confidence,
            "evidence": state.evidence.name.lower(),
            "expected": expected.get(skill),
        }


def _histories(events: pa.Table, names: Names) -> Mapping[str, list[Event]]:
    """The telling events by the learner's id."""
    telling = events.filter(pc.is_in(events[columns.VERB], pa.array(sorted(TELLING))))
    found: dict[str, list[Event]] = defaultdict(list)
    for batch in telling.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            found[names.person(row[columns.LEARNER_ID])].append(_event(row))
    return found


def _event(row: Mapping[str, Any]) -> Event:
    """What the store validated once is only put together here."""
    result = {name: row[name] for name in _RESULT if row[name] is not None}
    named = {name: row[name] for name in Event.model_fields if name in row}
    told = {"verb": Verb(row["verb"]), "context": json.loads(row["context"])}
    return Event.model_construct(**(named | told | {"result": Result.model_construct(**result) if result else None}))
