"""What runs: a file for each experiment of a tenant, `TENANT/NAME.json`, with its phases, of which the last may be running.

A phase is a frozen design, its place among the units, and from when until when it held. It is never changed afterwards:
whatever changes an experiment ends its phase and begins another.
"""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from experiments.assignment.ranges import overlap, width, within
from experiments.design import BUCKETS, Design, widths
from features.events import Instant, Tenant

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What an experiment is called that runs here: its name is that of a file."""
_Place = Annotated[int, Field(ge=0, le=BUCKETS)]


class RecordError(ValueError):
    """A record of an experiment that cannot be followed; the message names the file and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Phase(_Part):
    """`slots`: the buckets of the layer whose units take part. `arms`: arm -> its buckets, of all that there are.

    Both are half-open ranges of ten-thousandths. `digest`: the hash of the design, by which an edit shows.
    """

    design: Design
    digest: str
    slots: tuple[tuple[_Place, _Place], ...]
    arms: dict[str, tuple[tuple[_Place, _Place], ...]]
    started_at: Instant
    stopped_at: Instant | None = None

    @model_validator(mode="after")
    def _as_it_was_frozen(self) -> Self:
        if self.digest != self.design.digest:
            raise ValueError("its design was edited after it began; undo that, and begin a new phase with `start --new-phase`")
        sizes = {arm: width(ranges) for arm, ranges in self.arms.items()}
        everywhere = [one for ranges in self.arms.values() for one in ranges]
        if sizes != widths(self.design.allocation) or overlap(everywhere, everywhere) != BUCKETS:
            raise ValueError("its ranges are not those of its allocation; they were edited: undo that, and use `reallocate`")
        if self.stopped_at is not None and self.stopped_at < self.started_at:
            raise ValueError("it stopped before it started; undo the edit of its times")
        return self

    def arm_at(self, place: int) -> str | None:
        """The arm that has a bucket."""
        return next((arm for arm, ranges in self.arms.items() if within(place, ranges)), None)


class Record(_Part):
    """An experiment of a tenant: its phases, oldest first."""

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    tenant: Tenant
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_after_another(self) -> Self:
        if any(phase.design.name != self.name for phase in self.phases):
            raise ValueError("a phase is of an experiment of another name; undo the edit")
        for before, after in zip(self.phases, self.phases[1:], strict=False):
            if before.stopped_at is None or before.stopped_at > after.started_at:
                raise ValueError("two of its phases hold at once; undo the edit of their times")
        return self

    @cached_property
    def running(self) -> Phase | None:
        """The phase that holds now."""
        last = self.phases[-1]
        return last if last.stopped_at is None else None


def record_file(folder: Path, tenant: str, name: str) -> Path:
    """Where the record of an experiment lies. Raises RecordError for a name that no file can have."""
    if NAME.fullmatch(name) is None:
        raise RecordError(
            f"an experiment that runs here cannot be called {name!r}: write a-z, 0-9, `.`, `_` and `-`, at most 64 characters"
        )
    return folder / tenant / f"{name}.json"


def read_record(path: Path) -> Record:
    """The record of a file. Raises RecordError for one that is not there or was edited."""
    try:
        found = Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise RecordError(f"{path}: there is no such experiment; `python -m experiments list` shows those there are") from None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise RecordError(f"{path}: {f'{field}: ' if field else ''}{first['msg'].removeprefix('Value error, ')}") from None
    if (found.tenant, found.name) != (path.parent.name, path.stem):
        raise RecordError(f"{path}: is the record of {found.name} of tenant {found.tenant}; put it back where it was")
    return found


def record_files(folder: Path, tenant: str) -> list[Path]:
    """The records of a tenant, by name."""
    return sorted((folder / tenant).glob("*.json"))
