"""Reads sequence files: one learner a line, `learner item item ...`, oldest first. There is order, but no time."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from features.interactions import Histories
from features.vocabulary import Vocabulary


def read_sequences(path: Path) -> tuple[tuple[str, ...], list[list[str]]]:
    """(learner ids, their item ids in order). ValueError names file and line of what is broken."""
    learners: list[str] = []
    sequences: list[list[str]] = []
    seen: dict[str, int] = {}
    for number, (learner, items) in _lines(path):
        if learner in seen:
            raise ValueError(f"{path.name}, line {number}: learner {learner!r} stands on line {seen[learner]} already")
        seen[learner] = number
        learners.append(learner)
        sequences.append(items)
    if not learners:
        raise ValueError(f"{path.name}: the file is empty")
    return tuple(learners), sequences


def read_histories(path: Path) -> tuple[Vocabulary, Vocabulary, Histories]:
    """(learners, items, histories): row i is learner i, items are sorted by id, every time is NaT."""
    learners, sequences = read_sequences(path)
    items = Vocabulary.of(item for sequence in sequences for item in sequence)
    rows = [items.indices(sequence).tolist() for sequence in sequences]
    return Vocabulary(learners), items, Histories.of(rows, len(items))


def _lines(path: Path) -> Iterator[tuple[int, tuple[str, list[str]]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:  # ASCII blanks part ids: a no-break space belongs to one
                words = [word.decode("utf-8") for word in line.removeprefix(codecs.BOM_UTF8).split()]
            except UnicodeDecodeError:
                raise ValueError(f"{path.name}, line {number}: the text is not UTF-8; save the file as UTF-8") from None
            if len(words) == 1:
                raise ValueError(f"{path.name}, line {number}: learner {words[0][:80]!r} has no items{_advice(words[0])}")
            if words:
                yield number, (words[0], words[1:])


def _advice(word: str) -> str:
    found = next((mark for mark in ",;|" if mark in word), None)
    return "" if found is None else f"; a blank parts one id from the next, not {found!r}"
