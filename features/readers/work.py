"""Reads rows of a work system (CRM, tickets, incidents) as evidence of skills, by the rules of a `WorkMap`.

A row gives at most one piece of evidence of a skill: of the rules that it meets the one with the highest level counts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from features.columns import instant
from features.events import SKILL_PREFIX, Event, Verb, row_event_id
from features.readers.base import EventRows, Import, Located, Reading, Refusal, build, check_time
from features.readers.csv_cells import Times, numbers
from features.readers.csv_header import OTHER_ENCODING, column_names, require
from features.readers.csv_text import Broken, Cells, FileError, check_file, is_text, opened, records
from features.readers.work_map import Bounds, Rule, WorkMap

_NAMES: Final = {"learner_id": "learner", "occurred_at": "time", "context": "row"}
"""A field of the event and the column that it comes from."""


@dataclass
class Matched:
    """What came of one rule: rows that met it, pieces of evidence, and the first of these."""

    rule: Rule
    rows: int = 0
    evidence: int = 0
    first: Located[Event] | None = None


@dataclass
class Tally:
    """How the rows of a file were understood; complete once it is read. `unmatched` rows met no rule."""

    rules: list[Matched]
    rows: int = 0
    unmatched: int = 0
    learners: set[str] = field(default_factory=set)

    def note(self) -> str:
        """The counts in words."""
        return f"{self.rows:,} rows, of which {self.unmatched:,} match no rule"


def read(path: Path, given: Import, work_map: WorkMap) -> tuple[Reading, Tally]:
    """The evidence of a file, and how it was understood."""
    notes: list[str] = []
    tally = Tally([Matched(rule) for rule in work_map.rules])
    return Reading(iter(()), _events(path, given, work_map, tally, notes), notes, [path]), tally


def _events(path: Path, given: Import, work_map: WorkMap, tally: Tally, notes: list[str]) -> EventRows:
    try:
        check_file(path, work_map.text.encoding)
        with opened(path, work_map.text.encoding) as lines:
            separator, names = column_names(lines, work_map.text, list(work_map.read_columns()))
            require(names, list(work_map.read_columns()), lines.number)
            rows = _Rows(path.name, names, given, work_map, tally)
            for found in records(lines, separator):
                for line, cells in found:
                    yield from rows.read(line, cells)
            notes += [tally.note(), *rows.notes()]
    except FileError as error:
        yield Refusal(path.name, error.line, error.column, str(error))


class _Rows:
    """Reads the rows under one header."""

    def __init__(self, file: str, names: list[str], given: Import, work_map: WorkMap, tally: Tally) -> None:
        self._file, self._given, self._map, self._tally = file, given, work_map, tally
        self._place = {name: names.index(name) for name in work_map.read_columns()}
        self._width = len(names)
        self._number, self._times = numbers(work_map.text), Times(work_map.text)

    def notes(self) -> list[str]:
        return self._times.notes()

    def read(self, line: int, cells: Cells | Broken) -> EventRows:
        """The evidence in one row: none, or one piece a skill, or the row's refusal."""
        if isinstance(cells, Broken):
            yield Refusal(self._file, line, "", cells.reason)
            return
        if not any(map(str.strip, cells)):
            return
        self._tally.rows += 1
        if len(cells) < self._width or any(cells[self._width :]):
            yield Refusal(self._file, line, "", f"broken CSV line: {len(cells)} cells under {self._width} columns")
        elif not is_text("".join(cells)):
            yield Refusal(self._file, line, "", f"the text is not {self._map.text.encoding}; {OTHER_ENCODING}")
        else:
            yield from self._evidence(line, lambda column: cells[self._place[column]].strip())

    def _evidence(self, line: int, cell: Callable[[str], str]) -> EventRows:
        column = ""
        met: list[Matched] = []
        try:
            for one in self._tally.rules:
                met += (
                    [one] if all(self._holds(column := name, said, cell(name)) for name, said in one.rule.when.items()) else []
                )
        except ValueError as error:
            yield Refusal(self._file, line, column, str(error))
            return
        if not met:
            self._tally.unmatched += 1
            return
        for one in met:
            one.rows += 1
        read = [self._event(line, cell, one.rule) for one in _strongest(met)]
        bad = next((row for row in read if isinstance(row, Refusal)), None)
        if bad is not None:
            yield bad
            return
        for one, row in zip(_strongest(met), read, strict=True):
            assert isinstance(row, Located)
            one.evidence += 1
            one.first = one.first or row
            self._tally.learners.add(row.row.learner_id)
            yield row

    def _holds(self, column: str, said: tuple[str, ...] | Bounds, cell: str) -> bool:
        if isinstance(said, tuple):
            return cell.casefold() in said
        return bool(cell) and said.hold(self._number(cell.removesuffix("%").rstrip()))

    def _event(self, line: int, cell: Callable[[str], str], rule: Rule) -> Located[Event] | Refusal:
        columns = self._map.columns
        located: Located[Any] = Located(self._file, line, None)
        for name in (columns.learner, columns.row, columns.time):
            if not cell(name):
                return located.refuse(name, "the cell is empty")
        try:
            at, _ = self._times(cell(columns.time))
        except ValueError as error:
            return located.refuse(columns.time, str(error))
        learner, row = cell(columns.learner), cell(columns.row)
        if self._map.learner_is == "mailbox":
            if "@" not in learner:
                return located.refuse(columns.learner, f'{learner!r} is no mailbox; with learner_is = "id" it is an id')
            learner = f"mailto:{learner.lower().removeprefix('mailto:')}"
        context = {"kind": "used_in_work", "source": f"{self._map.system}:{row}", "level": rule.level}
        body = {
            "tenant": self._given.tenant,
            "event_id": row_event_id((self._map.system, row, rule.skill), 0),
            "learner_id": learner,
            "verb": Verb.APPLIED,
            "object_id": f"{SKILL_PREFIX}{rule.skill}",
            "occurred_at": instant(at),
            "recorded_at": self._given.now,
            "context": {name: value for name, value in context.items() if value is not None},
            "source": self._map.system,
            "backfill": True,
        }
        named = {field: getattr(columns, name) for field, name in _NAMES.items()}
        found = build(located, Event, body, named)
        return found if isinstance(found, Refusal) else check_time(found, self._given.now, columns.time)


def _strongest(met: list[Matched]) -> list[Matched]:
    """Of the rules for one skill the one with the highest level, the first of equals."""
    best: dict[str, Matched] = {}
    for one in met:
        known = best.get(one.rule.skill)
        if known is None or (one.rule.level or 0) > (known.rule.level or 0):
            best[one.rule.skill] = one
    return list(best.values())


def explained(tally: Tally) -> Iterator[str]:
    """How each rule was met, a line each: what a dry run shows."""
    yield tally.note()
    for number, one in enumerate(tally.rules, start=1):
        level = "" if one.rule.level is None else f", level {one.rule.level:g}"
        beaten = f" ({one.rows - one.evidence:,} rows count for another rule, or are wrong)" if one.rows > one.evidence else ""
        yield f"rule {number}, {one.rule.skill}{level}: {one.evidence:,} pieces of evidence{beaten}"
        if one.first is not None:
            event = one.first.row
            at = event.occurred_at.isoformat().replace("+00:00", "Z")
            yield f"    line {one.first.line}: {event.learner_id}, {at}, {event.context['source']}"
