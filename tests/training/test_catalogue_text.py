"""A bundle's catalogue is read a row at a time, to what the whole text says; what is none is refused."""

import json

import pytest

from features.catalogue import Catalogue, Item, Role, Skill
from features.pieces import resting
from training.catalogue_text import catalogue_of, catalogue_text

ITEMS = [Item(id=f"i{n}", title='A "title", of ] and }', skills={"talk": n % 5}) for n in range(60)]
FULL = Catalogue(
    {one.id: one for one in ITEMS}, {"talk": Skill(id="talk", name="Talk")}, {"boss": Role(id="boss", name="Boss")}
)
EMPTY = Catalogue({}, {}, {})


@pytest.mark.parametrize("catalogue", [FULL, EMPTY])
@pytest.mark.parametrize("indent", [None, 1])
def test_what_was_written_is_read_again(catalogue: Catalogue, indent: int | None) -> None:
    text = json.dumps(json.loads(catalogue_text(catalogue)), indent=indent)
    assert catalogue_of(text) == catalogue


def test_there_is_a_rest_after_some_rows() -> None:
    rests: list[None] = []
    with resting(lambda: rests.append(None)):
        catalogue_of(catalogue_text(FULL))
    assert len(rests) >= 3


BROKEN = {
    "nothing": "",
    "a list": "[]",
    "cut off": catalogue_text(FULL)[:-1],
    "cut off in a row": catalogue_text(FULL)[:200],
    "more": catalogue_text(FULL) + "{}",
    "a kind is missing": '{"items": [], "roles": []}',
    "an unknown kind": '{"items": [], "learners": [{"id": "ana"}], "roles": [], "skills": []}',
    "a list of no rows": '{"items": [1], "roles": [], "skills": []}',
    "an object for a list": '{"items": {}, "roles": [], "skills": []}',
    "no comma": '{"items": [] "roles": [], "skills": []}',
    "a comma too many": '{"items": [], "roles": [], "skills": [],}',
    "no item": '{"items": [{"id": "i"}], "roles": [], "skills": []}',
    "too deep": '{"items": [' + "[" * 100_000,
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=list(BROKEN))
def test_what_is_no_catalogue_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError, RecursionError)):
        catalogue_of(text)
