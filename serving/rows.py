"""Catalogue rows from a request body: every row is checked before one is stored, and what they refer to is listed."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from features.catalogue import KINDS, Assignment, CatalogueRow, Item, Learner, Role
from features.store import StoredRow, stored_row
from serving.body import check_json
from serving.problems import RefusedError, first_error
from serving.standing import add_period

MAX_ROWS: Final = 1_000
MAX_POSITION: Final = 1_000_000_000


@dataclass(frozen=True)
class Reference:
    """That a row (`named_by`, in its `field`) names a row of another `kind`."""

    kind: str
    name: str
    named_by: str
    field: str


@dataclass(frozen=True)
class Rows:
    """The rows of a body, ready to be stored, and the distinct rows that they name and the body does not hold."""

    stored: Sequence[StoredRow]
    references: Sequence[Reference]
    single: bool

    def place(self, row_id: str, field: str) -> str:
        """Where in the body a field of a row stands, as problems name it."""
        index = next(index for index, row in enumerate(self.stored) if row.id == row_id)
        return _place(None if self.single else index, field)


def read_rows(kind: str, body: bytes, *, snapshot: bool, now: datetime) -> Rows:
    """Reads one row or an array of them. RefusedError (400) names the first wrong row by its index, and its field."""
    given = check_json(body)
    single = isinstance(given, dict) and not snapshot
    rows = [given] if single else given
    if not isinstance(rows, list) or not (snapshot or 1 <= len(rows) <= MAX_ROWS):
        wanted = f"all {kind}s as an array" if snapshot else f"one {kind} or an array of 1 to {MAX_ROWS:,}"
        raise RefusedError(400, f"body: send {wanted}", field="body")
    read, wrong = [], []
    for index, row in enumerate(rows):
        try:
            read.append(_row(kind, row, now))
        except _WrongError as error:
            wrong.append((index, error))
    if wrong:
        index, first = wrong[0]
        more = f" (and {len(wrong) - 1:,} more rows are wrong)" if len(wrong) > 1 else ""
        place = _place(None if single else index, first.field)
        raise RefusedError(400, f"{place}: {first}{more}", field=place)
    return Rows(_distinct([stored_row(row) for row in read]), _references(read), single)


class _WrongError(ValueError):
    def __init__(self, field: str | None, words: str) -> None:
        super().__init__(words)
        self.field = field


def _place(index: int | None, field: str | None) -> str:
    """`3.duration_s`, `duration_s` of a single row, `3` for a row that is none."""
    return ".".join(str(part) for part in (index, field) if part is not None) or "body"


def _row(kind: str, given: Any, now: datetime) -> CatalogueRow:
    try:
        # Strict: the models also read files, where a number may stand as text.
        row = KINDS[kind].model_validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        field, words = first_error(found)
        raise _WrongError(field, words.removeprefix(f"{field or 'body'}: ")) from None
    except RecursionError:
        raise _WrongError(None, "it is nested too deeply") from None
    if kind in _FAULTS:
        for fault in _FAULTS[kind](row, now):
            raise _WrongError(*fault)
    return row


def _of_item(row: Any, now: datetime) -> Iterator[tuple[str, str]]:
    for field in ("valid_for", "recertify_window"):
        try:
            add_period(now, getattr(row, field) or "P0D")
        except OverflowError:
            yield field, "this period is longer than any calendar"
    if row.position is not None and abs(row.position) > MAX_POSITION:
        yield "position", f"send a number of at most {MAX_POSITION:,}"
    if row.granted_by is not None:
        yield "granted_by", "this item is granted by another tenant, and can only be changed there; leave it out"
    if row.replaces == row.id:
        yield "replaces", "an item cannot replace itself; send the new version under an id of its own, or leave it out"
    if row.id in row.prerequisites:
        yield "prerequisites", "an item cannot come before itself"


def _of_assignment(row: Any, now: datetime) -> Iterator[tuple[str, str]]:
    if (row.learner_id is None) == (row.audience is None):
        yield ("audience" if row.learner_id else "learner_id"), "name either a learner_id or an audience"


_FAULTS: Final[Mapping[str, Callable[[Any, datetime], Iterator[tuple[str, str]]]]] = {
    "item": _of_item,
    "assignment": _of_assignment,
}


def _distinct(rows: Sequence[StoredRow]) -> Sequence[StoredRow]:
    seen: dict[str, int] = {}
    for index, row in enumerate(rows):
        first = seen.setdefault(row.id, index)
        if rows[first].digest != row.digest:
            raise RefusedError(
                400, f"{index}.id: rows {first} and {index} are both {row.id!r} and differ; send one", field=f"{index}.id"
            )
    return rows


def _references(rows: Iterable[CatalogueRow]) -> Sequence[Reference]:
    """The first mention of each row that is named and not given."""
    found: dict[tuple[str, str], Reference] = {}
    own: set[tuple[str, str]] = set()
    for row in rows:
        kind = type(row).__name__.lower()
        own |= {(kind, name) for name in (row.id, *(row.aliases if isinstance(row, Item | Learner) else ()))}
        for named, field, names in _named(row):
            for name in names:
                if name is not None:
                    found.setdefault((named, name), Reference(named, name, row.id, field))
    return [reference for key, reference in found.items() if key not in own]


def _named(row: CatalogueRow) -> Iterator[tuple[str, str, Iterable[str | None]]]:
    """(kind, field, names) of what a row refers to."""
    if isinstance(row, Item):
        yield "skill", "skills", row.skills
        yield "item", "prerequisites", row.prerequisites
        yield "item", "replaces", (row.replaces,)
        yield "item", "equivalent_to", row.equivalent_to
    elif isinstance(row, Learner):
        yield "role", "role_id", (row.role_id,)
        yield "learner", "manager_id", (row.manager_id,)
    elif isinstance(row, Role):
        yield "skill", "expects", row.expects
    elif isinstance(row, Assignment):
        yield "item", "item_id", (row.item_id,)
        yield "learner", "learner_id", (row.learner_id,)
