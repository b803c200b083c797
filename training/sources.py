"""The source files that a module needs at import time, found by reading their import lines: what travels with a model."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("features", "training")


def needed_sources(module: str, root: Path = ROOT) -> frozenset[Path]:
    """The files of ours that importing `module` reads, packages' `__init__` included; lazy imports do not count."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        for path in _files(name, root) - found:
            found.add(path)
            waiting += _imported(path)
    return frozenset(found)


def copy_sources(module: str, into: Path, root: Path = ROOT) -> list[Path]:
    """Copy what `module` needs under `into`, folders kept, and return the top folders."""
    for path in needed_sources(module, root):
        target = into / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return sorted(into.iterdir())


def _files(name: str, root: Path) -> set[Path]:
    """The file of a dotted name and the `__init__` files above it; empty for what is not ours."""
    parts = name.split(".")
    if parts[0] not in ROOMS:
        return set()
    folders = [root.joinpath(*parts[:depth]) / "__init__.py" for depth in range(1, len(parts) + 1)]
    return {path for path in (*folders, root.joinpath(*parts).with_suffix(".py")) if path.is_file()}


def _imported(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
