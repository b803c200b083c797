"""Request-time features: each column worked by hand on two items."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from features.catalogue import Catalogue, Item, Role
from features.events import Evidence
from features.ranking import FEATURES, Context, ItemTable, features, gap_closed, levels_gained
from features.skills import SkillState
from features.vocabulary import Vocabulary

NOW = datetime(2026, 6, 11, tzinfo=UTC)
TEACHES = Item(
    id="a",
    title="Pivot tables",
    skills={"excel": 4, "analysis": 1},
    duration_s=900,
    available_from=datetime(2026, 6, 1, tzinfo=UTC),
)
BARE = Item(id="b", title="Welcome")
ROLE = Role(id="analyst", name="Analyst", expects={"excel": 3, "writing": 2})


@pytest.fixture
def table() -> ItemTable:
    catalogue = Catalogue(items={"a": TEACHES, "b": BARE}, skills={}, roles={"analyst": ROLE})
    return ItemTable.of(catalogue, Vocabulary(["a", "b"]), np.array([9, 0], dtype=np.float32))


def test_each_column_by_hand(table: ItemTable) -> None:
    known = {"excel": SkillState(1.0, Evidence.COMPLETED, 0.4, ("e1",), timedelta(days=365))}
    values = features(Context.of(table, known, ROLE, NOW), table, np.array([0, 1]))
    found = dict(zip(FEATURES, values[0], strict=True))
    assert found["gap_closed"] == pytest.approx(2.0)  # excel from 1 to the expected 3; level 4 does not count for more
    assert found["gap_skills"] == 1
    assert found["level_step"] == pytest.approx(((4 - 1) + (1 - 0)) / 2)
    assert found["log_popularity"] == pytest.approx(np.log(10))
    assert found["age_days"] == pytest.approx(10)
    assert found["minutes"] == pytest.approx(15)


def test_what_faded_in_a_week_is_nothing_to_close(table: ItemTable) -> None:
    known = {"excel": SkillState(2.96, Evidence.COMPLETED, 0.4, ("e1",), timedelta(days=365))}
    values = features(Context.of(table, known, ROLE, NOW), table, np.array([0]))[0]
    assert values[FEATURES.index("gap_closed")] == values[FEATURES.index("gap_skills")] == 0


def test_unknown_facts_are_nan_and_never_zero(table: ItemTable) -> None:
    values = features(Context.of(table, {}, ROLE, NOW), table, np.array([1]))
    found = dict(zip(FEATURES, values[0], strict=True))
    assert np.isnan([found["level_step"], found["age_days"], found["minutes"]]).all()
    assert found["gap_closed"] == 0


def test_without_a_role_nothing_is_a_gap(table: ItemTable) -> None:
    context = Context.of(table, {}, None, NOW)
    assert not context.gap.any()
    assert features(context, table, np.array([0]))[0, FEATURES.index("gap_closed")] == 0


def test_levels_gained_are_the_gaps_that_each_item_closes() -> None:
    rng = np.random.default_rng(1)
    levels = rng.integers(0, 6, size=(200, 9)).astype(np.float32) * (rng.random((200, 9)) < 0.3)
    none = np.zeros(200, dtype=np.float32)
    table = ItemTable(Vocabulary([f"s{n}" for n in range(9)]), levels.astype(np.float32), none, none.astype(float), none)
    context = Context(NOW, rng.random(9).astype(np.float32) * 3, np.array([4, 3, 2, 1, 0, 5, 5, 0.2, 0], dtype=np.float32))
    expected = gap_closed(context, table.levels).sum(axis=1)
    assert (expected > 0).sum() > 50
    np.testing.assert_allclose(levels_gained(context, table), expected, rtol=1e-6)
