"""Whether a CSV row is an event: by a look where it plainly is, else by the rules of `features.events.Event`."""

import json
from datetime import datetime
from typing import Any, Final

from features.columns import instant, microseconds
from features.events import MAX_CLOCK_SKEW, ZERO, Event
from features.readers.base import Located, Refusal, build, check_time
from features.readers.csv_fields import RESULT, Fields
from features.readers.csv_header import OTHER_ENCODING, Header
from features.readers.csv_text import is_text

_EARLIEST: Final = microseconds(ZERO[1])
"""Of times that are plainly right; what is older is looked at more closely."""
_SKEW: Final = MAX_CLOCK_SKEW.seconds * 1_000_000
_LONGEST_ID: Final = 256
_TEXTS: Final = {"event_id": "event_id", "learner_id": "learner", "object_id": "thing", "decision_id": "decision"}


class Verdict:
    """Judges the rows under one header, for one tenant, at the moment of the import."""

    def __init__(self, header: Header, tenant: str, now: datetime) -> None:
        self._csv_map, self._tenant, self._now = header.csv_map, tenant, now
        self._latest = microseconds(now) + _SKEW
        self._columns = {
            **header.columns,
            **{f"result.{name}": header.columns[said] for name, said in RESULT.items() if said in header.columns},
        }

    def plain(self, row: Fields) -> bool:
        """Whether the row is certainly right. No means: ask `refusal`. Printable text has no control and no half characters."""
        learner, thing, at, recorded = row.learner, row.thing, row.at, row.recorded
        return (
            learner.isprintable()
            and 0 < len(learner) <= _LONGEST_ID
            and thing.isprintable()
            and 0 < len(thing) <= _LONGEST_ID
            and _EARLIEST <= at <= self._latest
            and (recorded is None or (_EARLIEST <= recorded <= self._latest and at <= recorded + _SKEW))
            and (row.event_id is None or (row.event_id.isprintable() and 0 < len(row.event_id) <= _LONGEST_ID))
            and (row.decision is None or (row.decision.isprintable() and len(row.decision) <= _LONGEST_ID))
            and row.context_stored.isprintable()
        )

    def refusal(self, row: Fields) -> tuple[str, str] | None:
        """(column, reason) of what is wrong, None where nothing is."""
        return self._bad_text(row) or self._by_model(row)

    def _bad_text(self, row: Fields) -> tuple[str, str] | None:
        for name, attribute in _TEXTS.items():
            text: str | None = getattr(row, attribute)
            if text is not None and not text:
                return self._columns[name], "the cell is empty"
            if text is not None and any(letter < " " for letter in text):
                return self._columns[name], "the text holds a control character (a line break, NUL ..)"
        for name, text in [
            *((name, getattr(row, attribute)) for name, attribute in _TEXTS.items()),
            ("context", row.context_stored),
        ]:
            if text and not is_text(text):
                return self._columns.get(name, name), f"the text is not {self._csv_map.encoding}; {OTHER_ENCODING}"
        return None

    def _by_model(self, row: Fields) -> tuple[str, str] | None:
        found = build(Located("", row.line, None), Event, self._body(row), self._columns)
        if not isinstance(found, Refusal):
            found = check_time(found, self._now, self._columns.get("recorded_at", "recorded_at"))
        return (found.field, found.reason) if isinstance(found, Refusal) else None

    def _body(self, row: Fields) -> dict[str, Any]:
        return {
            "tenant": self._tenant,
            "event_id": row.event_id or "made of the fields",
            "learner_id": row.learner,
            "verb": row.verb,
            "object_id": row.thing,
            "occurred_at": instant(row.at),
            "recorded_at": self._now if row.recorded is None else instant(row.recorded),
            "decision_id": row.decision,
            "result": None if row.result_stored is None else json.loads(row.result_stored),
            "context": json.loads(row.context_stored),
            "source": self._csv_map.source,
            "backfill": row.recorded is None,
        }
