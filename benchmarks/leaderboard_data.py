"""What the leaderboard is measured on: two public logs, the embedded organisation, or a log of the user's own."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from features.text import item_text
from training.inputs import read_table
from training.leaderboard import Dataset, Format, Protocol, load

BOTH = (Protocol.LEAVE_LAST_OUT, Protocol.ROLLING_ORIGIN)
TENANT, MARS = "organisation", "mars"
OWN = ""
"""The name of a log of the user's own, whatever its file is called."""


@dataclass(frozen=True)
class Source:
    """A log, where it lies under the data folder, and the protocols that it allows.

    `seconds`: processor seconds in which a peer may search, over all rounds of a protocol.
    """

    name: str
    title: str
    protocols: tuple[Protocol, ...]
    file: str = ""
    attributes: str = ""
    seconds: float = 600

    def available(self, data: Path) -> bool:
        return self.name == TENANT or (data / self.file).exists()

    def load(self, data: Path, scratch: Path) -> Dataset:
        """Errors: as `training.leaderboard.load`; RuntimeError where the organisation cannot be made."""
        if self.name == TENANT:
            return organisation(scratch)
        if self.name == MARS:
            return load(Format.MARS, data / self.file)
        return load(Format.SEQUENCES, data / self.file, data / self.attributes if self.attributes else None)


_BEAUTY = "amazon-beauty/Beauty.txt"
SOURCES = {
    source.name: source
    for source in (
        Source(MARS, "MARS EN", BOTH, "mars"),
        Source("beauty", "Beauty, item ids only", BOTH[:1], _BEAUTY, seconds=1_200),
        Source(
            "beauty-attributes",
            "Beauty with attributes",
            BOTH[:1],
            _BEAUTY,
            "amazon-beauty/Beauty_item2attributes.json",
            seconds=1_200,
        ),
        Source(TENANT, "Embedded organisation", BOTH),
    )
}


def own_log(file: Path, attributes: Path | None) -> Source:
    """A file in the `sequences` format, which has order and no time."""
    named = "" if attributes is None else str(attributes.resolve())
    return Source(OWN, file.name, BOTH[:1], str(file.resolve()), named)


def organisation(scratch: Path) -> Dataset:
    """The embedded organisation as `make demo` has it: generated, stored, written as a lake, read as a training table."""
    folder, store, lake = scratch / "files", f"sqlite:///{scratch / 'events.db'}", scratch / "lake"
    if not lake.exists():
        scratch.mkdir(parents=True, exist_ok=True)
        _features("synthesize", str(folder))
        _features("ingest", "--tenant", TENANT, "--format", "events", "--store", store, str(folder))
        _features("materialize", "--tenant", TENANT, "--store", store, "--lake", str(lake))
    table, _, sides = read_table(lake, TENANT, lambda step: None)
    texts = tuple(item_text(table.catalogue.items[item], table.catalogue.skills) for item in table.items.ids)
    return Dataset(table.interactions, sides(None), texts)


def _features(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "features", *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"python -m features {' '.join(words)} failed: {done.stderr.strip()}")
