"""The serving policy: how much is left to chance, and how a slate is divided into rows. Data, hashed into every decision."""

import hashlib
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Policy(BaseModel):
    """`epsilon`: probability of the exploration coin per slot; `support`: the best of a row it may choose from.

    `gap_share`: share of a slate for the row of role gaps, at most. `explore_rank`: whether the coin is thrown in
    `/v1/rank`; off by default, because there the host asks for an order of its own candidates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epsilon: Annotated[float, Field(ge=0, lt=1)] = 0.05
    support: Annotated[int, Field(ge=1, le=1_000)] = 50
    gap_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    explore_rank: bool = False

    @cached_property
    def digest(self) -> str:
        """16 hex digits of the SHA-256 of all values."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


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
