"""The gate as a table: what the three differences are, and who serves."""

import pytest

from training.estimates import Estimate, Inconclusive
from training.gate import Difference, Incumbent, decide

NONE = Inconclusive("3 learners, an interval needs at least 10")


def between(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 100)


TABLE: list[tuple[str, Difference, Incumbent | None, str]] = [
    ("no champion, clearly above the baseline", between(0.01, 0.03), None, "challenger"),
    ("no champion, just above the baseline", between(1e-6, 0.03), None, "challenger"),
    ("no champion, at the bound is not above it", between(0.0, 0.03), None, "baseline"),
    ("no champion, better by estimate only", between(-0.001, 0.03), None, "baseline"),
    ("no champion, nothing can be stated", NONE, None, "baseline"),
    ("better than both", between(0.01, 0.03), Incumbent(between(0.001, 0.01), between(0.01, 0.02)), "challenger"),
    ("non-inferior to the champion", between(0.01, 0.03), Incumbent(between(-0.0049, 0.01), between(0.01, 0.02)), "challenger"),
    ("at the margin is not above it", between(0.01, 0.03), Incumbent(between(-0.005, 0.01), between(0.01, 0.02)), "champion"),
    ("worse than the champion", between(0.01, 0.03), Incumbent(between(-0.05, -0.03), between(0.03, 0.06)), "champion"),
    (
        "not above the baseline, champion is",
        between(-0.01, 0.03),
        Incumbent(between(-0.004, 0.01), between(0.01, 0.02)),
        "champion",
    ),
    (
        "champion better by estimate only",
        between(-0.01, 0.03),
        Incumbent(between(-0.02, 0.01), between(-0.01, 0.02)),
        "champion",
    ),
    (
        "champion below the baseline too",
        between(-0.01, 0.01),
        Incumbent(between(-0.004, 0.01), between(-0.02, 0.01)),
        "baseline",
    ),
    ("champion is the baseline", between(-0.01, 0.01), Incumbent(between(-0.01, 0.01), between(0.0, 0.0)), "baseline"),
    ("no evidence at all, nothing changes", NONE, Incumbent(NONE, NONE), "champion"),
    ("champion cannot be compared", between(0.01, 0.03), Incumbent(NONE, between(0.01, 0.03)), "champion"),
    ("the same recipe on new data", between(0.01, 0.03), Incumbent(between(0.0, 0.0), between(0.01, 0.03), True), "challenger"),
]


@pytest.mark.parametrize(("challenger", "incumbent", "serve"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_who_serves(challenger: Difference, incumbent: Incumbent | None, serve: str) -> None:
    verdict = decide(challenger, baseline="recent", champion=incumbent)
    assert verdict.serve == serve
    assert verdict.promote == (serve == "challenger")


def test_the_reason_gives_the_figures_and_names_the_baseline() -> None:
    verdict = decide(between(-0.01, 0.03), baseline="recent")
    assert verdict.words == "baseline serves"
    assert verdict.reason == (
        "no champion yet; to the best baseline, recent, NDCG differs by +0.0100 [-0.0100, +0.0300] (100 learners): "
        "the lower bound is not above +0.000; so recent serves"
    )


def test_the_reason_says_when_recipes_are_equal() -> None:
    same = Incumbent(between(0.0, 0.0), between(0.01, 0.02), same_recipe=True)
    assert "the same recipe" in decide(between(0.01, 0.02), baseline="recent", champion=same).reason


def test_the_reason_says_why_nothing_can_be_stated() -> None:
    assert "3 learners, an interval needs at least 10" in decide(NONE, baseline="recent").reason
