"""Writing a tenant's star: `OUT/TENANT/TABLE/PART.parquet`, `views.sql`, `sources.yml`, `manifest.json`.

Each file is a function of what it is made of, whose digest stands in the manifest; a file is written anew only when that
changed, or when it is not the file that the manifest describes. So a run after another gives what a run into an empty folder
gives: late, voided and erased events change the month of the lake that they stand in, and with it the month of the star.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pyarrow.parquet as pq

from features import columns, lake
from features.partitions import schema
from features.proposals import read_proposals, to_json
from features.star import dimensions, facts, levels, texts
from features.star.files import MANIFEST, WHOLE, Files, manifest, swap_text
from features.star.key import Key
from features.star.names import Names, names_of
from features.star.schema import DECISION_ITEM, EVENT, EXPOSURE, ITEM, ITEM_SKILL, LEARNER, SKILL, SKILL_LEVEL, VERSION
from features.store import TenantSession


@dataclass(frozen=True)
class StarReport:
    """What one run found and wrote. `digest` covers every row of every table."""

    tenant: str
    rows: dict[str, int]
    files: int
    written: int
    as_of: str
    digest: str


def write_star(session: TenantSession, at: Path, out: Path, key: Key, *, identified: bool = False, now: datetime) -> StarReport:
    """Brings the lake `at` up to date with the store, and then the star under `out` with both.

    StarError where the folder must not be written over, LakeError as `features.lake.materialize`.
    """
    folder = out / session.tenant
    before = manifest(folder, session.tenant, key)
    found = lake.materialize(session, at)
    run = _Run(session, at, names_of(session, key), Files(folder, before.get("described", {})), now)
    run.events()
    run.decisions()
    run.exposures()
    run.levels(found.digest)
    run.dimensions(identified=identified)
    files = run.files
    files.drop_others()
    swap_text(folder / "views.sql", texts.views())
    swap_text(folder / "sources.yml", texts.sources())
    digest = sha256(json.dumps([(name, one["content"]) for name, one in sorted(files.now.items())]).encode()).hexdigest()
    report = StarReport(session.tenant, files.rows(), len(files.now), files.written, run.as_of.isoformat(), digest)
    body = {"schema": VERSION, "key": key.mark, "identified": identified, "described": files.now, "watermark": found.watermark}
    swap_text(folder / MANIFEST, json.dumps(body | asdict(report) | {"written_at": now.isoformat()}, indent=1) + "\n")
    return report


@dataclass
class _Run:
    session: TenantSession
    lake: Path
    names: Names
    files: Files
    now: datetime

    def __post_init__(self) -> None:
        self.as_of = self.now.astimezone(UTC).date()
        self.tenant = self.session.tenant

    def events(self) -> None:
        """Month by month, from the files of the lake."""
        self.files.empty(EVENT)
        described = lake.manifest(self.lake, self.tenant)["months"]
        for path in lake.event_files(self.lake, self.tenant):
            month = path.parent.name.removeprefix("month=")
            named = pq.read_table(path, columns=[columns.LEARNER_ID, columns.OBJECT_ID], partitioning=None)
            who, what = (set(named[name].unique().to_pylist()) for name in (columns.LEARNER_ID, columns.OBJECT_ID))
            made_of = _digest(described[month]["content"], self.names.digest(who, what))
            if not self.files.keep(f"{EVENT.name}/{month}", made_of):
                whole = pq.read_table(path, partitioning=None, schema=schema(columns.EVENT))
                self.files.put(EVENT, month, facts.events(whole, self.names), made_of)

    def decisions(self) -> None:
        """Month by month, from the store. Which decisions a month has is told before any is read."""
        self.files.empty(DECISION_ITEM)
        for month, made_of in sorted(self._decided().items()):
            if not self.files.keep(f"{DECISION_ITEM.name}/{month}", made_of):
                found = self.session.decided_between(*_bounds(month))
                rows = facts.decision_items(sorted(found, key=lambda one: (one.decided_at, one.decision_id)), self.names)
                self.files.put(DECISION_ITEM, month, rows, made_of)

    def _decided(self) -> dict[str, str]:
        """Month -> the digest of its decisions and of whose they are."""
        found: dict[str, list[str]] = {}
        for one in self.session.decided():
            month = one.decided_at.strftime("%Y-%m")
            found.setdefault(month, []).append(f"{one.decision_id} {self.names.learner(one.learner_id)}")
        return {month: _digest(*sorted(said)) for month, said in found.items()}

    def exposures(self) -> None:
        """All months at once: an item may be shown long after it was decided."""
        self.files.empty(EXPOSURE)
        made_of = _digest(self.files.contents(EVENT, DECISION_ITEM))
        held = [name for name in self.files.before if name.startswith(f"{EXPOSURE.name}/") and not name.endswith("/none")]
        if held and all(self.files.keep(name, made_of) for name in held):
            return
        rows = facts.exposures(self.files.of(EVENT), self.files.of(DECISION_ITEM))
        for month, part in facts.by_month(rows, EXPOSURE.by):
            self.files.put(EXPOSURE, month, part, made_of)

    def levels(self, lake_digest: str) -> None:
        """As of the end of the day of the run; one who is not known to the catalogue has levels as well."""
        catalogue = lake.catalogue(self.lake, self.tenant)
        proposals = read_proposals(self.lake, self.tenant, catalogue)
        made_of = _digest(lake_digest, to_json(proposals), self.as_of.isoformat(), *sorted(self.names.known_skills))
        if self.files.keep(f"{SKILL_LEVEL.name}/{WHOLE}", made_of):
            return
        learners = lake.learners(self.lake, self.tenant)
        events = lake.read_events(self.lake, self.tenant)
        rows = levels.skill_levels(events, learners, catalogue, proposals, self.names, as_of=self.as_of)
        self.files.put(SKILL_LEVEL, WHOLE, rows, made_of)

    def dimensions(self, *, identified: bool) -> None:
        """Last: the facts say whom and what they name beside the catalogue."""
        taught = dimensions.item_skills(self.session.catalogue().items.values(), self.names)
        self.files.put(ITEM_SKILL, WHOLE, taught)
        self.files.put(ITEM, WHOLE, dimensions.items(self.session, self._used("item_id")))
        self.files.put(SKILL, WHOLE, dimensions.skills(self.session, self._used("skill_id")))
        self.files.put(LEARNER, WHOLE, dimensions.learners(self.session, self.names, identified=identified))

    def _used(self, column: str) -> set[str]:
        """Every value of a column in what is written so far."""
        tables = [table for table in (ITEM_SKILL, EVENT, DECISION_ITEM, SKILL_LEVEL) if column in table.names]
        files = [path for table in tables for path in self.files.of(table)]
        read = (pq.read_table(path, columns=[column], partitioning=None)[column].unique() for path in files)
        return {name for values in read for name in values.to_pylist() if name is not None}


def _bounds(month: str) -> tuple[datetime, datetime]:
    first = datetime.strptime(f"{month} +0000", "%Y-%m %z").astimezone(UTC)
    return first, first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)


def _digest(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()
