"""The serving policy: how much is left to chance, and how a slate is divided into rows. Data, hashed into every decision."""

import hashlib
import logging
import os
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from features.events import Tenant
from features.progress.settings import ProgressSettings
from serving.nudging.settings import NudgeSettings
from serving.rules.language import MOST_RULES, Rule, each_once

_IDLE: Final[Mapping[str, Any]] = {
    "diversity": 0.0,
    "provider_limit": None,
    "diversify_rank": False,
    "nudges": NudgeSettings(),
    "progress": ProgressSettings(),
    "rules": (),
    "tenant_rules": {},
}
NUDGES: Final = "nudges"
_FOR_ALL: Final = frozenset({"killed", "killed_tenants", "calendar", "calendars", "holdout", "holdout_seed"})
"""What holds in every arm of an experiment: kill switches, hours, and the one holdout."""

Rules = Annotated[tuple[Rule, ...], Field(max_length=MOST_RULES)]

_LOG = logging.getLogger("nextwise")


class Policy(BaseModel):
    """`epsilon`: probability of the exploration coin per slot; `support`: the best of a row it may choose from.

    `gap_share`: share of a slate for the row of role gaps, at most. `explore_rank`: whether the coin is thrown in
    `/v1/rank`; off by default, because there the host asks for an order of its own candidates. `diversity`: from 0, the order
    of the scores, to 1, as unlike as can be (`serving.diversity`); `provider_limit`: items of one provider in a slate, more
    only where a slot would stay empty; `diversify_rank`: whether these two hold in `/v1/rank` too. `nudges`: what holds for
    `/v1/nudge`, `progress`: what progress is worth; each has a hash of its own. `rules`: what holds beyond the catalogue
    (`serving.rules`), for every tenant, and `tenant_rules` for one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epsilon: Annotated[float, Field(ge=0, lt=1)] = 0.05
    support: Annotated[int, Field(ge=1, le=1_000)] = 50
    gap_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    explore_rank: bool = False
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    provider_limit: Annotated[int | None, Field(ge=1, le=100)] = None
    diversify_rank: bool = False
    nudges: NudgeSettings = NudgeSettings()
    progress: ProgressSettings = ProgressSettings()
    rules: Rules = ()
    tenant_rules: Mapping[Tenant, Rules] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_rule_once(self) -> Self:
        for tenant in ("", *self.tenant_rules):
            each_once(self.rules_of(tenant))
        return self

    def rules_of(self, tenant: str) -> tuple[Rule, ...]:
        """Those that hold for a tenant: everybody's, then its own."""
        return (*self.rules, *self.tenant_rules.get(tenant, ()))

    @cached_property
    def digest(self) -> str:
        """16 hex digits of the SHA-256 of all values.

        A value that came later and does nothing is left out: what was decided before it came can be replayed.
        """
        idle = {name for name, nothing in _IDLE.items() if getattr(self, name) == nothing}
        return hashlib.sha256(self.model_dump_json(exclude=idle).encode()).hexdigest()[:16]


def load_policy(path: Path | None) -> Policy:
    """The policy of a TOML file, the default policy for None. Raises ValueError naming file and field."""
    if path is None:
        return Policy()
    try:
        return Policy.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{path}: field {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a readable policy ({error})") from error


def changed(policy: Policy, changes: Mapping[str, Any]) -> Policy:
    """The policy of an arm: this one with some values replaced, section by section.

    Kill switches are the file's and stay: `killed_arms` are added to those. Raises ValueError naming the field.
    """
    if "progress" in changes:
        raise ValueError("field progress: what progress is worth is the same in every arm; leave it out")
    nudges = dict(changes.get(NUDGES) or {})
    if held := sorted(_FOR_ALL.intersection(nudges)):
        raise ValueError(f"field {NUDGES}.{held[0]}: kill switches, hours and holdout are the same in every arm; leave it out")
    given = policy.model_dump(mode="json")
    if "killed_arms" in nudges:
        nudges["killed_arms"] = [*given[NUDGES]["killed_arms"], *nudges["killed_arms"]]
    try:
        return Policy.model_validate({**given, **changes, NUDGES: {**given[NUDGES], **nudges}})
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"field {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


class PolicyFile:
    """The policy of a file, read again where the file has changed: a kill switch holds from the next request on.

    A change that cannot be read is told once in the log, and what was read before goes on. The first reading raises ValueError.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._seen = path, _state(path)
        self._policy = load_policy(path)

    def current(self) -> Policy:
        """The policy as it stands; one look at the file's time."""
        found = _state(self._path)
        if found != self._seen:
            self._seen = found
            try:
                self._policy = load_policy(self._path)
            except ValueError as error:
                _LOG.error("the policy stays as it was: %s", error)
        return self._policy


def _state(path: Path | None) -> tuple[int, int, int] | None:
    try:
        found = None if path is None else os.stat(path)
    except OSError:
        return 0, 0, 0
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)
