"""The recipe: every field is read by something, and every mistake is named with its place."""

import hashlib
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from features.side import SideInformation, indicators
from training.config import Config, ConfigError, ContentModel, line_of, read_config
from training.fit import Outcome, Table, fit
from training.summary import rows

ROOT = Path(__file__).parents[2]
SMALL = """
seed = 1
[data]
since = 2025-01-01T00:00:00Z
until = 2026-01-01T00:00:00Z
[evaluation]
cuts = 3
bootstrap = 100
[models.popularity]
[models.recent]
[models.random]
[models.als]
factors = 4
iterations = 2
[models.linear]
ridge = 5.0
next_ridge = 5.0
[models.content]
[blend]
parts = ["linear", "als", "content", "recent", "popularity"]
[models.item_knn]
neighbours = 8
[models.bpr]
factors = 4
iterations = 20
"""
OTHER: dict[str, Any] = {
    "seed": 2,
    "data.since": "2025-03-01T00:00:00Z",
    "data.until": "2025-10-01T00:00:00Z",
    "data.use": "organic",
    "evaluation.cuts": 4,
    "evaluation.ask": "first",
    "evaluation.k": 3,
    "evaluation.bootstrap": 200,
    "evaluation.seed": 8,
    "models.popularity": None,
    "models.random": None,
    "models.recent.half_life_days": 3.0,
    "models.recent.prior": 1.0,
    "models.als.factors": 6,
    "models.als.regularization": 5.0,
    "models.als.alpha": 2.0,
    "models.als.iterations": 5,
    "models.item_knn.neighbours": 2,
    "models.item_knn.shrinkage": 0.0,
    "models.item_knn.discount": 1.0,
    "models.item_knn.decay": 0.2,
    "models.bpr.factors": 5,
    "models.bpr.learning_rate": 0.01,
    "models.bpr.regularization": 0.1,
    "models.bpr.iterations": 30,
    "models.bpr.decay": 0.2,
    "models.linear.decay": 0.3,
    "models.linear.ridge": 100.0,
    "models.linear.next_ridge": 100.0,
    "models.linear.mix": 0.1,
    "models.linear.next_decay": 0.3,
    "models.linear.side": 3.0,
    "models.linear.next_side": 3.0,
    "models.content.decay": 1.0,
    "models.content.share": 1.0,
    "models.content.encoder": "another",
    "blend.parts": ["linear", "recent"],
    "data.retrain_days": 7,
    "bundle.row_entries": 1,
}
RUN_OPTIONS = {"models.als.threads", "models.als.engine", "models.bpr.threads", "models.linear.form"}
"""Change where a fit is computed and how long it takes."""
ELSEWHERE = {"models.sequence", "models.segments", "models.similarity", "ranker"}
"""Flipped in tests of their own: sequence in `models/test_sequence_settings.py`, the ranker in `test_ranked.py`."""


def leaves(model: type[BaseModel] | BaseModel, prefix: str = "") -> set[str]:
    """The names of all fields of a config, the sections of models by what the small recipe has there."""
    found: set[str] = set()
    for name in type(model).model_fields:
        value = getattr(model, name)
        nested = isinstance(value, BaseModel) and type(value).model_fields
        found |= leaves(value, f"{prefix}{name}.") if nested else {prefix + name}
    return found


def sides(encoder: str | None) -> SideInformation:
    """Texts of every item, and attributes of every other one."""
    seed = list((encoder or "none").encode())
    text = None if encoder is None else np.random.default_rng(seed).standard_normal((24, 8)).astype(np.float32)
    return SideInformation(24, text, indicators([(str(item % 5),) if item % 2 else () for item in range(24)]))


def small(**changes: Any) -> Config:
    body = tomllib.loads(SMALL)
    for name, value in changes.items():
        *sections, field = name.split(".")
        place = body
        for section in sections:
            place = place.setdefault(section, {})
        place[field] = value
        if value is None:
            del place[field]
            body["blend"]["parts"] = [part for part in body["blend"]["parts"] if part != field]
    return Config.model_validate(body)


def print_of(outcome: Outcome) -> str:
    """A digest over everything that a fit shows: ranks, intervals, and the arrays that would be served."""
    found = hashlib.sha256(str(outcome.retrain_by).encode())
    for report in outcome.reports:
        for name, evaluation in report.pooled().items():
            found.update(name.encode() + evaluation.rank.tobytes() + evaluation.learner.tobytes())
        evaluated = outcome.config.evaluation
        for row in rows(report, resamples=evaluated.bootstrap, seed=evaluated.seed):
            found.update(repr(row.metrics).encode())
    for fitted in (outcome.blend, outcome.baseline):
        for name, array in sorted(fitted.arrays().items()):
            found.update(name.encode() + np.ascontiguousarray(array).tobytes())
        found.update(repr(sorted(fitted.params().items())).encode())
    return found.hexdigest()


def run(table: Table, config: Config) -> str:
    return print_of(fit(table, config, sides=sides, step=lambda _: None))


