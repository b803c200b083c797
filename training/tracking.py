"""Runs and the model registry of one tenant in MLflow: the only module of the project that imports mlflow.

(`training/pyfunc.py`, which MLflow itself runs when it loads a model, is the one exception.)
"""

import importlib.metadata
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a server that is down is said so within seconds, not minutes
}.items():
    os.environ.setdefault(_name, _value)  # before the import: MLflow reads them while it loads

import mlflow  # noqa: E402
from mlflow.data.code_dataset_source import CodeDatasetSource  # noqa: E402
from mlflow.data.meta_dataset import MetaDataset  # noqa: E402
from mlflow.entities import Metric  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.models import ModelSignature  # noqa: E402
from mlflow.models.model import ModelInfo  # noqa: E402
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema  # noqa: E402
from mlflow.types.schema import AnyType, Array  # noqa: E402

from training.bundle import read_manifest  # noqa: E402
from training.sources import copy_sources  # noqa: E402

DEFAULT_TRACKING = "sqlite:///var/mlflow.db"
DEFAULT_ARTIFACTS = Path("var/mlartifacts")
CHAMPION, CHALLENGER, BASELINE = "champion", "challenger", "baseline"
SCORING_NEEDS = ("mlflow", "numpy", "pandas", "pydantic", "scipy")
MORE_NEEDS = {"ranker": ("lightgbm",)}

# Lists of any type: as lists of strings MLflow writes None as text and cuts the ids beside it to one letter, and nobody can
# tell such a history from one of unknown items. What a list holds is checked where it is read, in `training.pyfunc`.
_LIST = Array(AnyType())  # type: ignore[no-untyped-call,unused-ignore]
_SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec(DataType.string, "learner_id"),
            ColSpec(_LIST, "history"),
            ColSpec(_LIST, "history_at"),
        ]
    ),
    outputs=Schema(
        [
            ColSpec(DataType.string, "learner_id"),
            ColSpec(Array(DataType.string), "item_ids"),
            ColSpec(Array(DataType.double), "scores"),
        ]
    ),
    params=ParamSchema([ParamSpec("limit", DataType.long, 10), ParamSpec("at", DataType.string, "")]),
)


class _Named(MetaDataset):
    """A data set known by name and digest only: MLflow gets no rows of people."""

    @property
    def profile(self) -> None:
        return None


_CONTENT, _RETRAIN_BY = "bundle.content", "bundle.retrain_by"


class TrackingError(Exception):
    """The registry does not hold what was asked for; the message says what to run."""


@dataclass(frozen=True)
class Version:
    """One registered version; `tags` hold at least `bundle` (its name) and `role` (challenger or baseline)."""

    number: int
    run_id: str
    tags: Mapping[str, str]

    @property
    def bundle(self) -> str:
        return self.tags.get("bundle", "")

    @property
    def content(self) -> str:
        """Equal for versions that were learned from equal data by an equal recipe, whenever that was."""
        return self.tags.get(_CONTENT) or self.bundle

    @property
    def retrain_by(self) -> date | None:
        """The day by which its bundle is to be retrained; None where it names none."""
        found = self.tags.get(_RETRAIN_BY)
        return None if found is None else date.fromisoformat(found)


class Run:
    """An active run: what a fit writes down."""

    def __init__(self, run_id: str, model_name: str) -> None:
        self.run_id = run_id
        self.status = "FINISHED"
        self._model_name = model_name

    @contextmanager
    def child(self, name: str, *, tags: Mapping[str, str]) -> "Iterator[Run]":
        """A run below this one, which is active until it ends; `status` of it may be set to FAILED without raising."""
        with _ending(mlflow.start_run(run_name=name, nested=True, tags=dict(tags)), self._model_name) as run:
            yield run

    def tags(self, values: Mapping[str, str]) -> None:
        mlflow.set_tags(dict(values))

    def curve(self, name: str, values: Sequence[float]) -> None:
        """One metric with a value of each epoch, from step 1 on."""
        now = int(time.time() * 1000)
        found = [Metric(name, float(value), now, step) for step, value in enumerate(values, start=1)]
        mlflow.MlflowClient().log_batch(self.run_id, metrics=found)

    def params(self, values: Mapping[str, Any]) -> None:
        """Nested settings, flattened to `section.field`."""
        mlflow.log_params(flat(values))

    def metrics(self, values: Mapping[str, float]) -> None:
        mlflow.log_metrics(dict(values))

    def inputs(self, name: str, digest: str, *, context: str, facts: Mapping[str, Any]) -> None:
        """A data set by our digest (MLflow keeps the first 36 characters; the whole stands among its source's tags)."""
        source = CodeDatasetSource(tags={"sha256": digest, **{key: str(value) for key, value in facts.items()}})
        mlflow.log_input(_Named(source, name=name, digest=digest[:36]), context=context)

    def table(self, columns: Mapping[str, Sequence[Any]], file: str) -> None:
        mlflow.log_table({key: list(values) for key, values in columns.items()}, file)

    def file(self, path: Path, folder: str | None = None) -> None:
        mlflow.log_artifact(str(path), folder)

    def text(self, text: str, file: str) -> None:
        mlflow.log_text(text, file)

    def register(
        self,
        bundle: Path,
        *,
        role: str,
        example: Mapping[str, Any],
        at: str,
        tags: Mapping[str, str],
        card: Path | None = None,
        description: str = "",
    ) -> Version:
        """Log a bundle folder as a model that ranks without this project, and register it as the next version.

        `card`, a file, is kept in the model's folder beside the bundle; `description` is Markdown for the version.
        """
        beside = {} if card is None else {"card": str(card)}
        with tempfile.TemporaryDirectory() as code:
            info = mlflow.pyfunc.log_model(
                name=role,
                python_model=str(Path(__file__).with_name("pyfunc.py")),
                artifacts={"bundle": str(bundle), **beside},
                code_paths=[str(path) for path in copy_sources("training.bundle", Path(code))],
                signature=_SIGNATURE,
                input_example=([dict(example)], {"limit": 10, "at": at}),
                pip_requirements=requirements(_kind(bundle)),
                metadata={"bundle": bundle.name, "role": role},
            )
        given = {"bundle": bundle.name, "role": role, **_said(bundle), **tags}
        return Version(_next_version(self._model_name, info, self.run_id, given, description), self.run_id, given)


