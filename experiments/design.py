"""The design of an experiment, written down before it begins: frozen, hashed, and read from a TOML file.

The smallest one has `name`, `unit`, `[allocation]` and `[primary]` with `metric` and `relative`.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cached_property
from math import floor
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

BUCKETS: Final = 10_000
"""Shares are kept to a ten-thousandth: the digits that a hash of version 2 has."""
CONTROL: Final = "control"
_EXACT: Final = 1e-6

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(gt=0)]
Unit = Literal["learner", "manager", "site"]
Direction = Literal["up", "down"]
Peeking = Literal["fixed", "always-valid"]


class DesignError(ValueError):
    """What is wrong with a design: the file, the field, and what to write instead."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Variant(_Part):
    """What the service does otherwise in an arm: values of the policy that replace those of its file, or another bundle."""

    policy: Mapping[str, JsonValue] | None = None
    bundle: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if (self.policy is None) == (self.bundle is None):
            raise ValueError("name either `policy` (a file or a table) or `bundle` (its name), so that one thing is compared")
        return self


class Goal(_Part):
    """A metric that is hoped to move. `relative`: whether the difference is a share of the control's mean.

    `direction`: which way is good; absent: as the metric is defined, and up where nothing defines it. `denominator`: the metric
    that it is divided by, unit by unit summed before (a ratio). `covariate`: a metric from before the assignment that explains
    part of it (CUPED); absent: the same metric's own rows from before, where there are any. `missing`: what a unit without a
    row means: it is left out and counted, or it stands for 0 (a count of events).
    """

    metric: Text
    relative: bool = False
    direction: Direction | None = None
    denominator: Text | None = None
    covariate: Text | None = None
    missing: Literal["exclude", "zero"] = "exclude"


class Primary(Goal):
    """The metric that decides. `minimum_effect`: the least difference worth shipping, positive, in the terms of `relative`."""

    relative: bool
    minimum_effect: Size | None = None


class Guardrail(Goal):
    """A metric that must not get worse by more than `margin`, positive, in the terms of `relative` (non-inferiority)."""

    margin: Size


class Design(_Part):
    """All that is fixed before the first exposure.

    `unit`: what is assigned as a whole: a learner, all reports of a manager, or all learners of a site (their `org_unit`).
    `audience`: only learners of any of these; none: all. `layer`: experiments of one layer never share a unit; absent: a layer
    of its own. `traffic`: the share of the layer's units that take part. `allocation`: arm -> its share of those, 0 for an arm
    that is paused. `variants`: what the service does in an arm; one without stays with champion and policy file.
    `horizon_days`: days until the result is read. `peeking`: `fixed` is read once, then; `always-valid` at any time.
    `hypothesis`: what is expected, in a sentence. `planned_units`: how many are to take part (clusters, where those are
    assigned): the always-valid interval is narrowest there. `segments`: columns by whose values the effect is shown as well.
    """

    name: Text
    unit: Unit
    allocation: Mapping[Text, Share]
    primary: Primary
    hypothesis: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None
    audience: tuple[Text, ...] = ()
    layer: Text | None = None
    traffic: Annotated[float, Field(gt=0, le=1)] = 1.0
    variants: Mapping[Text, Variant] = Field(default_factory=dict)
    goals: tuple[Goal, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    horizon_days: Annotated[int, Field(ge=1, le=730)] | None = None
    peeking: Peeking = "fixed"
    planned_units: Annotated[int, Field(ge=2)] | None = None
    segments: tuple[Text, ...] = ()

    @field_validator("allocation")
    @classmethod
    def _whole(cls, shares: Mapping[str, float]) -> Mapping[str, float]:
        if sum(share > 0 for share in shares.values()) < 2:
            raise ValueError("at least two arms have a share above 0, or there is nothing to compare")
        total = sum(shares.values())
        if abs(total - 1) > _EXACT:
            raise ValueError(
                f"the shares sum to {total:.6g}; make them sum to 1, and set `traffic` where not all units take part"
            )
        return shares

    @model_validator(mode="after")
    def _of_its_arms(self) -> Self:
        strange = [arm for arm in self.variants if arm not in self.allocation]
        if strange:
            raise ValueError(f"variants.{strange[0]}: [allocation] has no such arm; it has {', '.join(self.allocation)}")
        metrics = [one.metric for one in (self.primary, *self.goals, *self.guardrails)]
        twice = next((one for one in metrics if metrics.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"metric {twice!r} is named twice; name each once, as primary, goal or guardrail")
        return self

    @property
    def control(self) -> str:
        """The arm that the others are compared with: `control`, or the first where none has that name."""
        return CONTROL if CONTROL in self.allocation else next(iter(self.allocation))

    @property
    def treatments(self) -> tuple[str, ...]:
        """All other arms, in their order."""
        return tuple(arm for arm in self.allocation if arm != self.control)

    @cached_property
    def digest(self) -> str:
        """16 hex digits of the SHA-256 of all values that are not defaults: a field that comes later changes no older hash."""
        return hashlib.sha256(self.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:16]


def widths(shares: Mapping[str, float]) -> dict[str, int]:
    """Arm -> its number of buckets; they sum to `BUCKETS` where the shares sum to 1 (the largest remainders are rounded up)."""
    exact = {arm: round(share * BUCKETS, 6) for arm, share in shares.items()}
    found = {arm: floor(width) for arm, width in exact.items()}
    missing = round(sum(exact.values())) - sum(found.values())
    for arm in sorted(found, key=lambda arm: found[arm] - exact[arm])[:missing]:
        found[arm] += 1
    return found


def load_design(path: Path) -> Design:
    """The design of a TOML file; a policy that it names by file is read, by a path from the design's folder.

    Raises DesignError naming file and field.
    """
    return design_of(_with_policies(_read(path), path), str(path))


def design_of(given: Mapping[str, Any], source: str) -> Design:
    """A design from its values. `source`: what errors name. Raises DesignError."""
    try:
        return Design.model_validate_json(json.dumps(given))
    except ValidationError as error:
        first, more = error.errors()[0], error.error_count() - 1
        field = ".".join(str(part) for part in first["loc"] if part != "[key]")
        words = first["msg"].removeprefix("Value error, ")
        place = f"field {field}: " if field else ""
        raise DesignError(f"{source}: {place}{words}{f' (and {more} more)' if more else ''}") from None
    except TypeError as error:
        raise DesignError(f"{source}: {error}; write dates and times as text") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DesignError(f"{path}: not a readable TOML file ({error})") from None


def _with_policies(given: dict[str, Any], path: Path) -> dict[str, Any]:
    """The same with the text of each policy file in its place: what is frozen is what it says, not where it lies."""
    variants = given.get("variants")
    if not isinstance(variants, dict):
        return given
    read = {
        arm: {**one, "policy": _read(path.parent / one["policy"])}
        if isinstance(one, dict) and isinstance(one.get("policy"), str)
        else one
        for arm, one in variants.items()
    }
    return {**given, "variants": read}