@pytest.fixture(scope="module")
def led_table(club_table: Table) -> Table:
    """The clubs, where one take-up in nine followed a recommendation: all that a recipe can tell apart."""
    table = club_table.interactions
    return replace(club_table, interactions=replace(table, recommended=np.arange(len(table.items)) % 9 == 0))


@pytest.fixture(scope="module")
def usual(led_table: Table) -> str:
    return run(led_table, small())


def test_the_same_recipe_gives_the_same_fit(led_table: Table, usual: str) -> None:
    assert run(led_table, small()) == usual


@pytest.mark.parametrize("name", OTHER)
def test_every_field_is_read(led_table: Table, usual: str, name: str) -> None:
    assert run(led_table, small(**{name: OTHER[name]})) != usual


def test_no_field_was_forgotten_here() -> None:
    assert leaves(small()) == set(OTHER) | RUN_OPTIONS | ELSEWHERE


def test_the_encoder_of_the_content_model_gives_texts_to_all_that_read_them() -> None:
    """So what a linear part learned of texts is a champion's procedure too, though content is no part of its blend."""
    config = small(**{"blend.parts": ["linear"], "models.content.encoder": "another"})
    assert config.encoder == config.only("blend").encoder == "another"
    assert config.procedure("blend") != small(**{"blend.parts": ["linear"]}).procedure("blend")
    assert config.only("popularity").models.names == ("popularity",)
    assert small(**{"models.content": None, "blend.parts": ["linear"]}).encoder is None
    assert small(**{"models.content": "choose"}).encoder == ContentModel().encoder


def test_the_default_is_a_recipe() -> None:
    found = read_config(ROOT / "training" / "configs" / "default.toml")
    assert found.models.names == ("popularity", "recent", "segments", "als", "linear", "content", "random")
    assert found.serves == "ranker"
    assert found.evaluation.cuts >= 8


WRONG: list[tuple[str, str, str]] = [
    ("cuts = 3", "cuts = 0", ":7: field evaluation.cuts: .*greater than or equal to 1"),
    ("cuts = 3", "cutz = 3", ":7: field evaluation.cutz: unknown field; known: cuts, ask, k, bootstrap, seed"),
    ("[models.random]", "[models.oracle]", ":11: field models.oracle: unknown model; known: popularity, recent, "),
    ("factors = 4", "factor = 4", ":13: field models.als.factor: unknown field; known: factors"),
    ("ridge = 5.0", "rigde = 5.0", ":16: field models.linear.rigde: unknown field; known: decay"),
    ('"als", ', '"alz", ', ":20: field blend.parts.1: "),
    ("[models.als]\n", "[models.zzz]\n", "field models.zzz: unknown model"),
    ("[evaluation]", "[evaluation", "not readable as TOML"),
    ("seed = 1\n", "", "field seed: Field required"),
    ("ridge = 5.0", "ridge = nan", ":16: field models.linear.ridge"),
    ("until = 2026-01-01T00:00:00Z", "until = 2026-01-01T00:00:00", ":5: field data.until: .*timezone"),
    ("until = 2026-01-01T00:00:00Z", "until = 2024-01-01T00:00:00Z", ":3: field data: since is not before until"),
    ("[models.content]\n", "", r"blend.parts names content, but there is no \[models.content\]"),
    ("[models.popularity]\n[models.recent]\n", "", "names recent, popularity, but"),
    ('parts = ["linear",', 'parts = ["linear", "linear",', ":20: field blend: a part stands twice|a part stands twice"),
]


@pytest.mark.parametrize(("good", "bad", "message"), WRONG)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, good: str, bad: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(SMALL.replace(good, bad, 1))
    with pytest.raises(ConfigError, match=message):
        read_config(path)


def test_a_missing_file_names_the_default(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; the default is training/configs/default.toml"):
        read_config(tmp_path / "nowhere.toml")


def test_lines_are_found_through_sections() -> None:
    text = "a = 1\n[b]\na = 2\n[b.c]\n# a = 0\na = 3\n"
    found = [line_of(text, loc) for loc in (("a",), ("b", "a"), ("b", "c"), ("b", "c", "a"), ("z",))]
    assert found == [1, 3, 4, 6, None]


def test_equal_procedures_ignore_how_they_are_measured() -> None:
    assert small().procedure("blend") == small(**{"evaluation.cuts": 5}).procedure("blend")
    assert small().procedure("blend") != small(**{"models.als.factors": 5}).procedure("blend")
    assert small().procedure("recent") == small(**{"models.als.factors": 5}).procedure("recent")
    assert small().procedure("recent") != small().procedure("popularity")


def test_what_is_learned_from_is_a_part_of_the_procedure_and_stays_with_it() -> None:
    organic = small(**{"data.use": "organic"})
    assert organic.procedure("blend") != small().procedure("blend")
    assert organic.measured_as(small()).data.use == "organic"
    assert organic.learning_from("all") == small()
