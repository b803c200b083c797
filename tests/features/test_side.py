"""Side information: rows follow the items, and say what the catalogue says."""

from datetime import UTC, datetime

import numpy as np
import pytest

from features.catalogue import Catalogue, Item, ItemType, Role
from features.side import SideInformation, indicators
from features.vocabulary import Vocabulary

FULL = Item(
    id="full",
    title="Full",
    type=ItemType.VIDEO,
    duration_s=90,
    difficulty="advanced",
    languages=("en",),
    skills={"sql": 3.0, "git": 1.0},
    provider="acme",
    position=4,
    available_from=datetime(1970, 1, 3, 12, tzinfo=UTC),
    attributes={"theme": ("data", "tools"), "level": "deep", "empty": ""},
)
BARE = Item(id="bare", title="Bare")
ROLES = {"analyst": Role(id="analyst", name="Analyst", expects={"sql": 4.0, "poetry": 5.0})}
CATALOGUE = Catalogue({"full": FULL, "bare": BARE}, {}, ROLES)
ITEMS = Vocabulary(["bare", "full", "gone"])  # the catalogue does not hold the last one


def rows(side: SideInformation) -> list[int]:
    assert side.attributes is not None
    return [int(count) for count in np.diff(side.attributes.indptr)]


def test_a_catalogue_in_the_order_of_a_vocabulary() -> None:
    side = SideInformation.of_catalogue(CATALOGUE, ITEMS, roles=("unknown", "analyst"))
    assert rows(side) == [1, 8, 0]  # type; type, 2 skills, language, provider, 2 themes, level
    found = {name: values.tolist()[1] for name, values in side.fields.items()}
    assert found == {"position": 4, "minutes": 1.5, "difficulty": 3, "available": 2.5}
    assert all(np.isnan(values[[0, 2]]).all() for values in side.fields.values())
    assert side.levels is not None
    assert side.levels.tolist() == [[0, 0], [1, 3], [0, 0]]  # git, sql
    assert side.expects is not None
    assert side.expects.tolist() == [[0, 0], [0, 4]]  # no item teaches poetry
    assert side.known == ("attributes", "levels", "position", "minutes", "difficulty", "available")


def test_what_no_item_has_is_not_there() -> None:
    side = SideInformation.of_catalogue(Catalogue({}, {}, ROLES), ITEMS, roles=("analyst",))
    assert (side.n_items, side.known, side.expects) == (3, (), None)


def test_rows_follow_the_items_taken() -> None:
    text = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.float32)
    side = SideInformation.of_catalogue(CATALOGUE, ITEMS, text=text, roles=("analyst",))
    found = side.take(np.array([1, 2, 0, 1]))
    assert rows(found) == [8, 0, 1, 8]
    assert found.text is not None
    assert found.text.tolist() == [[0, 1], [0, 0], [1, 0], [0, 1]]
    np.testing.assert_array_equal(found.fields["position"], [4, np.nan, np.nan, 4])
    assert found.levels is not None
    assert found.levels[:, 1].tolist() == [3, 0, 0, 3]
    assert found.expects is side.expects


def test_indicators_count_a_word_once() -> None:
    found = indicators([("b", "a", "b"), (), ("a",)])
    assert found is not None
    assert found.dtype == np.float32
    assert found.toarray().tolist() == [[1, 1], [0, 0], [1, 0]]
    assert indicators([(), ()]) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"text": np.zeros((2, 4), np.float32)}, "side information text has 2 rows for 3 items"),
        ({"attributes": indicators([("a",)] * 4)}, "side information attributes has 4 rows for 3 items"),
        ({"levels": np.zeros((1, 1), np.float32)}, "side information levels has 1 rows for 3 items"),
        ({"fields": {"minutes": np.zeros(2, np.float32)}}, "side information minutes has 2 rows for 3 items"),
        ({"text": np.zeros(3, np.float32)}, r"side information text is float32\[3\], not float32\[3, any\]"),
        ({"text": np.zeros((3, 2))}, r"side information text is float64\[3, 2\], not float32\[3, any\]"),
        (
            {"fields": {"minutes": np.zeros((3, 1), np.float32)}},
            r"side information minutes is float32\[3, 1\], not float32\[3\]",
        ),
    ],
)
def test_what_does_not_fit_the_items_is_refused(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SideInformation(3, **given)  # type: ignore[arg-type]


def test_an_item_listed_twice_is_refused_by_the_vocabulary() -> None:
    with pytest.raises(ValueError, match="id 'bare' stands twice"):
        SideInformation.of_catalogue(CATALOGUE, Vocabulary(["bare", "full", "bare"]))
