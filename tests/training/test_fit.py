"""The fit on two clubs whose next item is plain from the history: what wins, what is chosen where, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from features.side import SideInformation, indicators
from training import lineup
from training.config import Config
from training.fit import BLEND, CHAMPION, DataError, Incumbent, Outcome, Table, check, fit, select
from training.models.content import ContentConfig
from training.models.linear import Linear
from training.splits import leave_last_out, rolling_origin

RECIPE: dict[str, Any] = {
    "seed": 1,
    "evaluation": {"cuts": 3, "bootstrap": 100},
    "models": {"popularity": {}, "recent": {}, "linear": {"ridge": 5.0, "next_ridge": 5.0}, "random": {}},
    "blend": {"parts": ["linear", "recent", "popularity"]},
}


def no_texts(encoder: str | None) -> SideInformation:
    assert encoder is None, f"no model reads texts, yet {encoder} was asked for"
    return SideInformation(24)


def run(table: Table, recipe: dict[str, Any] = RECIPE, champion: Incumbent | None = None) -> Outcome:
    return fit(table, Config.model_validate(recipe), sides=no_texts, champion=champion, step=lambda _: None)


@pytest.fixture(scope="module")
def outcome(club_table: Table) -> Outcome:
    return run(club_table)


def test_both_protocols_report_every_model_and_the_blend(outcome: Outcome) -> None:
    assert [report.protocol for report in outcome.reports] == ["rolling origin", "leave last out"]
    for report in outcome.reports:
        assert set(report.folds) == {"popularity", "recent", "linear", "random", BLEND} == set(report.costs)
    assert [len(report.folds[BLEND]) for report in outcome.reports] == [3, 1]


def test_the_model_that_sees_the_pattern_wins(outcome: Outcome) -> None:
    found = {name: evaluation.metric("ndcg") for name, evaluation in outcome.reports[0].pooled().items()}
    assert found["linear"] > found["popularity"] + 0.1
    assert found[BLEND] > found["popularity"] + 0.1
    assert outcome.choices.weights["linear"] > 0


def test_the_served_blend_knows_everything_and_ranks_new_histories(outcome: Outcome) -> None:
    assert outcome.baseline_name in ("popularity", "recent")
    scores = outcome.blend.score(Histories.of([[14, 15, 16]], 24, audience=[0]))
    scores[0, [14, 15, 16]] = np.nan
    assert int(np.nanargmax(scores[0])) == 17
    counts = outcome.table.interactions.item_counts()
    assert outcome.reports[0].train[-1].item_counts().sum() < counts.sum()


def twisted(table: Table, marked: np.ndarray) -> Table:
    """The table with other items where marked (bool[nnz]), none of which their learner ever took up; all else stays."""
    before, rng = table.interactions, np.random.default_rng(0)
    items = np.array(before.items)
    for row in range(len(before)):
        own = np.arange(before.indptr[row], before.indptr[row + 1])
        late = own[marked[own]]
        items[late] = rng.permutation(np.setdiff1d(np.arange(24), items[own]))[: len(late)]
    return replace(table, interactions=replace(before, items=items))


def test_choices_for_a_cut_do_not_see_what_is_scored_there(club_table: Table, outcome: Outcome) -> None:
    """What happens from the last cut on is replaced by other items: no figure before that cut moves."""
    other = run(twisted(club_table, club_table.interactions.at >= outcome.reports[0].cuts[-1]))
    assert other.choices.weights != outcome.choices.weights  # what is shipped is chosen in that last window
    for name in outcome.reports[0].folds:
        before, after = outcome.reports[0].folds[name], other.reports[0].folds[name]
        assert [fold.rank.tolist() for fold in before[:-1]] == [fold.rank.tolist() for fold in after[:-1]], name
        assert before[-1].target.tolist() != after[-1].target.tolist()


def test_choices_for_the_last_cut_do_not_see_its_own_window(club_table: Table, outcome: Outcome) -> None:
    """Only the end of the last window is replaced: the questions before that are ranked as they were."""
    cut, times = outcome.reports[0].cuts[-1], club_table.interactions.at
    other = run(twisted(club_table, times >= np.sort(times[times >= cut])[20]))
    assert other.choices.weights != outcome.choices.weights
    for name in outcome.reports[0].folds:
        before, after = outcome.reports[0].folds[name][-1], other.reports[0].folds[name][-1]
        early = before.target == after.target
        assert 0 < np.count_nonzero(early) < len(early)
        assert before.rank[early].tolist() == after.rank[early].tolist(), name


def test_what_was_recorded_after_everything_is_only_ever_a_target(club_table: Table) -> None:
    """A third of the take-ups become known years later: whatever they were, no other rank moves."""
    table = club_table.interactions
    late = np.random.default_rng(5).random(len(table.items)) < 1 / 3
    recorded = np.where(late, np.datetime64("2030-01-01T00:00:00", "us"), table.at)
    slow = replace(club_table, interactions=replace(table, known_at=recorded))
    one, other = run(slow).reports[0], run(twisted(slow, late)).reports[0]
    for name in one.folds:
        for before, after in zip(one.folds[name], other.folds[name], strict=True):
            same = before.target == after.target
            assert 0 < np.count_nonzero(same) < len(same)
            assert before.rank[same].tolist() == after.rank[same].tolist(), name


def test_everything_is_evaluated_on_relabelled_ids(outcome: Outcome) -> None:
    """The trained tables are those of the split under other numbers: as many take-ups, at other items and learners."""
    table = outcome.table.interactions
    folds = [*rolling_origin(table, cuts=3), leave_last_out(table)]
    for plain, met in zip(folds, [train for report in outcome.reports for train in report.train], strict=True):
        for found, given in ((met.item_counts(), plain.train.item_counts()), (met.lengths, plain.train.lengths)):
            assert sorted(found) == sorted(given)
            assert found.tolist() != given.tolist()


def test_texts_follow_the_relabelled_items(club_table: Table) -> None:
    """Each item's text lies near those of the items before and after it in its club: content beats popularity."""
    angle = 2 * np.pi * np.arange(24) / 12
    texts = np.stack([np.cos(angle), np.sin(angle), np.arange(24) // 12 * 2.0 - 1], axis=1).astype(np.float32)
    models = {"popularity": {}, "content": {"decay": 0.5}}
    config = Config.model_validate(RECIPE | {"models": models, "blend": {"parts": ["content"]}})
    found = fit(club_table, config, sides=lambda _: SideInformation(24, texts), step=lambda _: None)
    for report in found.reports:
        pooled = report.pooled()
        assert pooled["content"].metric("ndcg") > pooled["popularity"].metric("ndcg") + 0.1


def test_settings_are_chosen_on_renumbered_items_and_bound_again_to_those_that_are_served(club_table: Table) -> None:
    """Each club is an attribute: content chosen on validation ranks the own club first, under the served numbering."""
    side = SideInformation(24, attributes=indicators([(str(item // 12),) for item in range(24)]))
    models = {"popularity": {}, "content": "choose"}
    config = Config.model_validate(RECIPE | {"models": models, "blend": {"parts": ["content"]}})
    found = fit(club_table, config, sides=lambda _: side, step=lambda _: None)
    chosen = found.choices.settings["content"]
    assert isinstance(chosen, ContentConfig)
    assert chosen.share == 1  # nothing but attributes
    best = np.argsort(-found.blend.score(Histories.of([[14, 15]], 24))[0])[:12]
    assert sorted(best) == list(range(12, 24))


def test_the_linear_grid_is_searched_when_asked(club_table: Table) -> None:
    recipe = RECIPE | {"models": {**RECIPE["models"], "linear": "choose"}}
    chosen = run(club_table, recipe).choices.settings["linear"]
    assert isinstance(chosen, Linear)
    assert chosen.ridge >= 50 or chosen.mix == 1  # from the grid, not the fixed 5.0


def test_a_baseline_may_be_tuned_as_well(club_table: Table) -> None:
    recipe = RECIPE | {"models": {**RECIPE["models"], "recent": "choose"}}
    chosen = run(club_table, recipe).choices.settings
    assert list(chosen) == ["recent"]
    assert chosen["recent"] in lineup.settings("recent", 24, None)


def test_without_times_only_leave_last_out(club_table: Table) -> None:
    table = club_table.interactions
    undated = Interactions.of_histories(Histories.of([table[row].tolist() for row in range(len(table))], 24))
    found = run(replace(club_table, interactions=undated))
    assert [report.protocol for report in found.reports] == ["leave last out"]
    assert found.reports[0].cuts == ()


def test_a_champion_of_the_same_recipe_has_the_same_row(club_table: Table, outcome: Outcome) -> None:
    found = run(club_table, champion=Incumbent(outcome.config, BLEND))
    assert found.champion_row == BLEND
    assert CHAMPION not in found.reports[0].folds


def test_a_champion_that_is_a_baseline_is_its_row(club_table: Table, outcome: Outcome) -> None:
    assert run(club_table, champion=Incumbent(outcome.config, "recent")).champion_row == "recent"


def test_a_champion_of_another_recipe_gets_a_row_on_the_same_targets(club_table: Table) -> None:
    other = RECIPE | {"blend": {"parts": ["popularity"]}, "evaluation": {"cuts": 5, "k": 3}}
    found = run(club_table, champion=Incumbent(Config.model_validate(other), BLEND))
    assert found.champion_row == CHAMPION
    row, popularity = found.reports[0].pooled()[CHAMPION], found.reports[0].pooled()["popularity"]
    assert row.target.tolist() == popularity.target.tolist()
    assert row.rank.tolist() == popularity.rank.tolist()  # a blend of popularity alone ranks as popularity does


def test_data_since_and_until(club_table: Table) -> None:
    window = {"since": "2025-03-01T00:00:00Z", "until": "2025-06-01T00:00:00Z"}
    kept = select(club_table.interactions, Config.model_validate(RECIPE | {"data": window}))
    assert kept.at.min() >= np.datetime64("2025-03-01")
    assert kept.at.max() < np.datetime64("2025-06-01")
    assert kept.until == np.datetime64("2025-06-01T00:00:00")
    assert len(kept) == len(club_table.interactions)


def test_data_until_leaves_out_what_was_recorded_later(club_table: Table) -> None:
    table, until = club_table.interactions, np.datetime64("2025-06-01T00:00:00", "us")
    late = np.arange(len(table.items)) % 7 == 0
    config = Config.model_validate(RECIPE | {"data": {"until": "2025-06-01T00:00:00Z"}})
    kept = select(replace(table, known_at=np.where(late, until, table.at)), config)
    assert len(kept.items) == np.count_nonzero((table.at < until) & ~late) < np.count_nonzero(table.at < until)
    assert (kept.known_at < until).all()


@pytest.mark.parametrize("rows", [[], [[]], [[0, 1, 2]], [[0], [0]], [[], [1, 0]]])
def test_one_learner_one_item_or_nothing_is_refused(rows: list[list[int]]) -> None:
    with pytest.raises(DataError, match="a fit needs at least 2 learners and 2 items"):
        check(Interactions.of_histories(Histories.of(rows, 3)))


def test_too_few_times_for_the_cuts_names_the_field(club_table: Table) -> None:
    at = [[np.datetime64("2025-01-01", "us")] * 2] * 3
    table = Interactions.of_histories(Histories.of([[0, 1], [1, 2], [2, 0]], 24, at=at))
    with pytest.raises(DataError, match=r"evaluation.cuts = 3"):
        run(replace(club_table, interactions=table))


def test_nobody_with_two_items_is_refused(club_table: Table) -> None:
    table = Interactions.of_histories(Histories.of([[0], [1], [2]], 24))
    with pytest.raises(DataError, match="no learner has two items"):
        run(replace(club_table, interactions=table))


def test_every_asks_each_new_item_after_the_history_at_that_moment() -> None:
    days = [np.datetime64("2025-01-01", "us") + np.timedelta64(day, "D") for day in range(9)]
    # ann takes up 0..5 on days 0..5, bob 0..2 on days 6..8: cuts at a third and two thirds of the events
    table = Interactions.of_histories(Histories.of([[0, 1, 2, 3, 4, 5], [0, 1, 2]], 6, at=[days[:6], days[6:]]))
    (fold,) = rolling_origin(table, cuts=1, ask="every")
    asked = [fold.test.histories[row].tolist() for row in range(len(fold.test))]
    assert fold.cut == days[6]
    assert asked == [[], [0], [0, 1]]
    assert fold.test.targets.tolist() == [0, 1, 2]
    assert fold.train.item_counts().tolist() == [1] * 6
    (first,) = rolling_origin(table, cuts=1, ask="first")
    assert [first.test.histories[row].tolist() for row in range(len(first.test))] == [[]]
