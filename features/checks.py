"""Checks of what is stored for a tenant: can anything be learned from it, and does it hang together?"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from features.catalogue import Catalogue, Learner
from features.columns import EPOCH
from features.events import EARLIEST, INTERACTION_VERBS, MAX_CLOCK_SKEW, SKILL_PREFIX, ZERO, Event
from features.store import TenantSession
from features.xapi.parts import resolved

FAR: Final = datetime(9999, 1, 1, tzinfo=UTC)
MAX_UNKNOWN: Final = 0.5
"""The largest share of events that may speak of items or learners outside the catalogue."""

MAX_IDENTICAL: Final = 0.2
"""The largest share of events that may equal another in learner, verb, object and time: more looks like a double export."""


@dataclass(frozen=True)
class Check:
    """One question and its answer. `detail` says in words what was found."""

    name: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return f"{'PASS' if self.passed else 'FAIL'}  {self.name}: {self.detail}"


@dataclass
class Tally:
    """What the checks need to know of all events, gathered in one pass."""

    verbs: Counter[str] = field(default_factory=Counter)
    learners: Counter[str] = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)
    takers: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    pairs: Counter[int] = field(default_factory=Counter)
    rows: set[int] = field(default_factory=set)
    first: datetime = FAR
    last: datetime = EPOCH

    @property
    def events(self) -> int:
        return self.verbs.total()

    def add(self, event: Event) -> None:
        self.verbs[event.verb.value] += 1
        self.learners[event.learner_id] += 1
        self.objects[event.object_id] += 1
        self.rows.add(hash((event.learner_id, event.verb, event.object_id, event.occurred_at)))
        self.first, self.last = min(self.first, event.occurred_at), max(self.last, event.occurred_at)
        if event.verb in INTERACTION_VERBS and not event.object_id.startswith(SKILL_PREFIX):
            self.takers.add(event.learner_id)
            self.taken.add(event.object_id)
            self.pairs[hash((event.learner_id, event.object_id))] += 1


def check(session: TenantSession, *, now: datetime, may_begin: bool = False) -> list[Check]:
    """All checks of one tenant, in a fixed order. Reads every event once. `may_begin`: a catalogue without events is well."""
    catalogue, tally = session.catalogue(), Tally()
    names = {name for item in catalogue.items.values() for name in (item.id, *item.aliases)}
    for _, event in session.events():
        tally.add(*resolved([event], names.__contains__))
    if not tally.events:
        items = len(catalogue.items) if may_begin else 0
        if items:
            words = f"{items:,} items and no events yet: `python -m training start --tenant {session.tenant}` serves them"
            return [Check("catalogue", True, words)]
        return [Check("events", False, f"no events of tenant {session.tenant!r} are stored: ingest some first")]
    learners = session.learners()
    return [
        Check("events", True, f"{tally.events:,} events of {len(tally.learners):,} learners"),
        verbs(tally),
        times(tally, now),
        enough(
            "learners", len(tally.takers), "learner took up an item", "from one learner nothing can be learned about others"
        ),
        enough("items", len(tally.taken), "item was taken up", "with one item there is nothing to choose from"),
        known_learners(tally, learners, session.people()),
        known_objects(tally, catalogue),
        repeats(tally),
        references(catalogue, learners),
    ]


def failed(checks: Iterable[Check]) -> bool:
    """Whether any check failed."""
    return any(not one.passed for one in checks)


def verbs(tally: Tally) -> Check:
    """Some events must show that a learner took up something."""
    counts = ", ".join(f"{verb} {count:,}" for verb, count in tally.verbs.most_common())
    usable = any(verb in tally.verbs for verb in INTERACTION_VERBS)
    wanted = "" if usable else f"; none of {', '.join(sorted(INTERACTION_VERBS))}, so no one took up anything"
    return Check("verbs", usable, counts + wanted)


def times(tally: Tally, now: datetime) -> Check:
    """All times lie between those of the oldest logs and now."""
    unset = ZERO[0] <= tally.first < ZERO[1]
    fits = tally.first >= EARLIEST and not unset and tally.last <= now + MAX_CLOCK_SKEW
    return Check("times", fits, f"{tally.first:%Y-%m-%d %H:%M} to {tally.last:%Y-%m-%d %H:%M} UTC")


def enough(name: str, count: int, what: str, why: str) -> Check:
    """At least two of them."""
    if count > 1:
        return Check(name, True, f"{count:,} {name}: {what.replace('learner', 'each', 1).replace('item was', 'each was', 1)}")
    return Check(name, False, f"only {count} {what}: {why if count else 'there is nothing to learn from'}")


def known_learners(tally: Tally, learners: dict[str, Learner], people: Mapping[str, str]) -> Check:
    """Most events are of learners that the catalogue knows, unless it knows none at all. `people`: aliases and merged ids."""
    names = {*learners, *(name for name, person in people.items() if person in learners)}
    if not names:
        return Check("known learners", True, "no learner file: all learners are stubs, without role, audience or language")
    return _known("known learners", tally.learners, names)


def known_objects(tally: Tally, catalogue: Catalogue) -> Check:
    """Most events are about items and skills that the catalogue knows: only those can be ranked."""
    names = {name for item in catalogue.items.values() for name in (item.id, *item.aliases)}
    return _known("known items and skills", tally.objects, names | {SKILL_PREFIX + skill for skill in catalogue.skills})


def _known(name: str, spoken_of: Counter[str], names: set[str]) -> Check:
    stubs = [unknown for unknown in spoken_of if unknown not in names]
    events = sum(spoken_of[unknown] for unknown in stubs)
    example = f", for example {min(stubs)!r}" if stubs else ""
    detail = f"{len(spoken_of) - len(stubs):,} known, {len(stubs):,} unknown with {events:,} events{example}"
    return Check(name, events <= MAX_UNKNOWN * spoken_of.total(), detail)


def repeats(tally: Tally) -> Check:
    """How often a learner comes back to an item, and how many events look exported twice."""
    identical = 1 - len(tally.rows) / tally.events
    again = 1 - len(tally.pairs) / max(tally.pairs.total(), 1)
    detail = (
        f"{again:.1%} of interactions repeat a learner and an item; {identical:.1%} of events equal another in all but the id"
    )
    return Check("repeats", identical <= MAX_IDENTICAL, detail)


def references(catalogue: Catalogue, learners: dict[str, Learner]) -> Check:
    """Ids that the catalogue speaks of but does not hold."""
    dangling = sorted(
        {f"{item.id} -> skill {s}" for item in catalogue.items.values() for s in item.skills if s not in catalogue.skills}
        | {
            f"{item.id} -> item {p}"
            for item in catalogue.items.values()
            for p in item.prerequisites
            if p not in catalogue.items
        }
        | {f"{role.id} -> skill {s}" for role in catalogue.roles.values() for s in role.expects if s not in catalogue.skills}
        | {f"{x.id} -> role {x.role_id}" for x in learners.values() if x.role_id and x.role_id not in catalogue.roles}
    )
    detail = (
        f"{len(dangling)} unknown ids, for example {dangling[0]}" if dangling else "every id in the catalogue leads somewhere"
    )
    return Check("references", not dangling, detail)
