"""What is new since the last verdict: a fingerprint of what a fit depends on, compared with those that MLflow holds."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

from features.proposals import proposals_file, to_json
from training.config import Config
from training.fit import Table
from training.promote import settled
from training.sources import ROOT, needed_sources
from training.tracking import CHALLENGER, CHAMPION, Registry, Version

FINGERPRINT, DATA, RECIPE, PROGRAM = "refresh.fingerprint", "refresh.data", "refresh.recipe", "refresh.program"
FITTED_AT, CATALOGUE = "refresh.at", "refresh.catalogue"
"""Tags of a version: what it was made of, when, and that the champion's catalogue was seen to after its verdict."""
AHEAD = timedelta(days=3)
"""So long before a deadline a fit begins: nights may fail."""
_PROGRAM = ("training.fit", "training.gate", "features.lake")


@dataclass(frozen=True)
class Fingerprint:
    """Digests of what decides a bundle: the data as models see it, the recipe, and the program."""

    data: str
    recipe: str
    program: str

    @property
    def whole(self) -> str:
        """One digest of the three."""
        return _digest(self.data, self.recipe, self.program)


def data_digest(table: Table) -> str:
    """What of the lake a bundle depends on: interactions, items, groups of learners, the whole catalogue and its proposals.

    Events that are none (shown, saved, rated) leave it alone, also when they arrived later than all others.
    """
    parts = (table.interactions.digest(), table.items.digest, table.catalogue.digest)
    proposed = (to_json(table.proposals),) if table.proposals else ()
    return _digest(*parts, *table.audiences, *proposed, *_named("role", table.roles), *_named("unit", table.org_units))


def _named(kind: str, names: tuple[str, ...]) -> Iterator[str]:
    return (f"{kind} {name}" for name in names)


def source_digest(lake: Path, tenant: str, digest: str) -> str:
    """Names what a table is read from: the lake, by the `digest` of its report, and the file of proposals beside it."""
    path = proposals_file(lake, tenant)
    return _digest(digest, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")


def recipe_digest(config: Config) -> str:
    """The resolved recipe, however its file is written."""
    return _digest(json.dumps(config.model_dump(mode="json"), sort_keys=True))


@cache
def program_digest() -> str:
    """The sources that read the lake, fit, evaluate and judge: a new version of them is a reason to fit again."""
    files = {path for module in _PROGRAM for path in needed_sources(module)}
    return _digest(*(f"{path.relative_to(ROOT)}\n{path.read_text('utf-8')}" for path in sorted(files)))


def judged(registry: Registry, fingerprint: str) -> Version | None:
    """The version that a refresh judged last, where it is of this fingerprint.

    An older one of it is not enough: what came in between (a catalogue, a recipe, a store that was restored) may serve now.
    """
    refreshed = (version for version in registry.versions() if FINGERPRINT in version.tags)
    last = next((version for version in refreshed if settled(registry, version)), None)
    return last if last is not None and last.tags[FINGERPRINT] == fingerprint else None


def unfinished(registry: Registry, fingerprint: str, hint: Mapping[str, str]) -> bool:
    """Whether a fit of this fingerprint began (see `waiting`) and was never judged: one that was asked for and killed."""
    if hint.get("fingerprint") != fingerprint:
        return False
    made = [version for version in registry.versions() if version.run_id == hint.get("run_id")]
    return not any(settled(registry, version) for version in made)


def waiting(registry: Registry, fingerprint: str, hint: Mapping[str, str]) -> Version | None:
    """A challenger of this fingerprint that was recorded and not judged yet, by a run that was killed in between.

    `hint`: fingerprint and MLflow run of the last fit that began, for a kill before its version was tagged. None where the
    champion has moved since: the fit did not measure it.
    """
    found = registry.aliased(CHALLENGER)
    if found is None or ("gate.verdict" in found.tags and settled(registry, found)):
        return None
    begun = hint.get("run_id") == found.run_id and hint.get("fingerprint") == fingerprint
    champion = registry.aliased(CHAMPION)
    measured = found.tags.get("gate.compared_with", "") == (champion.bundle if champion else "")
    return found if measured and (begun or found.tags.get(FINGERPRINT) == fingerprint) else None


def overdue(version: Version, max_age_days: float, now: datetime) -> bool:
    """Whether the fit of a version is older than the deadline, or does not say when it was, or says a day to come.

    The last is of a clock that was wrong: without it nothing would be overdue until then.
    """
    try:
        age = now.astimezone(UTC) - datetime.fromisoformat(version.tags.get(FITTED_AT, "")).astimezone(UTC)
    except ValueError:
        return True
    return not -timedelta(days=1) <= age <= timedelta(days=max_age_days)


def due(champion: Version | None, now: datetime) -> date | None:
    """The day by which the champion is to be retrained, where it is near enough for a night that fails, or over."""
    by = None if champion is None else champion.retrain_by
    return by if by is not None and now.astimezone(UTC).date() >= by - AHEAD else None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
