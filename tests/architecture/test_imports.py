"""The house rules on imports, read from the code itself: each rule names the modules it allows."""

import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("features", "training", "serving", "experiments")
MAY_IMPORT = {
    "features": (),
    "training": ("features",),
    "serving": ("features", "training.bundle", "training.models", "experiments.assignment"),
    "experiments": ("features",),
}
SERVED = ("arms", "bundles", "payloads", "pipeline", "policy", "prepared")
LEAVES = {
    ("experiments.preview", "serving.policy"),
    ("experiments.report.tracked", "training.tracking"),
    *(("experiments.simulate.served", f"serving.{name}") for name in SERVED),
}
"""Modules that import one more, and that nothing of what serves imports."""
MIGRATIONS = [path.stem for path in (ROOT / "features/store/migrations").glob("v*.py")]
ONLY_IN = {
    "mlflow": {"training.tracking", "training.pyfunc"},
    "bentoml": {"serving.service"},
    "torch": {f"training.models.{name}" for name in ("sampled_softmax", "sequence_fit", "transformer")} | {"features.text"},
    "sentence_transformers": {"features.text"},
    "alembic": {"features.migrate", *(f"features.store.migrations.{name}" for name in MIGRATIONS)},
    "optuna": {"training.tune"},
    "implicit": {"training.models.als", "training.models.bpr"},
}
"""Libraries that one place stands on. `training.pyfunc` is the script MLflow loads a model from."""

LIGHT = (
    "mlflow",
    "torch",
    "sentence_transformers",
    "pandas",
    "pyarrow",
    "ibis",
    "duckdb",
    "implicit",
    "alembic",
    "psycopg",
    "pyspark",
    "optuna",
    "scipy.optimize",
    "sklearn",
    "statsmodels",
    "tea_tasting",
)
"""What the running service must do without."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*ROOMS, include_external_packages=True)


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(graph: grimp.ImportGraph, room: str) -> None:
    own = {m for m in graph.modules if within(m, (room,))}
    others = tuple(r for r in ROOMS if r != room)
    imports = {(m, target) for m in own for target in graph.find_modules_directly_imported_by(m)}
    wrong = {(m, t) for m, t in imports if within(t, others) and not within(t, MAY_IMPORT[room])}
    assert wrong - LEAVES == set()


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_is_imported_in_one_place(graph: grimp.ImportGraph, library: str) -> None:
    assert library in graph.modules
    importers = {m for m in graph.find_modules_that_directly_import(library) if within(m, ROOMS)}
    assert importers == ONLY_IN[library]


def test_only_settings_reads_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "serving").rglob("*.py")
        if "os.environ" in path.read_text("utf-8") or "getenv" in path.read_text("utf-8")
    }
    assert readers <= {"serving/settings.py"}


def test_there_is_no_fifth_package() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set(ROOMS)


def test_the_service_runs_without_training_libraries() -> None:
    code = f"import serving.service, sys; print([m for m in {LIGHT!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip().splitlines()[-1] == "[]"


def test_a_wheel_holds_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    made = [file.parent.relative_to(ROOT) for room in ROOMS for file in (ROOT / room).rglob("__init__.py")]
    assert sorted(listed) == sorted(".".join(path.parts) for path in made)
