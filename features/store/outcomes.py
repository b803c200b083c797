"""What the store says of what it was given, and how much it holds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

from features.catalogue import CatalogueRow

Outcome = Literal["accepted", "duplicate", "conflict", "suppressed"]


@dataclass(frozen=True)
class Appended:
    """What became of each given event, in the order given.

    Not stored are a conflict (same id, other content), and what is suppressed: an event of a learner who was erased after it.
    """

    outcomes: tuple[Outcome, ...]

    @property
    def accepted(self) -> int:
        return self.outcomes.count("accepted")

    @property
    def duplicates(self) -> int:
        return self.outcomes.count("duplicate")

    @property
    def conflicts(self) -> int:
        return self.outcomes.count("conflict")

    @property
    def suppressed(self) -> int:
        return self.outcomes.count("suppressed")


@dataclass(frozen=True)
class Progress:
    """How far the reading of a file came. `offset`: bytes read so far; `line`: the last line read; then rows so far.

    `key` names the reading within its tenant: whoever reads chooses it, so that another file or another way to read it
    has another one.
    """

    key: str
    offset: int = 0
    line: int = 0
    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    suppressed: int = 0

    def including(self, done: Appended) -> "Progress":
        """The same place, with a batch's outcomes counted; a conflict counts as refused."""
        return replace(
            self,
            accepted=self.accepted + done.accepted,
            duplicates=self.duplicates + done.duplicates,
            refused=self.refused + done.conflicts,
            suppressed=self.suppressed + done.suppressed,
        )


@dataclass(frozen=True)
class PutResult:
    """How many catalogue rows were new, differed from the stored version, said nothing new, or were retired by a snapshot."""

    inserted: int = 0
    changed: int = 0
    unchanged: int = 0
    retired: int = 0

    def __add__(self, other: "PutResult") -> "PutResult":
        return PutResult(
            self.inserted + other.inserted,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.retired + other.retired,
        )


class Version(NamedTuple):
    """A catalogue row as it was from `valid_from` on; `valid_to` None: it still is."""

    row: CatalogueRow
    valid_from: datetime
    valid_to: datetime | None


@dataclass(frozen=True)
class Stub:
    """A name that events speak of and the catalogue does not: how often, and when last (recorded)."""

    name: str
    events: int
    last_at: datetime


@dataclass(frozen=True)
class Counts:
    """Sizes of one tenant. Unknown learners and objects are stubs: events speak of them, the catalogue does not."""

    events: int
    decisions: int
    learners_with_events: int
    objects_with_events: int
    unknown_learners: int
    unknown_objects: int
    catalogue: Mapping[str, int]
    verbs: Mapping[str, int]
