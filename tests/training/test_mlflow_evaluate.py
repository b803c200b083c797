"""MLflow's own ranking metrics on the registered model agree with ours, target by target.

One row is one held-out item: `targets` holds that item alone, so MLflow's recall is a hit or none, and its NDCG the discount at
the item's place. The table has no ties and no restricted items, where the two would differ: see docs/mlflow.md.
"""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from features.interactions import Histories, Interactions
from training.bundle import Provenance, write_bundle
from training.evaluate import Evaluation, evaluate
from training.fit import Table
from training.models.linear import Linear
from training.splits import Task, leave_last_out
from training.tracking import Registry, Version

AT = "2026-06-01T00:00:00+00:00"


@dataclass(frozen=True)
class Registered:
    table: Table
    task: Task
    ours: Evaluation
    version: Version
    registry: Registry


@pytest.fixture(scope="module")
def registered(club_table: Table, tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> Registered:
    folder: Path = tmp_path_factory.mktemp("evaluate")
    shutil.copyfile(empty_mlflow, folder / "mlflow.db")
    rng = np.random.default_rng(0)
    histories = Histories.of([rng.permutation(24)[: rng.integers(4, 12)].tolist() for _ in range(60)], 24)
    split = leave_last_out(Interactions.of_histories(histories))  # chance has no pattern: some hits at every place, many misses
    linear = Linear(ridge=5.0, next_ridge=5.0).fit(split.train, rng=rng)
    bundle = write_bundle(
        folder,
        tenant="clubs",
        model=linear,
        vocabulary=club_table.items,
        catalogue=club_table.catalogue,
        audiences=(),
        population={"popularity": split.train.item_counts().astype(np.float32)},
        provenance=Provenance(recipe={}, data_digest=split.train.digest(), split_digest=split.digest),
    )
    registry = Registry("clubs", f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    example = {"learner_id": "ann", "history": ["i01"], "history_at": []}
    with registry.run("fit") as run:
        version = run.register(bundle, role="challenger", example=example, at=AT, tags={})
    ours = evaluate(linear, split.test, train=split.train, k=10)
    return Registered(club_table, split.test, ours, version, registry)


def frame(found: Registered) -> pd.DataFrame:
    """One row a held-out item: the history as MLflow's callers send it, and the item as the only right answer."""
    histories: Histories = found.task.histories
    ids = found.table.items.ids
    names = [[ids[item] for item in histories[row]] for row in range(len(histories))]
    return pd.DataFrame(
        {
            "learner_id": [f"l{row}" for row in found.task.learners],
            "history": names,
            "history_at": [[] for _ in names],
            "target": [[ids[item]] for item in found.task.targets],
        }
    )


@pytest.fixture(scope="module")
def theirs(registered: Registered) -> dict[str, NDArray[np.float64]]:
    """MLflow's metrics of each row."""
    model = mlflow.pyfunc.load_model(f"models:/nextwise-clubs/{registered.version.number}")

    def ranked(rows: pd.DataFrame) -> pd.Series:
        found: pd.Series = model.predict(rows, params={"limit": 10, "at": AT})["item_ids"]
        return found

    with registered.registry.run("evaluate"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # MLflow keeps these metrics but points to judges of language models
        k = {"retriever_k": 10}
        found: Any = mlflow.models.evaluate(  # type: ignore[no-untyped-call,unused-ignore]
            ranked, frame(registered), targets="target", model_type="retriever", evaluator_config=k
        )
    table = found.tables["eval_results_table"]
    return {name: table[f"{name}_at_10/score"].to_numpy(dtype=float) for name in ("recall", "ndcg")}


@pytest.mark.parametrize("metric", ["recall", "ndcg"])
def test_every_row_agrees(registered: Registered, theirs: dict[str, NDArray[np.float64]], metric: str) -> None:
    assert len(registered.ours) == 60
    assert 0.1 < registered.ours.metric(metric) < 0.9
    assert len(np.unique(registered.ours.gain("ndcg"))) > 8  # a miss, and hits at most places
    np.testing.assert_allclose(theirs[metric], registered.ours.gain(metric), rtol=0, atol=1e-9)
    assert theirs[metric].mean() == pytest.approx(registered.ours.metric(metric), abs=1e-9)
