"""From the cells of one CSV row to what it says as an event, or to the cell that cannot be read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring, encode_basestring_ascii
from operator import itemgetter
from typing import Final

from features.events import Verb
from features.readers.csv_cells import Times, fragments
from features.readers.csv_header import OTHER_ENCODING, Header
from features.readers.csv_map import CONTEXT, CsvMap
from features.readers.csv_text import Cells, is_text

RESULT: Final = {
    "completion": "completion",
    "success": "success",
    "score": "score",
    "duration_s": "duration",
    "progress": "progress",
}
"""The fields of a result, in their order, and what a map calls them."""
_REMEMBERED: Final = 16_384


@dataclass(slots=True)
class Fields:
    """What a row says. Result and context twice: as the content hash has them, and as the store keeps them.

    `at` and `recorded` in microseconds; `recorded` None: the row does not say. `event_id` None: the file has no ids.
    """

    line: int
    event_id: str | None
    learner: str
    verb: str
    thing: str
    at: int
    at_text: str
    recorded: int | None
    decision: str | None
    result: str
    result_stored: str | None
    context: str
    context_stored: str


class FieldReader:
    """Reads the rows under one header."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._times = Times(header.csv_map)
        self._verbs = _Verbs(header.csv_map)
        self._constant = header.csv_map.constant.value if header.csv_map.constant else None
        self._learner, self._thing, self._at = (header.places[name] for name in ("learner_id", "object_id", "occurred_at"))
        # A place that is not given is never looked at.
        self._verb = header.places.get("verb", -1)
        self._id, self._recorded, self._decision = map(header.places.get, ("event_id", "recorded_at", "decision_id"))
        self._result = _Result(header)
        self._context = _Context(header)

    def notes(self) -> list[str]:
        """What was assumed, complete after the last row."""
        return self._times.notes()

    def read(self, line: int, cells: Cells) -> Fields:
        """What the row says; ValueError for a cell that cannot be read."""
        at, at_text = self._times(cells[self._at].strip())
        recorded = None if self._recorded is None else cells[self._recorded].strip()
        return Fields(
            line,
            None if self._id is None else cells[self._id].strip(),
            cells[self._learner].strip(),
            self._constant or self._verbs[cells[self._verb].strip()],
            cells[self._thing].strip(),
            at,
            at_text,
            self._times(recorded)[0] if recorded else None,
            None if self._decision is None else cells[self._decision].strip() or None,
            *self._result.read(cells),
            *self._context.read(cells),
        )

    def explain(self, cells: Cells) -> tuple[str, str]:
        """(column, reason) of the first cell that `read` fails at."""
        for name, place in self._header.places.items():
            cell = cells[place].strip()
            try:
                self._try(name, cell)
            except ValueError as error:
                return self._header.columns[name], str(error) if cell else "the cell is empty"
        raise AssertionError("each cell can be read, the row cannot")

    def _try(self, name: str, cell: str) -> None:
        if not is_text(cell):
            raise ValueError(f"the text is not {self._header.csv_map.encoding}; {OTHER_ENCODING}")
        if name == "verb":
            self._verbs[cell]
        elif name == "occurred_at" or (name == "recorded_at" and cell):
            self._times(cell)
        elif name in self._result.readers:
            self._result.readers[name](cell)


class _Verbs(dict[str, str]):
    """The file's words for verbs. A verb's own name is known in any case."""

    def __init__(self, csv_map: CsvMap) -> None:
        super().__init__({verb.value: verb.value for verb in Verb} | {word: verb.value for word, verb in csv_map.verbs.items()})

    def __missing__(self, word: str) -> str:
        found = self.get(word.lower())
        if found is None:
            raise ValueError(f"unknown verb {word!r}; give --verb-map '{word}=VERB', where VERB is one of {', '.join(Verb)}")
        return found


class _Result:
    """The cells of an event's result, read into JSON by templates."""

    def __init__(self, header: Header) -> None:
        reader = fragments(header.csv_map)
        given = [name for name, said in RESULT.items() if said in header.places]
        self.readers: dict[str, Callable[[str], str]] = {RESULT[name]: reader[name] for name in given}
        self._read = list(self.readers.values())
        places = [header.places[said] for said in self.readers]
        self._take = itemgetter(*places) if places else None
        self._whole = "{" + ",".join(f'"{name}":{"%s" if name in given else "null"}' for name in RESULT) + "}"
        self._names = [f'"{name}":' for name in given]
        self._json = lru_cache(_REMEMBERED)(self._put_together)

    def read(self, cells: Cells) -> tuple[str, str | None]:
        """(as hashed, as stored): JSON with every field, and with those that are said."""
        return self._json(self._take(cells)) if self._take else ("null", None)

    def _put_together(self, given: str | tuple[str, ...]) -> tuple[str, str | None]:
        texts = (given,) if isinstance(given, str) else given
        found = tuple(read(text) for read, text in zip(self._read, texts, strict=True))
        said = [name + value for name, value in zip(self._names, found, strict=True) if value != "null"]
        return (self._whole % found, "{" + ",".join(said) + "}") if said else ("null", None)


class _Context:
    """The cells of an event's context: texts under their names; empty ones say nothing."""

    def __init__(self, header: Header) -> None:
        names = sorted(name for name in header.places if name.startswith(CONTEXT))
        short = [name.removeprefix(CONTEXT) for name in names]
        places = [header.places[name] for name in names]
        self._cells = [
            (place, encode_basestring_ascii(name) + ": ", encode_basestring(name) + ": ")
            for place, name in zip(places, short, strict=True)
        ]

    def read(self, cells: Cells) -> tuple[str, str]:
        if not self._cells:
            return "{}", "{}"
        hashed, stored = [], []
        for place, ascii_name, name in self._cells:
            if text := cells[place].strip():
                hashed.append(ascii_name + encode_basestring_ascii(text))
                stored.append(name + encode_basestring(text))
        return "{" + ", ".join(hashed) + "}", "{" + ", ".join(stored) + "}"
