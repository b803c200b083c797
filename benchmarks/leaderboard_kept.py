"""Results that were measured before, kept by what they depend on: questions, code, settings and budget."""

import ast
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from features.side import SideInformation
from training.contest import Result
from training.evaluate import Evaluation
from training.sources import ROOT, needed_sources

Said = dict[str, Any]
_COSTS = ("fit_seconds", "score_ms", "peak_mb", "cpu_seconds")
_BY_TARGET = ("rank", "target", "learner", "weight")


class Kept:
    """A folder of results: KEY.json and KEY.npz each; a name that starts with the model, for people."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, model: str, *depends: str) -> Path:
        """Where a result lies that depends on these words (digests, settings)."""
        digest = hashlib.sha256("\n".join((model, *depends)).encode()).hexdigest()[:16]
        return self.folder / f"{model.lower().replace(' ', '-')}-{digest}"

    def load(self, path: Path) -> tuple[Result, Said] | None:
        """None where it was not measured yet."""
        if not path.with_suffix(".json").exists():
            return None
        said = json.loads(path.with_suffix(".json").read_text("utf-8"))
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
            slices = {name.removeprefix("slice "): arrays[name] for name in arrays.files if name.startswith("slice ")}
            rank, target, learner, weight = (arrays[name] for name in _BY_TARGET)
            found = Evaluation(rank, target, learner, weight, slices, arrays["shown"], int(arrays["k"]))
        costs = [said[name] for name in _COSTS]
        return Result(said["model"], found, tuple(said["settings"]), *costs), said

    def save(self, path: Path, result: Result, said: Said) -> None:
        """The arrays first: a file of words without them would be taken for a result."""
        own = result.evaluation
        arrays: dict[str, Any] = {name: getattr(own, name) for name in _BY_TARGET}
        arrays |= {f"slice {name}": mask for name, mask in own.slices.items()} | {"shown": _shown(own), "k": np.int64(own.k)}
        with path.with_suffix(".npz").open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        costs = {name: getattr(result, name) for name in _COSTS}
        said = {**said, **costs, "model": result.model, "settings": list(result.settings)}
        path.with_suffix(".new").write_text(json.dumps(said, indent=1) + "\n", "utf-8")
        path.with_suffix(".new").replace(path.with_suffix(".json"))  # never half a file, killed or not


def _shown(own: Evaluation) -> Any:
    if own.shown is None:
        raise ValueError("an evaluation of a slice cannot be kept: it has no lists")
    return own.shown


def side_digest(side: SideInformation) -> str:
    """SHA-256 of all that is known of the items."""
    found = hashlib.sha256(str(side.n_items).encode())
    tables = {"text": side.text, "attributes": side.attributes, "levels": side.levels, "expects": side.expects, **side.fields}
    for name, table in tables.items():
        for array in () if table is None else _arrays(table):
            found.update(f"{name} {array.dtype.str} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _arrays(table: Any) -> tuple[Any, ...]:
    return (table,) if isinstance(table, np.ndarray) else (table.indptr, table.indices, table.data)


def our_code() -> str:
    """SHA-256 of the code that our results can depend on, without comments and docstrings."""
    models = (ROOT / "training" / "models").glob("*.py")
    return code_digest({*needed_sources("training.contest"), *models})


def code_digest(files: Iterable[Path]) -> str:
    """SHA-256 of what Python files do: their syntax trees, without docstrings."""
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(file.name.encode())
        found.update(ast.dump(_bare(ast.parse(file.read_text("utf-8")))).encode())
    return found.hexdigest()


def _bare(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    return tree


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