class Registry:
    """The experiment and the registered model `nextwise-TENANT`."""

    def __init__(self, tenant: str, tracking: str = DEFAULT_TRACKING, artifacts: Path = DEFAULT_ARTIFACTS) -> None:
        self.name = f"nextwise-{tenant}"
        _quiet()
        if tracking.startswith("sqlite:///"):
            Path(tracking.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(tracking)
        mlflow.set_registry_uri(tracking)
        self._artifacts = (artifacts / self.name).absolute().as_uri()
        self._client = mlflow.MlflowClient(tracking, tracking)

    @contextmanager
    def run(self, name: str, *, tags: Mapping[str, str] | None = None) -> Iterator[Run]:
        """A new run; it ends FAILED when the block raises, KILLED on Ctrl-C."""
        experiment = self._client.get_experiment_by_name(self.name)
        if experiment is not None and experiment.lifecycle_stage != "active":
            how = f"restore it (mlflow experiments restore -x {experiment.experiment_id}) or remove it for good (mlflow gc)"
            raise TrackingError(f"the experiment {self.name} was deleted in MLflow: {how}")
        found = experiment.experiment_id if experiment else self._client.create_experiment(self.name, self._artifacts)
        mlflow.set_experiment(experiment_id=found)
        with _ending(mlflow.start_run(run_name=name, tags=dict(tags or {})), self.name) as run:
            yield run

    def aliased(self, alias: str) -> Version | None:
        """The version an alias points at, None where there is none."""
        try:
            found = self._client.get_model_version_by_alias(self.name, alias)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return Version(int(found.version), found.run_id or "", dict(found.tags))

    def again(self, version: Version) -> Version:
        """A version with the tags it has by now."""
        found = self._client.get_model_version(self.name, str(version.number))
        return Version(version.number, version.run_id, dict(found.tags))

    def versions(self) -> list[Version]:
        """All registered versions, newest first."""
        found = self._client.search_model_versions(f"name = '{self.name}'")
        return sorted((Version(int(v.version), v.run_id or "", dict(v.tags)) for v in found), key=lambda v: -v.number)

    def point(self, alias: str, version: Version) -> None:
        """Move an alias to a version."""
        self._client.set_registered_model_alias(self.name, alias, str(version.number))

    def tag(self, version: Version, **tags: str) -> None:
        """Tag a version; `gate_verdict` becomes `gate.verdict`."""
        for key, value in tags.items():
            self._client.set_model_version_tag(self.name, str(version.number), key.replace("_", ".", 1), value)

    def write(self, run_id: str, text: str, file: str) -> None:
        """Add a text file to a run, also to one that has ended."""
        self._client.log_text(run_id, text, file)

    def fetch_bundle(self, version: Version, into: Path) -> Path:
        """The bundle folder of a version, copied under `into`."""
        uri, why = f"models:/{self.name}/{version.number}", "MLflow's artifacts hold no such folder"
        try:
            copied = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(into)))
            if version.bundle and (found := copied / "artifacts" / version.bundle).is_dir():
                return found
        except (MlflowException, FileNotFoundError) as error:
            why = str(error)
        raise TrackingError(
            f"bundle {version.bundle!r} of {self.name} version {version.number} cannot be fetched: {why}; "
            "restore MLflow's artifacts, or point the alias in MLflow at a version that has its files"
        )

    def fetch_file(self, run_id: str, file: str, into: Path) -> Path:
        """An artifact of a run, copied under `into`."""
        try:
            return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=file, dst_path=str(into)))
        except (MlflowException, OSError) as error:
            raise TrackingError(f"run {run_id} has no {file}; run fit again") from error


@contextmanager
def _ending(active: mlflow.ActiveRun, model_name: str) -> Iterator[Run]:
    """The run while the block lasts, ended with the status that what happened there has."""
    run = Run(active.info.run_id, model_name)
    try:
        yield run
    except BaseException as error:
        mlflow.end_run("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    mlflow.end_run(run.status)


def _next_version(name: str, info: ModelInfo, run_id: str, tags: Mapping[str, str], description: str) -> int:
    """Register a logged model. By the client, which says nothing on standard error and sets the tags in one step."""
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    found = client.create_model_version(
        name, info.model_uri, run_id, dict(tags), description=description or None, model_id=info.model_id
    )
    return int(found.version)


def requirements(kind: str = "") -> list[str]:
    """What scoring by a bundle of this kind needs, pinned to what is installed."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in (*SCORING_NEEDS, *MORE_NEEDS.get(kind, ()))]


def _said(bundle: Path) -> dict[str, str]:
    """What is asked of a version later without fetching its bundle."""
    manifest = read_manifest(bundle)
    by = manifest.retrain_by
    return {} if by is None else {_CONTENT: manifest.content, _RETRAIN_BY: by.isoformat()}


def _kind(bundle: Path) -> str:
    return str(json.loads((bundle / "manifest.json").read_text("utf-8"))["kind"])


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return found


def _quiet() -> None:
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
