"""The Bento carries what serving imports, at the locked versions, and no test."""

import ast
import re
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROOMS = {"features", "training", "serving", "experiments", "benchmarks"}


@pytest.fixture
def bentofile() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    return found


def _imported(path: Path) -> set[str]:
    """What is imported when the file is; in `serving` also what its functions import: a fit may need more, nobody fits here."""
    names: set[str] = set()
    todo: list[ast.AST] = [ast.parse(path.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or path.is_relative_to(ROOT / "serving"):
            todo += ast.iter_child_nodes(node)
    return names


def _reachable() -> set[Path]:
    """Files of ours that `serving` imports, directly or through others."""
    found: set[Path] = set()
    todo = list((ROOT / "serving").glob("*.py"))
    while todo:
        path = todo.pop()
        if path in found:
            continue
        found.add(path)
        for name in _imported(path):
            base = ROOT / name.replace(".", "/")
            todo += [one for one in (base.with_suffix(".py"), base / "__init__.py") if one.exists()]
    return found


def test_paths_are_anchored_and_cover_what_serving_imports(bentofile: dict[str, Any]) -> None:
    included = bentofile["include"]
    assert all(path.startswith("/") for path in included)
    for path in _reachable():
        relative = f"/{path.relative_to(ROOT)}"
        assert any(relative == one or (one.endswith("/") and relative.startswith(one)) for one in included), relative


def test_packages_are_those_that_serving_imports_as_locked(bentofile: dict[str, Any]) -> None:
    lock = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    asked = dict(one.split("==") for one in bentofile["python"]["packages"])
    assert asked == {name: lock[name] for name in asked}
    known = packages_distributions()
    imported = {name.split(".")[0] for path in _reachable() for name in _imported(path)} - ROOMS
    needed = {known[name][0].lower().replace("_", "-") for name in imported if name in known}
    drivers = {"psycopg", "psycopg-binary"}  # imported by SQLAlchemy when NEXTWISE_STORE names PostgreSQL
    parts = {"opentelemetry-api", "opentelemetry-sdk"}  # of one name that many packages share
    unlisted = {"pydantic-core", *(one.lower().replace("_", "-") for one in known["opentelemetry"])}
    assert (needed - unlisted) | drivers | parts <= set(asked)
