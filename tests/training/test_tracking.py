"""The registry on a real MLflow store: what a run keeps, what an alias serves, and ranking far away from the project."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest

from training.bundle import load_bundle
from training.tracking import CHAMPION, Registry, TrackingError, Version, flat, requirements

AT = "2026-06-01T00:00:00+00:00"


@dataclass(frozen=True)
class Logged:
    registry: Registry
    tracking: str
    bundle: Path
    version: Version


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Callable[..., Path], empty_mlflow: Path) -> Logged:
    folder = tmp_path_factory.mktemp("tracking")
    shutil.copyfile(empty_mlflow, folder / "mlflow.db")
    tracking = f"sqlite:///{folder / 'mlflow.db'}"
    registry = Registry("acme", tracking, folder / "artifacts")
    bundle = tiny_bundle(folder / "bundles")
    example = {"learner_id": "ann", "history": ["excel"], "history_at": ["2026-03-01T09:00:00+00:00"]}
    with registry.run("fit") as run:
        run.params({"seed": 1, "evaluation": {"cuts": 8}})
        run.inputs("train", "a" * 64, context="train", facts={"learners": 4})
        run.metrics({"linear.ndcg": 0.5})
        run.table({"model": ["linear"], "ndcg": [0.5]}, "evaluation.json")
        run.text("seed = 1\n", "config.toml")
        version = run.register(bundle, role="challenger", example=example, at=AT, tags={"model": "linear"})
    registry.point(CHAMPION, version)
    return Logged(registry, tracking, bundle, version)


def test_the_alias_finds_the_version_and_its_bundle(logged: Logged, tmp_path: Path) -> None:
    version = logged.registry.aliased(CHAMPION)
    assert version == logged.version
    assert version.tags == {"bundle": logged.bundle.name, "role": "challenger", "model": "linear"}
    fetched = logged.registry.fetch_bundle(version, tmp_path)
    assert load_bundle(fetched).name == logged.bundle.name


def test_the_bundle_in_the_registry_has_the_same_bytes(logged: Logged, tmp_path: Path) -> None:
    fetched = logged.registry.fetch_bundle(logged.version, tmp_path)
    files = sorted(path.relative_to(logged.bundle) for path in logged.bundle.rglob("*") if path.is_file())
    assert [(fetched / file).read_bytes() for file in files] == [(logged.bundle / file).read_bytes() for file in files]


def test_no_version_behind_an_unknown_alias_or_tenant(logged: Logged) -> None:
    assert logged.registry.aliased("nobody") is None
    assert Registry("globex", logged.tracking).aliased(CHAMPION) is None
    assert Registry("globex", logged.tracking).versions() == []


def test_a_run_keeps_files(logged: Logged, tmp_path: Path) -> None:
    assert logged.registry.fetch_file(logged.version.run_id, "config.toml", tmp_path).read_text() == "seed = 1\n"
    with pytest.raises(TrackingError, match=r"has no ranks\.npz; run fit again"):
        logged.registry.fetch_file(logged.version.run_id, "ranks.npz", tmp_path)


def test_a_run_names_its_data_by_our_digest(logged: Logged) -> None:
    run = mlflow.MlflowClient(logged.tracking).get_run(logged.version.run_id)
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("train", "a" * 36)
    assert "a" * 64 in data.dataset.source
    assert run.data.params == {"seed": "1", "evaluation.cuts": "8"}


def test_files_that_are_gone_and_a_deleted_experiment_are_said_with_what_to_do(
    tmp_path: Path, tiny_bundle: Callable[..., Path], empty_mlflow: Path
) -> None:
    shutil.copyfile(empty_mlflow, tmp_path / "mlflow.db")
    registry = Registry("acme", f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    with registry.run("fit") as run:
        example = {"learner_id": "ann", "history": ["excel"], "history_at": []}
        version = run.register(tiny_bundle(tmp_path / "made"), role="challenger", example=example, at=AT, tags={})
    shutil.rmtree(tmp_path / "artifacts")
    with pytest.raises(TrackingError, match=rf"'{version.bundle}' of .* cannot be fetched: .*restore MLflow's artifacts"):
        registry.fetch_bundle(version, tmp_path / "into")
    mlflow.delete_experiment(mlflow.get_run(run.run_id).info.experiment_id)
    with (
        pytest.raises(TrackingError, match="the experiment nextwise-acme was deleted in MLflow: restore it"),
        registry.run("x"),
    ):
        pytest.fail("a run began")


def test_tags_are_readable_again(logged: Logged) -> None:
    logged.registry.tag(logged.version, gate_verdict="promoted")
    assert logged.registry.versions()[0].tags["gate.verdict"] == "promoted"


@pytest.fixture(scope="module")
def elsewhere(logged: Logged, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a new interpreter sees in an unrelated folder, where this project cannot be imported."""
    cwd = tmp_path_factory.mktemp("elsewhere")
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")  # MLflow sets the last two itself
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(cwd)}
    command = [sys.executable, "-P", "-c", ELSEWHERE, logged.tracking, AT]
    found = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    seen: dict[str, Any] = json.loads(found.stdout)
    return seen | {"stderr": found.stderr}


