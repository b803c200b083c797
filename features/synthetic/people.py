"""Who learns: learners in org units, roles and audiences, with the times between which they take part."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

import numpy as np

from features.catalogue import Learner, Spell
from features.synthetic.moments import DAY, midnight
from features.synthetic.parameters import Parameters

Status = Literal["active", "leave", "ended"]


@dataclass(frozen=True)
class Crowd:
    """All learners as arrays of length n, and as catalogue rows. Times are seconds since the start of the period."""

    rows: tuple[Learner, ...]
    audiences: tuple[str, ...]
    audience: np.ndarray  # int[n], index into audiences
    unit: np.ndarray  # int[n], index into parameters.org_unit
    role: np.ndarray  # int[n], index into parameters.role
    joined: np.ndarray  # int[n], may be negative
    begins: np.ndarray  # int[n]: first second in the period at which the learner takes part
    ends: np.ndarray  # int[n]: first second at which they no longer do (leave, end of spell, end of period)
    status: tuple[Status, ...]  # at the end of the period
    manager: np.ndarray  # int[n], index of the manager, -1 for none
    cold: np.ndarray  # bool[n]: no event at all
    declares: np.ndarray  # bool[n]: told us skills they have
    personalisation: np.ndarray  # bool[n]
    bilingual: np.ndarray  # bool[n]: reads the language of the unit as well as English

    def inside(self, parameters: Parameters) -> np.ndarray:
        """bool[n]: belongs to an audience that has no org unit of its own (employees, contractors)."""
        return np.isin(self.audience, _inside(parameters, self.audiences))


def crowd(parameters: Parameters, rng: np.random.Generator) -> Crowd:
    """Draw all learners."""
    people, n = parameters.people, parameters.people.learners
    names = tuple(people.audiences)
    audience = rng.choice(len(names), n, p=list(people.audiences.values()))
    unit = _units(audience, names, parameters, rng)
    role = _roles(unit, parameters, rng)
    joined = _joined(parameters, rng)
    status, ends = _endings(parameters, joined, rng)
    manager = _managers(unit, joined, np.array([s == "active" for s in status]), audience)
    is_boss = np.isin(np.arange(n), manager)
    cold = (rng.random(n) < people.cold_share) & ~is_boss
    declares = (rng.random(n) < people.declared_share) & ~cold
    personal = rng.random(n) >= people.personalisation_off_share
    second = rng.random(n) < people.second_language_share
    bare = Crowd(
        rows=(),
        audiences=names,
        audience=audience,
        unit=unit,
        role=role,
        joined=joined,
        begins=np.maximum(joined, 0),
        ends=ends,
        status=status,
        manager=manager,
        cold=cold,
        declares=declares,
        personalisation=personal,
        bilingual=second,
    )
    return replace(bare, rows=tuple(_row(i, bare, parameters) for i in range(n)))


def _inside(parameters: Parameters, names: Sequence[str]) -> list[int]:
    outside = {unit.audience for unit in parameters.org_unit}
    return [i for i, name in enumerate(names) if name not in outside]


def _units(audience: np.ndarray, names: Sequence[str], parameters: Parameters, rng: np.random.Generator) -> np.ndarray:
    """int[n]: a unit of the learner's own audience where there is one, else one of the inner units, by size."""
    found = np.zeros(len(audience), dtype=int)
    for a, name in enumerate(names):
        own = [u for u, unit in enumerate(parameters.org_unit) if unit.audience == name]
        open_to = own or [u for u, unit in enumerate(parameters.org_unit) if unit.audience is None]
        sizes = np.array([parameters.org_unit[u].size for u in open_to])
        who = np.flatnonzero(audience == a)
        found[who] = rng.choice(open_to, len(who), p=sizes / sizes.sum())
    return found


def _roles(unit: np.ndarray, parameters: Parameters, rng: np.random.Generator) -> np.ndarray:
    """int[n]: a role of the unit; the first named is the most frequent."""
    place = {role.id: i for i, role in enumerate(parameters.role)}
    found = np.zeros(len(unit), dtype=int)
    for u, described in enumerate(parameters.org_unit):
        options = [place[role] for role in described.roles]
        weights = 1 / np.arange(1, len(options) + 1)
        who = np.flatnonzero(unit == u)
        found[who] = rng.choice(options, len(who), p=weights / weights.sum())
    return found


def _joined(parameters: Parameters, rng: np.random.Generator) -> np.ndarray:
    people, days = parameters.people, parameters.period.days
    day = rng.integers(0, days - 14, people.learners)
    already = rng.random(people.learners) < people.already_here_share
    day = np.where(already, -rng.integers(1, 3000, people.learners), day)
    return day * DAY + 7 * 3600


def _endings(parameters: Parameters, joined: np.ndarray, rng: np.random.Generator) -> tuple[tuple[Status, ...], np.ndarray]:
    """Status at the end of the period, and the second at which taking part stops."""
    people, last = parameters.people, parameters.period.days * DAY
    draw = rng.random(len(joined))
    ended, leave = draw < people.ended_share, (draw >= people.ended_share) & (draw < people.ended_share + people.leave_share)
    stop = np.maximum(joined, 0) + ((last - np.maximum(joined, 0)) * rng.uniform(0.25, 0.98, len(joined))).astype(int)
    stop = stop // DAY * DAY
    gone = (ended | leave) & (stop > joined)
    return tuple("active" if not g else "ended" if e else "leave" for g, e in zip(gone, ended, strict=True)), np.where(
        gone, stop, last
    )


def _managers(unit: np.ndarray, joined: np.ndarray, active: np.ndarray, audience: np.ndarray) -> np.ndarray:
    """int[n]: the longest-serving active employee of each unit leads it; outside units have none."""
    found = np.full(len(unit), -1)
    for u in np.unique(unit):
        fit = np.flatnonzero((unit == u) & active & (audience == 0))
        if len(fit):
            boss = fit[np.argmin(joined[fit])]
            found[unit == u] = boss
            found[boss] = -1
    return found


def _row(i: int, crowd: Crowd, parameters: Parameters) -> Learner:
    unit, role = parameters.org_unit[int(crowd.unit[i])], parameters.role[int(crowd.role[i])]
    zero, status, manager = midnight(parameters.period.start), crowd.status[i], int(crowd.manager[i])
    since, until = zero + timedelta(seconds=int(crowd.joined[i])), zero + timedelta(seconds=int(crowd.ends[i]))
    return Learner(
        id=learner_id(i),
        aliases=(f"hr:{70_000 + 7 * i}",),
        status=status,
        spells=(Spell(since=since, until=until if status == "ended" else None),),
        manager_id=learner_id(manager) if manager >= 0 else None,
        org_unit=unit.name,
        role_id=role.id,
        audiences=(crowd.audiences[int(crowd.audience[i])],),
        account=unit.name if unit.audience else None,
        timezone=unit.timezone,
        languages=("en", unit.language) if crowd.bilingual[i] and unit.language != "en" else ("en",),
        work_calendar="shift" if "warehouse" in role.id else "office",
        personalisation=bool(crowd.personalisation[i]),
    )


def learner_id(i: int) -> str:
    """`L0001` for the first learner."""
    return f"L{i + 1:04d}"
