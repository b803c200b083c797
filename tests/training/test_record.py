"""What a fit leaves in MLflow beyond what the command's tests look at: learning curves, and figures by slice."""

import json
import shutil
from pathlib import Path

import mlflow
import pytest

from features.side import SideInformation
from training.config import Config
from training.fit import Table, fit
from training.record import record
from training.tracking import Registry

RECIPE = {
    "seed": 1,
    "evaluation": {"cuts": 1, "bootstrap": 100},
    "models": {"popularity": {}, "bpr": {"factors": 4, "iterations": 6}},
    "blend": {"parts": ["bpr"]},
}


@pytest.fixture(scope="module")
def run_id(club_table: Table, tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> str:
    folder = tmp_path_factory.mktemp("record")
    shutil.copyfile(empty_mlflow, folder / "mlflow.db")
    registry = Registry("clubs", f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    outcome = fit(club_table, Config.model_validate(RECIPE), sides=lambda _: SideInformation(24), step=lambda _: None)
    with registry.run("fit clubs") as run:
        record(outcome, registry, run, fit_seconds=1.0, source="", timezone=None, against=None)
    return run.run_id


def test_a_model_learned_in_epochs_leaves_a_metric_with_steps(run_id: str) -> None:
    curve = mlflow.MlflowClient().get_metric_history(run_id, "bpr.train_auc")
    assert [point.step for point in curve] == [1, 2, 3, 4, 5, 6]
    assert all(0.2 < point.value < 1 for point in curve)
    assert curve[-1].value > curve[0].value


def test_every_model_has_its_figures_within_every_slice(run_id: str) -> None:
    found = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/evaluation.json"))
    rows = [dict(zip(found["columns"], row, strict=True)) for row in found["data"]]
    bpr = {row["slice"]: row for row in rows if (row["protocol"], row["model"]) == ("leave last out", "bpr")}
    assert {"all", "known_learners", "organic", "audience 0", "audience 1"} <= set(bpr)
    assert bpr["audience 0"]["targets"] + bpr["audience 1"]["targets"] == bpr["all"]["targets"] == 60
    parts = sum(bpr[name]["ndcg"] * bpr[name]["targets"] for name in ("audience 0", "audience 1"))
    assert parts / 60 == pytest.approx(bpr["all"]["ndcg"])
    assert bpr["all"]["ndcg_low"] <= bpr["all"]["ndcg"] <= bpr["all"]["ndcg_high"]
    assert bpr["audience 0"]["ndcg_low"] is None
