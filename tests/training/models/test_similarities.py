"""Each kind of similarity on items few enough to work by hand."""

import numpy as np
import pytest

from features.side import SideInformation, indicators
from training.models.similarities import Similarities


def kinds(**known: object) -> Similarities:
    return Similarities.of(SideInformation(4, **known))  # type: ignore[arg-type]


def test_nearness_falls_with_the_distance_in_the_catalogue_either_way_apart() -> None:
    found = kinds(fields={"position": np.array([10, 11, 16, np.nan], dtype=np.float32)})
    np.testing.assert_allclose(found.rows("ahead5", np.array([0]))[0], [0, 1, np.exp(-1), 0], rtol=1e-5)  # 1 and 6 places on
    np.testing.assert_allclose(found.rows("behind5", np.array([2]))[0], [np.exp(-1), np.exp(-0.8), 0, 0], rtol=1e-5)
    assert not found.rows("ahead1", np.array([3])).any()
    assert found.known.tolist() == [True, True, True, False]


def test_a_rare_attribute_counts_more_than_a_common_one_and_the_sum_counts_how_much_is_shared() -> None:
    found = kinds(attributes=indicators([("common", "rare"), ("common", "own"), ("rare", "other"), ("common",)]))
    row = {kind: found.rows(kind, np.array([0]))[0] for kind in ("attributes", "rarest", "overlap")}
    assert all(values[2] > values[1] > 0 for values in row.values())
    assert row["rarest"][2] / row["rarest"][1] > row["attributes"][2] / row["attributes"][1]
    common, rare = np.log(4 / 3), np.log(4 / 2)
    np.testing.assert_allclose(row["overlap"][[0, 1, 2]], np.array([common**2 + rare**2, common**2, rare**2]) / 100, rtol=1e-5)
    np.testing.assert_allclose(row["attributes"][0], 1, rtol=1e-5)


def test_what_all_items_have_tells_none_of_them() -> None:
    found = kinds(attributes=indicators([("same",)] * 4))
    assert not found.known.any()
    assert not found.rows("overlap", np.arange(4)).any()


def test_only_the_kinds_that_the_items_have_are_there() -> None:
    text = np.eye(4, dtype=np.float32)
    assert kinds(text=text).kinds == ("text",)
    assert kinds(attributes=indicators([("a",), ("b",), (), ()])).kinds == ("attributes", "rarest", "overlap")
    with pytest.raises(KeyError, match="ahead1"):
        kinds(text=text).rows("ahead1", np.array([0]))
    with pytest.raises(ValueError, match="nothing is known"):
        kinds()
