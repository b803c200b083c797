"""A recipe with a ranker: what is checked of it, what ships and what the run, the versions and the card say of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from features.catalogue import Catalogue, Item
from features.interactions import Histories, Interactions
from features.side import SideInformation
from features.vocabulary import Vocabulary
from training import card as cards
from training.config import BLEND, RANKER, Config, ConfigError, RankerSection, read_config
from training.fit import Incumbent, Outcome, Table, fit
from training.models.ranker import FittedRanker
from training.record import incumbent, record
from training.summary import loop, rows
from training.tracking import Registry

M = 20
RECIPE: dict[str, Any] = {
    "seed": 1,
    "evaluation": {"cuts": 1, "bootstrap": 100},
    "models": {"popularity": {}, "item_knn": {}},
    "blend": {"parts": ["item_knn", "popularity"]},
    "ranker": {
        **{"parts": ["item_knn", "popularity"], "trees": 8, "leaves": 4, "smallest": 5, "fewest": 20, "best": 15},
        **{"own": 2, "folds": 2, "rate": 0.1},
    },
}


@pytest.fixture(scope="module")
def walked() -> Table:
    """120 learners each walk the 20 items, one in three with steps of two; what leads to what is told by order alone."""
    rng = np.random.default_rng(2)
    walks = [(int(first), 1 + (number % 3 == 0)) for number, first in enumerate(rng.integers(M, size=120))]
    rows = [[(first + by * step) % M for step in range(int(rng.integers(4, 9)))] for first, by in walks]
    start = np.datetime64("2025-01-01T00:00:00", "us")
    at = [[start + np.timedelta64(int(d), "D") for d in np.sort(rng.choice(300, size=len(row), replace=False))] for row in rows]
    until = start + np.timedelta64(301, "D")
    table = Interactions.of_histories(Histories.of(rows, M, at=at), n_audiences=1, until=until)
    ids = tuple(f"i{number:02d}" for number in range(M))
    catalogue = Catalogue({name: Item(id=name, title=name) for name in ids}, {}, {})
    return Table("walks", Vocabulary(ids), table, (), catalogue)


def run(table: Table, *, champion: Incumbent | None = None, **settings: Any) -> Outcome:
    config = Config.model_validate(RECIPE | {"ranker": RECIPE["ranker"] | settings})
    return fit(table, config, sides=lambda _: SideInformation(M), champion=champion, step=lambda _: None)


@pytest.fixture(scope="module")
def outcome(walked: Table) -> Outcome:
    found = run(walked)
    assert found.serves == RANKER, found.note
    return found


def test_the_ranker_is_a_row_of_both_protocols_and_ships(outcome: Outcome) -> None:
    assert isinstance(outcome.shipped, FittedRanker)
    assert outcome.weights == outcome.shipped.blend.weights
    for report in outcome.reports:
        assert set(report.folds) == {"popularity", "item_knn", BLEND, RANKER} == set(report.costs)
        assert set(report.windows) == {BLEND, RANKER}
    rolling = outcome.reports[0].pooled()
    assert rolling[RANKER].metric("ndcg") > rolling[BLEND].metric("ndcg")


def test_where_trees_do_not_help_the_validated_blend_ships_and_the_fit_says_so(walked: Table) -> None:
    said: list[str] = []
    config = Config.model_validate(RECIPE | {"ranker": RECIPE["ranker"] | {"fewest": 10_000}})
    found = fit(walked, config, sides=lambda _: SideInformation(M), step=said.append)
    assert (found.serves, found.shipped) == (BLEND, found.blend)
    assert said[-1].startswith("ranker: the blend ranks alone")
    for report in found.reports:
        assert report.pooled()[RANKER].rank.tolist() == report.pooled()[BLEND].rank.tolist()
    tables = [rows(report, resamples=100, seed=0) for report in found.reports]
    made = cards.card(found, tables, serves=BLEND, bundle="b", costs={}, chosen={})
    assert any("trees need 10000" in line for line in made["limits"])
    assert "trees need 10000" in cards.markdown(made)


def test_a_champion_of_either_kind_finds_its_row(walked: Table, outcome: Outcome) -> None:
    """A champion of before, with a blend alone, is the row of the blend; another ranker is a row of its own.

    That one fell back at every cut: its row is then the blend's.
    """
    before = Config.model_validate({name: part for name, part in RECIPE.items() if name != "ranker"})
    assert run(walked, champion=Incumbent(before, BLEND)).champion_row == BLEND
    assert run(walked, champion=Incumbent(outcome.config, RANKER)).champion_row == RANKER
    other = Config.model_validate(RECIPE | {"ranker": RECIPE["ranker"] | {"fewest": 10_000}})
    found = run(walked, champion=Incumbent(other, RANKER))
    assert found.champion_row == "champion"
    pooled = found.reports[0].pooled()
    assert pooled["champion"].rank.tolist() == pooled[BLEND].rank.tolist() != pooled[RANKER].rank.tolist()


def test_the_number_of_threads_makes_no_other_procedure() -> None:
    one, two, other = (
        Config.model_validate(RECIPE | {"ranker": RECIPE["ranker"] | more}) for more in ({}, {"threads": 2}, {"best": 14})
    )
    assert one.procedure(RANKER) == two.procedure(RANKER) != other.procedure(RANKER)
    assert one.procedure(BLEND) == other.procedure(BLEND) == other.only(BLEND).procedure(BLEND)
    assert one.only(RANKER).procedure(RANKER) == one.procedure(RANKER)


def test_what_was_recommended_is_measured_on_what_ships(walked: Table) -> None:
    from dataclasses import replace

    table = walked.interactions
    led = replace(walked, interactions=replace(table, recommended=np.arange(len(table.items)) % 5 == 0))
    report = run(led).reports[0]
    assert f"{RANKER}, organic" in report.folds
    found = loop(report, resamples=100, seed=0)
    assert found is not None
    assert found.model == RANKER


OTHER: dict[str, Any] = {
    **{"parts": ["item_knn"], "best": 5, "own": 0, "trees": 1, "leaves": 2, "rate": 0.9, "smallest": 20, "questions": 60},
    **{"rehearsals": 2, "fewest": 5_000, "folds": 7},
}


@pytest.mark.parametrize("name", OTHER)
def test_every_setting_is_read(walked: Table, outcome: Outcome, name: str) -> None:
    """Another value gives another model, or another word of how many trees help."""
    other = run(walked, **{name: OTHER[name]})
    same = other.serves == outcome.serves and other.note == outcome.note
    arrays = (found.shipped.arrays() for found in (other, outcome))
    first, second = ({key: np.asarray(array).tobytes() for key, array in each.items()} for each in arrays)
    assert not same or first != second or other.shipped.params() != outcome.shipped.params()


def test_no_setting_was_forgotten_here() -> None:
    assert set(RankerSection.model_fields) == set(OTHER) | {"threads"}


WRONG = {
    'parts = ["lineal"]': "field ranker.parts.0: unknown model 'lineal'",
    'parts = ["linear"]': r"ranker.parts names linear, but there is no \[models.linear\]",
    'parts = ["popularity", "popularity"]': "field ranker: a part stands twice",
    'parts = ["popularity"]\nbest = 300': "best = 300 and own = 10 of each of 1 parts can be 310 candidates, more than 300",
    'parts = ["popularity"]\ntree = 5': "field ranker.tree: unknown field; known: .*trees",
    'parts = ["popularity"]\nrate = nan': "field ranker.rate",
    "trees = 5": "field ranker.parts",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_section_is_refused_with_file_and_field(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'seed = 1\n[models.popularity]\n[blend]\nparts = ["popularity"]\n[ranker]\n{text}\n')
    with pytest.raises(ConfigError, match=f"recipe.toml.*{WRONG[text]}"):
        read_config(path)


@pytest.fixture(scope="module")
def run_id(outcome: Outcome, tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> str:
    folder = tmp_path_factory.mktemp("ranked")
    shutil.copyfile(empty_mlflow, folder / "mlflow.db")
    registry = Registry("walks", f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    with registry.run("fit walks") as active:
        found = record(outcome, registry, active, fit_seconds=1.0, source="", timezone=None, against=None)
    assert found.challenger.tags["model"] == RANKER
    assert found.challenger.tags["ranker"] == outcome.note
    known = incumbent(registry.fetch_bundle(found.challenger, folder / "fetched"))
    assert known is not None
    assert (known.serves, known.config.procedure(RANKER)) == (RANKER, outcome.config.procedure(RANKER))
    return active.run_id


def test_mlflow_holds_what_the_trees_look_at_and_a_model_that_ranks(run_id: str, outcome: Outcome) -> None:
    found = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/feature_importance.json"))
    shares = dict(found["data"])
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) <= set(outcome.shipped.features)  # type: ignore[union-attr]
    card = mlflow.artifacts.load_text(f"runs:/{run_id}/model_card.md")
    assert f"## Ranker\n\n{outcome.note}" in card
    assert f"| {max(shares, key=lambda name: shares[name])} |" in card
    tags = mlflow.get_run(run_id).data.tags
    assert (tags["serves"], tags["ranker"]) == (RANKER, outcome.note)
    model = mlflow.pyfunc.load_model("models:/nextwise-walks@challenger")
    import pandas as pd

    frame = pd.DataFrame([{"learner_id": "a", "history": ["i03", "i04", "i05"], "history_at": []}])
    assert model.predict(frame, params={"limit": 1})["item_ids"][0] == ["i06"]
    path = Path(mlflow.artifacts.download_artifacts("models:/nextwise-walks@challenger"))
    assert "lightgbm==" in (path / "requirements.txt").read_text()
