"""A feedback loop, simulated: an earlier system shows everybody the same three items, and they take them up.

Sixty learners walk their club's items round in order by themselves. Three more items are taken up because they were shown,
whatever a learner's club; nobody would have found them alone. A model that learns from all take-ups passes that on.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.interactions import Histories, Interactions
from features.side import SideInformation
from training.config import Config
from training.evaluate import ORGANIC, Estimate, paired_difference
from training.fit import BLEND, DataError, Outcome, Table, fit
from training.summary import loop

PUSHED = (21, 22, 23)
RECIPE: dict[str, Any] = {
    "seed": 1,
    "evaluation": {"cuts": 3, "bootstrap": 100, "k": 5},
    "models": {"popularity": {}, "linear": {"ridge": 5.0, "next_ridge": 5.0}},
    "blend": {"parts": ["linear"]},  # popularity gives what nobody took up the mean: much among so few items
}


def run(table: Table, **data: Any) -> Outcome:
    return fit(
        table,
        Config.model_validate(RECIPE | {"data": data}),
        sides=lambda _: SideInformation(24),
        step=lambda _: None,
    )


@pytest.fixture(scope="module")
def pushed(club_table: Table) -> Table:
    """The clubs (without the pushed items), and the three pushed ones somewhere in everybody's year, flagged."""
    rng, own = np.random.default_rng(2), club_table.interactions
    rows, times, flags = [], [], []
    for learner in range(len(own)):
        kept = ~np.isin(own[learner], PUSHED)
        items, at = own[learner][kept], own.at[own.indptr[learner] : own.indptr[learner + 1]][kept]
        shown = np.datetime64("2025-01-15T09:00:00", "us") + rng.choice(340, size=3, replace=False) * np.timedelta64(1, "D")
        order = np.argsort(np.concatenate([at, shown]), kind="stable")
        rows.append(np.concatenate([items, rng.permutation(PUSHED)])[order].tolist())
        times.append(np.concatenate([at, shown])[order].tolist())
        flags.extend((order >= len(items)).tolist())
    histories = replace(Histories.of(rows, 24, at=times, audience=own.audience.tolist()), recommended=np.array(flags))
    return replace(club_table, interactions=Interactions.of_histories(histories, n_audiences=2, until=own.until))


@pytest.fixture(scope="module")
def outcome(pushed: Table) -> Outcome:
    return run(pushed)


def difference(outcome: Outcome, *, organic: bool) -> Estimate:
    """NDCG of the blend that learned from all minus that of the organic one, in rolling origin."""
    pooled = outcome.reports[0].pooled()
    rows = [pooled[name].within(ORGANIC) if organic else pooled[name] for name in (BLEND, "blend, organic")]
    found = paired_difference(rows[0], rows[1], rng=np.random.default_rng(0))
    assert isinstance(found, Estimate)
    return found


def test_what_was_learned_from_the_loop_helps_only_inside_it(outcome: Outcome) -> None:
    """On all targets the loop looks like skill; on what learners chose by themselves it costs accuracy."""
    assert difference(outcome, organic=False).low > 0.02
    assert difference(outcome, organic=True).high < -0.02


def test_the_report_says_both(outcome: Outcome) -> None:
    for report in outcome.reports:
        found = loop(report, resamples=1000, seed=0)
        assert found is not None
        assert isinstance(found.every, Estimate)
        assert found.every.value > 0
        assert not isinstance(found.organic, Estimate) or found.organic.value < 0  # the last items of all may be ranked alike
    first = loop(outcome.reports[0], resamples=1000, seed=0)
    assert first is not None
    assert isinstance(first.organic, Estimate)
    assert first.organic == difference(outcome, organic=True)


def test_a_recipe_may_learn_from_organic_take_ups_alone(pushed: Table, outcome: Outcome) -> None:
    clean = run(pushed, use="organic")
    history = Histories.of([[0, 1, 2]], 24)
    led, own = (np.argsort(-found.blend.score(history)[0])[:8] for found in (outcome, clean))
    assert set(PUSHED) & set(led.tolist())
    assert not set(PUSHED) & set(own.tolist())
    assert set(clean.reports[0].folds) == {"popularity", "linear", BLEND, "blend, all"}


def test_flags_alone_change_no_other_row(pushed: Table, outcome: Outcome) -> None:
    table = pushed.interactions
    plain = run(replace(pushed, interactions=replace(table, recommended=np.zeros(len(table.items), dtype=bool))))
    for flagged, other in zip(outcome.reports, plain.reports, strict=True):
        assert set(flagged.folds) - set(other.folds) == {"blend, organic"}
        assert loop(other, resamples=100, seed=0) is None
        for name in other.folds:
            assert other.pooled()[name].rank.tolist() == flagged.pooled()[name].rank.tolist()
            assert other.pooled()[name].slices[ORGANIC].all()


def test_nothing_organic_is_refused_in_words(pushed: Table) -> None:
    table = pushed.interactions
    led = replace(pushed, interactions=replace(table, recommended=np.ones(len(table.items), dtype=bool)))
    with pytest.raises(DataError, match="0 organic interactions of 0 learners"):
        run(led, use="organic")