ELSEWHERE = """
import importlib.util, json, sys
assert not importlib.util.find_spec("training")
import mlflow, pandas as pd
tracking, at = sys.argv[1:]
mlflow.set_tracking_uri(tracking)
model = mlflow.pyfunc.load_model("models:/nextwise-acme@champion")
frame = pd.DataFrame({
    "learner_id": ["ann", "bob", "new"],
    "history": [["teams", "excel"], ["unknown"], []],
    "history_at": [["2026-03-02T09:00:00Z", "2026-03-01T09:00:00+01:00"], [], []],
})
def refusal(history, at=[], params=None):
    rows = frame.head(2).assign(history=[["excel"], history], history_at=[[], at])
    try:
        return str(model.predict(rows, params=params).to_dict("list"))
    except Exception as error:
        return str(error)

print(json.dumps({
    "refused": [
        refusal(["excel", None]),
        refusal(["excel"], ["2026"]),
        refusal(["excel"], ["soon"]),
        refusal([], params={"at": "2026-06-01"}),
    ],
    "ranked": model.predict(frame, params={"at": at}).to_dict("list"),
    "early": model.predict(frame, params={"at": "2025-06-01T00:00:00Z", "limit": 4})["item_ids"].to_list(),
    "now": len(model.predict(frame)),
    "modules": sorted(sys.modules),
    "origin": sys.modules["training.bundle"].__file__,
}))
"""


def test_ranks_in_a_clean_interpreter_far_away(elsewhere: dict[str, Any]) -> None:
    ranked = elsewhere["ranked"]
    assert ranked["learner_id"] == ["ann", "bob", "new"]
    # ann saw excel and teams, bob an id that nobody knows; `retired` is not available in 2026, `word` has the mean
    everything = ["excel", "outlook", "word", "teams"]
    assert ranked["item_ids"] == [["outlook", "word"], everything, everything]
    assert ranked["scores"][0] == [3.0, 2.5]
    assert elsewhere["now"] == 3


def test_what_a_history_must_not_hold_is_refused_through_mlflow(elsewhere: dict[str, Any]) -> None:
    missing, short, junk, local = elsewhere["refused"]
    assert "row 1: history holds None, which is not text" in missing
    assert "row 1: history_at '2026' " in short
    assert "row 1: history_at 'soon' is not an ISO time" in junk
    assert "at '2026-06-01' has no offset" in local


def test_limit_and_time_are_parameters(elsewhere: dict[str, Any]) -> None:
    assert elsewhere["early"][2] == ["excel", "outlook", "word", "retired"]


def test_ranking_far_away_is_quiet_light_and_without_this_project(elsewhere: dict[str, Any]) -> None:
    assert elsewhere["stderr"] == ""
    assert not {"torch", "implicit", "ibis", "sentence_transformers", "training.tracking"} & set(elsewhere["modules"])
    assert not elsewhere["origin"].startswith(str(Path(__file__).parents[2]))


def test_requirements_are_few_and_pinned() -> None:
    assert [line.partition("==")[0] for line in requirements()] == ["mlflow", "numpy", "pandas", "pydantic", "scipy"]
    assert all(line.partition("==")[2] for line in requirements())


def test_flat_names_nested_settings() -> None:
    assert flat({"a": {"b": 1, "c": {"d": 2}}, "e": [3]}) == {"a.b": 1, "a.c.d": 2, "e": [3]}
