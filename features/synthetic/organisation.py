"""The embedded organisation: catalogue, people, 14 months of events and the truth behind them, from parameters and a seed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from features.catalogue import Assignment, Item, Learner, Role, Skill
from features.events import Event, Verb
from features.synthetic.choice import Takes, World, simulate
from features.synthetic.content import Shelf, roles, shelf
from features.synthetic.moments import DAY, midnight
from features.synthetic.parameters import Parameters
from features.synthetic.people import Crowd, crowd, learner_id
from features.synthetic.schedule import Clock, Duty, Visits, campaign_day, duties, visits
from features.synthetic.trail import Fact, Scene, facts, finish_times
from features.synthetic.truth import Truth, as_json, draw

AT_ONCE = frozenset({Verb.ASSIGNED, Verb.ENROLLED, Verb.WITHDRAWN, Verb.SHOWN, Verb.WAIVED, Verb.ATTESTED, Verb.REVOKED})
"""Verbs that the organisation's own system writes, so that they are never recorded late."""


@dataclass(frozen=True)
class Organisation:
    """Catalogue rows, events sorted by `recorded_at`, and the JSON-ready truth (see docs/embedded-organisation.md)."""

    skills: tuple[Skill, ...]
    items: tuple[Item, ...]
    roles: tuple[Role, ...]
    learners: tuple[Learner, ...]
    assignments: tuple[Assignment, ...]
    events: list[Event]
    truth: dict[str, Any]


@dataclass(frozen=True)
class Life:
    """Before anything happens: who and what there is, the truth, who will come when, and the state that moves as they do."""

    parameters: Parameters
    seed: int
    shelf: Shelf
    crowd: Crowd
    truth: Truth
    clock: Clock
    asked: list[Duty]
    coming: Visits
    world: World


def begin(parameters: Parameters, *, seed: int) -> Life:
    """All that is drawn before the first visit."""
    streams = [np.random.default_rng([seed, stage]) for stage in range(5)]
    shelves, people = shelf(parameters, streams[0]), crowd(parameters, streams[1])
    truth = draw(parameters, shelves, people, streams[2])
    clock = Clock(parameters, people, streams[3])
    asked = duties(parameters, shelves, people, truth, clock)
    coming = visits(parameters, people, truth, asked, clock)
    return Life(
        parameters,
        seed,
        shelves,
        people,
        truth,
        clock,
        asked,
        coming,
        World(parameters, shelves, people, truth, streams[4]),
    )


def generate(parameters: Parameters, *, seed: int = 7, tenant: str = "demo") -> Organisation:
    """The organisation of these parameters. The same parameters and seed give the same organisation on one platform."""
    life = begin(parameters, seed=seed)
    return told(life, simulate(life.world, life.coming), life.coming, tenant)


def told(life: Life, takes: Takes, happened: Visits, tenant: str) -> Organisation:
    """What the organisation's own system recorded of these visits and what was taken up in them."""
    parameters, shelves, people, truth, clock = life.parameters, life.shelf, life.crowd, life.truth, life.clock
    scene = Scene(parameters, shelves, people, truth, happened, takes, life.asked, finish_times(shelves, takes, clock))
    return Organisation(
        skills=shelves.skills,
        items=shelves.items,
        roles=roles(parameters),
        learners=people.rows,
        assignments=tuple(_assignments(parameters, shelves, people, life.asked)),
        events=_events(facts(scene, clock), parameters, tenant, np.random.default_rng([life.seed, 5])),
        truth=as_json(truth, shelves, people, takes.levels_at_end, _oracle(takes)),
    )


def _oracle(takes: Takes) -> dict[str, float]:
    """How well the true utility, noise unknown, ranks the last free choice of each learner: the ceiling for any model."""
    free = np.flatnonzero(takes.rank >= 0)
    last = free[np.append(takes.learner[free][1:] != takes.learner[free][:-1], True)] if len(free) else free
    if not len(last):
        return {}
    hit = takes.rank[last] < 10
    gain = np.where(hit, 1 / np.log2(takes.rank[last] + 2), 0)
    return {"learners": len(last), "recall_at_10": round(float(hit.mean()), 4), "ndcg_at_10": round(float(gain.mean()), 4)}


def _assignments(parameters: Parameters, shelves: Shelf, people: Crowd, asked: list[Duty]) -> Iterable[Assignment]:
    zero = midnight(parameters.period.start)
    outside = {unit.audience for unit in parameters.org_unit}
    for number, item in enumerate(shelves.mandatory.tolist()):
        due = zero + timedelta(days=campaign_day(number) + parameters.duties.due_days)
        for audience in (name for name in people.audiences if name not in outside):
            item_id = shelves.items[item].id
            yield Assignment(id=f"A-{audience}-{item_id}", item_id=item_id, audience=audience, due_at=due)
    for number, duty in enumerate(duty for duty in asked if not duty.mandatory):
        yield Assignment(
            id=f"A{number + 1:04d}",
            item_id=shelves.items[duty.item].id,
            learner_id=people.rows[duty.learner].id,
            due_at=zero + timedelta(seconds=duty.due_at),
            mandatory=False,
        )


def _events(happened: list[Fact], parameters: Parameters, tenant: str, rng: np.random.Generator) -> list[Event]:
    """Events with ids and times of recording; what was not recorded before the period's end is not in the log."""
    happened = sorted(happened, key=lambda f: (f.at, f.learner, f.verb.value, f.object_id))
    recorded = np.array([fact.at for fact in happened], int) + _lags(happened, parameters, rng)
    order = np.argsort(recorded, kind="stable")
    kept = [int(i) for i in order if recorded[i] < parameters.period.days * DAY]
    zero = midnight(parameters.period.start)
    return [_event(happened[i], number, int(recorded[i]), zero, tenant) for number, i in enumerate(kept)]


def _lags(happened: list[Fact], parameters: Parameters, rng: np.random.Generator) -> np.ndarray:
    """int[n] seconds from happening to being recorded: seconds for most, hours offline, days in batches."""
    n, activity, draw = len(happened), parameters.activity, rng.random(len(happened))
    hours, days = rng.uniform(1, 30, n) * 3600, rng.uniform(1, 9, n) * DAY
    late = np.where(draw < activity.batch_share, days, np.where(draw < activity.batch_share + activity.offline_share, hours, 0))
    at_once = np.array([fact.verb in AT_ONCE for fact in happened], bool)
    return np.where(at_once, 0, late).astype(int) + rng.integers(0, 20, n)


def _event(fact: Fact, number: int, recorded: int, zero: datetime, tenant: str) -> Event:
    return Event(
        tenant=tenant,
        event_id=f"lms-{number + 1:06d}",
        learner_id=learner_id(fact.learner),
        verb=fact.verb,
        object_id=fact.object_id,
        occurred_at=zero + timedelta(seconds=fact.at),
        recorded_at=zero + timedelta(seconds=recorded),
        decision_id=fact.decision_id,
        result=fact.result,
        context=dict(fact.context or {}),
        source="lms",
        backfill=True,
    )
