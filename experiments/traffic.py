"""How many units a tenant's own traffic brings into an experiment, as counted over the last weeks."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from experiments.assignment.phases import Phase
from experiments.assignment.units import arm_of, concerns, held_out, unit_of
from features.catalogue import Learner
from features.store import TenantSession

FEWEST_DAYS: Final = 28
MOST_DAYS: Final = 182
"""How far back is looked: as many days as the experiment lasts, within these."""

Source = Literal["decisions", "take-ups"]
_SOURCES: Final[tuple[Source, Source]] = ("decisions", "take-ups")
_KINDS: Final[tuple[Literal["ranking", "nudge"], ...]] = ("ranking", "nudge")


@dataclass(frozen=True)
class Traffic:
    """Who came between two days, both included, and would have been in an arm.

    `met` [days]: units met up to the end of each day, each counted once. `there`: all units that could ever come. `left_out`:
    learners who came and would be in no arm, by reason. `size`: learners of a unit who came, on average, and `variation`: the
    coefficient of variation of that.
    """

    source: Source
    since: date
    until: date
    met: NDArray[np.int64]
    there: int
    left_out: Mapping[str, int]
    size: float = 1.0
    variation: float = 0.0

    @property
    def a_day(self) -> float:
        """New units a day, lately: over the later half of the days."""
        half = len(self.met) // 2
        early = self.met[half - 1] if half else 0
        return float(self.met[-1] - early) / (len(self.met) - half)

    def within(self, days: int) -> float:
        """Units met in so many days: as counted, and beyond that as many a day as lately, never more than there are."""
        if days <= len(self.met):
            return float(self.met[days - 1])
        return min(float(self.met[-1]) + (days - len(self.met)) * self.a_day, float(max(self.there, self.met[-1])))

    def days_for(self, units: float) -> int | None:
        """The days until so many units were met; None where they never will."""
        if units <= self.met[-1]:
            return int(np.searchsorted(self.met, units)) + 1
        if units > self.there or self.a_day == 0:
            return None
        return len(self.met) + int(np.ceil((units - float(self.met[-1])) / self.a_day))


@dataclass(frozen=True)
class Holdout:
    """Who is in no experiment: the seed and share of the policy file."""

    seed: str
    share: float


def traffic(session: TenantSession, phase: Phase, holdout: Holdout, *, now: datetime) -> Traffic | None:
    """Of the decisions that would be exposures, else of take-ups where there are none yet; None without either."""
    for source in _SOURCES:
        end = _last(session, source, now)
        if end is not None:
            since = end - timedelta(days=min(max(phase.design.horizon_days or 0, FEWEST_DAYS), MOST_DAYS) - 1)
            if came := _came(session, source, phase, _midnight(since), end + timedelta(microseconds=1)):
                return _counted(session, source, phase, holdout, came, end)
    return None


def _last(session: TenantSession, source: Source, now: datetime) -> datetime | None:
    if source == "decisions":
        last = session.last_decisions(1)
        return min(last[0][1].decided_at, now) if last else None
    return session.last_taken_up(at=now)


def _came(session: TenantSession, source: Source, phase: Phase, since: datetime, until: datetime) -> dict[str, datetime]:
    """Name -> first time."""
    if source == "take-ups":
        return session.first_taken_up(since, until)
    found: dict[str, datetime] = {}
    for kind in _KINDS:
        if concerns(phase.design, kind):
            for who, at in session.first_decided(since, until, nudges=kind == "nudge").items():
                found[who] = min(at, found.get(who, at))
    return found


def _counted(
    session: TenantSession,
    source: Source,
    phase: Phase,
    holdout: Holdout,
    came: Mapping[str, datetime],
    end: datetime,
) -> Traffic:
    rows, person_of = session.learners(), session.people()
    people: dict[str, datetime] = {}
    for name, at in came.items():
        who = person_of.get(name, name)
        people[who] = min(at, people.get(who, at))
    reasons = {who: _reason(phase, holdout, session.tenant, who, rows.get(who)) for who in people}
    first, sizes = _units(phase, people, reasons, rows)
    since = min(people.values()).date()
    days = (end.date() - since).days + 1
    met = np.zeros(days, dtype=np.int64)
    np.add.at(met, [(at.date() - since).days for at in first.values()], 1)
    counts = np.array(list(sizes.values()), dtype=np.float64)
    return Traffic(
        source=source,
        since=since,
        until=end.date(),
        met=met.cumsum(),
        there=len(first.keys() | _possible(session.tenant, phase, holdout, rows)),
        left_out=Counter(reason for reason in reasons.values() if reason),
        size=float(counts.mean()) if len(counts) else 1.0,
        variation=float(counts.std() / counts.mean()) if len(counts) else 0.0,
    )


def _units(
    phase: Phase, people: Mapping[str, datetime], reasons: Mapping[str, str], rows: Mapping[str, Learner]
) -> tuple[dict[str, datetime], Counter[str]]:
    """Unit -> when it was first met, and how many of its learners came."""
    first: dict[str, datetime] = {}
    sizes: Counter[str] = Counter()
    for who, at in people.items():
        unit = None if reasons[who] else unit_of(phase.design.unit, who, rows.get(who))
        if unit is not None:
            first[unit] = min(at, first.get(unit, at))
            sizes[unit] += 1
    return first, sizes


def _possible(tenant: str, phase: Phase, holdout: Holdout, rows: Mapping[str, Learner]) -> set[str]:
    """The units of all learners of the catalogue who are there and would be in an arm."""
    units = {
        unit_of(phase.design.unit, row.id, row)
        for row in rows.values()
        if row.status != "ended" and not _reason(phase, holdout, tenant, row.id, row)
    }
    return {unit for unit in units if unit is not None}


def _reason(phase: Phase, holdout: Holdout, tenant: str, who: str, row: Learner | None) -> str:
    """Why a learner would be in no arm; empty for one who would. In the order of the service."""
    if row is not None and not row.personalisation:
        return "wants no personalisation"
    if held_out(holdout.seed, holdout.share, tenant, who, row):
        return "in the holdout"
    if arm_of(phase, tenant, who, row) is not None:
        return ""
    audience = phase.design.audience
    if audience and (row is None or not set(audience).intersection(row.audiences)):
        return "of another audience"
    return f"without a {phase.design.unit}" if unit_of(phase.design.unit, who, row) is None else "beyond the traffic"


def _midnight(at: datetime) -> datetime:
    return datetime.combine(at.date(), datetime.min.time(), UTC)
