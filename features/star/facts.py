"""The facts: events from a month of the lake, items of slates from decisions, and what of these was seen."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from features import columns
from features.decisions import Decision
from features.events import SKILL_PREFIX, Verb
from features.partitions import schema
from features.star.names import Names
from features.star.schema import DECISION_ITEM, EVENT, EXPOSURE

_SAME: Final = (
    "verb",
    "occurred_at",
    "recorded_at",
    "backfill",
    "source",
    "decision_id",
    "completion",
    "success",
    "score",
    "progress",
    "duration_s",
)
"""Columns of an event that go into the star as they are."""
_EVIDENCE: Final = {verb.value: verb.evidence.name.lower() for verb in Verb}


def events(month: pa.Table, names: Names) -> pa.Table:
    """The events of a month as the lake has them, in its order."""
    things = month[columns.OBJECT_ID].to_pylist()
    known = {name: names.thing(name) for name in set(things)}
    shape = schema(EVENT.names)
    found: dict[str, Any] = {name: month[name].cast(shape.field(name).type) for name in _SAME}
    found |= {
        "event_key": [names.key.pseudonym("event", name) for name in month[columns.EVENT_ID].to_pylist()],
        "learner_key": [names.learner(name) for name in month[columns.LEARNER_ID].to_pylist()],
        "evidence": [_EVIDENCE[verb] for verb in month[columns.VERB].to_pylist()],
        "item_id": [known[name][0] for name in things],
        "skill_id": [known[name][1] for name in things],
        "level": [_level(name, said) for name, said in zip(things, month["context"].to_pylist(), strict=True)],
    }
    return pa.Table.from_pydict({name: found[name] for name in EVENT.names}, schema=shape)


def _level(object_id: str, context: str) -> float | None:
    """The level that an event about a skill states; of the rest of a context nothing leaves: it may name people."""
    if not object_id.startswith(SKILL_PREFIX):
        return None
    stated = json.loads(context).get("level")
    return float(stated) if isinstance(stated, int | float) and not isinstance(stated, bool) and 0 <= stated <= 5 else None


def decision_items(decisions: Iterable[Decision], names: Names) -> pa.Table:
    """The slates of decisions, in the order given."""
    rows = [row for decision in decisions for row in _slate(decision, names)]
    return pa.Table.from_pylist(rows, schema=schema(DECISION_ITEM.names))


def _slate(decision: Decision, names: Names) -> Iterator[dict[str, Any]]:
    said = {
        name: getattr(decision, name)
        for name in ("decision_id", "decided_at", "kind", "surface", "policy", "bundle", "fallback")
    }
    who = names.learner(decision.learner_id)
    for row in decision.rows:
        for item in row.items:
            own = {name: getattr(item, name) for name in _OF_ITEM}
            name = f"{decision.decision_id} {item.position}"
            yield {"decision_item": name, "learner_key": who, "row_title": row.title, **said, **own}


_OF_ITEM: Final = ("item_id", "position", "place", "score", "probability", "propensity", "source")

_SEEN: Final = """
SELECT
    event.event_key, event.learner_key, event.item_id, event.occurred_at AS shown_at, event.decision_id,
    served.decision_item, served.position, served.propensity, served.source, served.policy, served.bundle
FROM read_parquet($events) AS event
LEFT JOIN (
    SELECT * FROM read_parquet($served)
    QUALIFY row_number() OVER (PARTITION BY decision_id, learner_key, item_id ORDER BY position) = 1
) AS served USING (decision_id, learner_key, item_id)
WHERE event.verb = 'shown' AND event.decision_id IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY decision_id, learner_key, event.item_id ORDER BY shown_at, event_key) = 1
ORDER BY shown_at, event_key
"""


def exposures(events: Sequence[Path], served: Sequence[Path]) -> pa.Table:
    """What of the served was seen, from the files of the two, by time. An item that a slate holds twice counts as its first.

    One that is told twice to be seen was seen once: a device may send `shown` and `opened`.
    """
    with duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}) as found:
        given = {"events": [str(path) for path in events], "served": [str(path) for path in served]}
        table = found.execute(_SEEN, given).to_arrow_table()
    return table.cast(schema(EXPOSURE.names))


def by_month(rows: pa.Table, column: str) -> Iterator[tuple[str, pa.Table]]:
    """Rows that are in order of time, by the UTC month of a column."""
    months = pc.strftime(rows[column], format="%Y-%m")
    for month in pc.unique(months).to_pylist():
        yield month, rows.filter(pc.equal(months, month))
