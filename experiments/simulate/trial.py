"""An experiment in the embedded organisation: learners come as they do, see what the service ranks, and choose as they do.

history of the organisation until the start -> store
wave by wave: slates by experiments.simulate.served -> decisions in the store -> choices -> events with decision ids there
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from experiments.lifecycle import start, stop
from experiments.simulate.scenario import Scenario
from experiments.simulate.served import Service, UnservedError
from features.catalogue import CatalogueRow
from features.decisions import Decision
from features.events import Event, Result, Verb
from features.store import EventStore, TenantSession
from features.store.rows import MAX_BATCH
from features.synthetic.choice import COLUMNS, NEVER, Rows, Takes, World, simulate
from features.synthetic.moments import DAY, midnight
from features.synthetic.organisation import Life, Organisation, begin, told
from features.synthetic.parameters import Parameters
from features.synthetic.people import learner_id
from features.synthetic.schedule import Visits
from features.synthetic.trail import finish_times
from features.synthetic.truth import Float

T = TypeVar("T")
_VISITS: Final = ("learner", "at", "item", "again", "shown", "idle")
CONTROL, TREATMENT, OUTSIDE = 0, 1, -1
NOTICED: Final = 0.8
"""How much of being shown is left at each place of a slate beside the one above it: position bias."""


@dataclass(frozen=True)
class Trialled:
    """What happened: learners by arm, decisions, events of the experiment, and when it began and ended."""

    control: int
    treatment: int
    decisions: int
    events: int
    began: datetime
    ended: datetime


@dataclass(frozen=True)
class Place:
    """Where it is written: a store of its own under `folder`, with the records of experiments; `bundles`: of the tenant."""

    folder: Path
    bundles: Path
    tenant: str

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder / 'events.db'}"

    @property
    def records(self) -> Path:
        return self.folder / "experiments"


def run(
    scenario: Scenario,
    place: Place,
    parameters: Parameters,
    *,
    days: int,
    seed: int,
    organisation_seed: int = 7,
    tell: Callable[[int], None] = lambda done: None,
) -> Trialled:
    """The last `days` of the organisation's period as an experiment. `seed`: of what chance does in it; `organisation_seed`: of
    who and what there is. `tell`: is called with the number of decisions just made.

    Raises UnservedError without a fitting bundle, LifecycleError where an experiment of that name runs there.
    """
    if scenario.spread is not None:
        activity = parameters.activity.model_copy(update={"takes_sigma": scenario.spread})
        parameters = parameters.model_copy(update={"activity": activity})
    life = begin(parameters, seed=organisation_seed)
    first = (parameters.period.days - days) * DAY
    zero = midnight(parameters.period.start)
    began, ended = zero + timedelta(seconds=first), zero + timedelta(days=parameters.period.days)
    past = _some(life.coming, life.coming.at < first)
    history = told(life, simulate(life.world, past), past, place.tenant)
    place.folder.mkdir(parents=True, exist_ok=True)
    store = EventStore.open(place.store)
    try:
        session = store.tenant(place.tenant)
        _write(session, history, zero, began)
        start(place.records, place.tenant, scenario.design(days), at=began)
        trial = Trial(scenario, life, Service(place.bundles, place.records, session), session, first, seed, tell)
        trial.go()
    finally:
        store.close()
    stop(place.records, place.tenant, scenario.name, at=ended)
    sizes = [int((trial.arm == arm).sum()) for arm in (CONTROL, TREATMENT)]
    return Trialled(sizes[0], sizes[1], trial.decisions, trial.events, began, ended)


class Trial:
    """The experiment as it goes on: `show` is asked for slates wave by wave, and first writes what came of the last ones."""

    def __init__(
        self,
        scenario: Scenario,
        life: Life,
        service: Service,
        session: TenantSession,
        first: int,
        seed: int,
        tell: Callable[[int], None],
    ) -> None:
        self.scenario, self.life, self.service, self.session, self.tell = scenario, life, service, session, tell
        self.first, self.zero = first, midnight(life.parameters.period.start)
        self.rng = np.random.default_rng([seed, first])
        self.item = {item.id: i for i, item in enumerate(life.shelf.items)}
        if not self.item.keys() & set(service.items):
            raise UnservedError("the bundle knows no item of this organisation; publish one that was fitted on its events")
        self.arm = np.array([self._arm(i) for i in range(len(life.crowd.rows))])
        self.decisions = self.events = self.written = 0
        self.named: dict[int, str] = {}
        life.world.rng = np.random.default_rng([seed, 1])

    def go(self) -> None:
        """All visits from the start to the end of the period."""
        self.coming = self._coming()
        rows = Rows()

        def show(world: World, visits: Visits, now: np.ndarray, utility: Float, seen: Rows) -> Float:
            self._catch_up(seen)
            rows.columns = seen.columns
            return self._show(visits, now, utility)

        simulate(self.life.world, self.coming, show)
        self._catch_up(rows)

    def _arm(self, learner: int) -> int:
        at = self.zero + timedelta(seconds=self.first)
        arm = self.service.arms(learner_id(learner), at).get(self.scenario.name)
        return OUTSIDE if arm is None else TREATMENT if arm == "treatment" else CONTROL

    def _coming(self) -> Visits:
        """The visits of the time; treated learners come more or less often, everybody more with a drift; all see a slate."""
        now = _some(self.life.coming, self.life.coming.at >= self.first)
        late = (now.at - self.first) / (self.life.parameters.period.days * DAY - self.first)
        free, treated = now.item < 0, self.arm[now.learner] == TREATMENT
        kept = np.exp(-self.scenario.drift * (1 - late)) * np.where(treated, 1 + min(self.scenario.comes, 0), 1)
        now = _some(now, ~free | (self.rng.random(len(free)) < kept))
        free, treated = now.item < 0, self.arm[now.learner] == TREATMENT
        more = free & treated & (self.rng.random(len(free)) < self.scenario.comes)
        again = replace(_some(now, more), at=now.at[more] + self.rng.integers(3_600, 2 * DAY, int(more.sum())))
        again = _some(again, again.at < self.life.crowd.ends[again.learner])
        both = Visits(*(np.concatenate([getattr(now, name), getattr(again, name)]) for name in _VISITS))
        both = _some(both, np.lexsort((both.item, both.at, both.learner)))
        return replace(both, shown=both.item < 0)

    def _show(self, visits: Visits, now: np.ndarray, utility: Float) -> Float:
        """float[w, m]: what being shown adds. Ranks, records, and tells the store what was seen."""
        size, bonus = self.life.parameters.recommending.size, np.zeros(utility.shape, np.float32)
        made, seen = [], []
        for line in np.flatnonzero(visits.shown[now]).tolist():
            visit = int(now[line])
            who, at = int(visits.learner[visit]), self._time(int(visits.at[visit]))
            name = f"{self.scenario.name}-{visit:06d}"
            decision = self.service.decide(learner_id(who), at, name, size)
            made.append(decision)
            self.named[visit] = name
            for shown in decision.slate:
                seen.append(
                    self._event(Verb.SHOWN, who, shown.item_id, at + timedelta(seconds=2), name, position=shown.position)
                )
                bonus[line, self.item[shown.item_id]] = self._pull(who, int(visits.at[visit]), shown.position)
                if self.rng.random() < self.life.parameters.recommending.dismissed_share:
                    seen.append(self._event(Verb.DISMISSED, who, shown.item_id, at + timedelta(seconds=30), name))
        self._record(made)
        self._append(seen)
        return np.where(utility > NEVER / 2, bonus, 0)

    def _pull(self, who: int, at: int, position: int) -> float:
        """What being shown adds: by audience, less for lower places, and what the treatment does to it."""
        effect = float(self.life.truth.effect[self.life.crowd.audience[who]])
        if self.arm[who] == TREATMENT:
            days = (at - self.first) / DAY
            effect += self.scenario.pleases * (0.5 ** (days / self.scenario.fades) if self.scenario.fades else 1)
        return max(effect, 0.0) * NOTICED**position

    def _catch_up(self, rows: Rows) -> None:
        """What was taken up in the waves since the last look: started, and completed where it was finished by the end."""
        new = rows.columns[self.written :]
        self.written = len(rows.columns)
        for columns in new:
            named = dict(zip(COLUMNS, columns, strict=True))
            takes = Takes(slates={}, explored=set(), levels_at_end=self.life.world.levels, **named)
            finish = finish_times(self.life.shelf, takes, self.life.clock)
            self._append([event for take in range(len(takes.visit)) for event in self._taken(takes, take, int(finish[take]))])

    def _taken(self, takes: Takes, take: int, finish: int) -> Iterator[Event]:
        who, visit = int(takes.learner[take]), int(takes.visit[take])
        item = self.life.shelf.items[int(takes.item[take])]
        name = self.named.get(visit) if takes.clicked[take] else None
        yield self._event(Verb.STARTED, who, item.id, self._time(int(takes.at[take]) + 60), name)
        if takes.completed[take] and finish < self.life.crowd.ends[who]:
            result = Result(completion=True, duration_s=float(item.duration_s or 600))
            yield self._event(Verb.COMPLETED, who, item.id, self._time(finish + 120), name, result)

    def _event(
        self,
        verb: Verb,
        who: int,
        item: str,
        at: datetime,
        decision: str | None,
        result: Result | None = None,
        position: int = -1,
    ) -> Event:
        self.events += 1
        return Event(
            tenant=self.session.tenant,
            event_id=f"{self.scenario.name}-event-{self.events:07d}",
            learner_id=learner_id(who),
            verb=verb,
            object_id=item,
            occurred_at=at,
            recorded_at=at + timedelta(seconds=int(self.rng.integers(1, 20))),
            decision_id=decision,
            result=result,
            context={"position": position} if position >= 0 else {},
            source="simulated",
        )

    def _time(self, second: int) -> datetime:
        return self.zero + timedelta(seconds=second)

    def _record(self, made: Sequence[Decision]) -> None:
        for batch in _batches(made):
            self.session.record(batch)
        self.decisions += len(made)
        self.tell(len(made))

    def _append(self, events: Sequence[Event]) -> None:
        for batch in _batches(events):
            self.session.append(batch)


def _write(session: TenantSession, history: Organisation, zero: datetime, began: datetime) -> None:
    """Catalogue and events of the time before; what was recorded later is no import but the organisation's own news."""
    rows: list[CatalogueRow] = [*history.skills, *history.items, *history.roles, *history.learners, *history.assignments]
    session.put(rows, at=zero)
    events = [one if one.recorded_at < began else one.model_copy(update={"backfill": False}) for one in history.events]
    for batch in _batches(events):
        session.append(batch)


def _batches(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[begin : begin + MAX_BATCH] for begin in range(0, len(rows), MAX_BATCH))


def _some(visits: Visits, which: np.ndarray) -> Visits:
    """The visits of a mask, or in an order."""
    return Visits(*(getattr(visits, name)[which] for name in _VISITS))
