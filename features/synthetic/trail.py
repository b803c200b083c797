"""The trail that takes, slates and duties leave: one `Fact` per event, before it has an id and a time of recording."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from pydantic import JsonValue

from features.catalogue import ItemType
from features.events import SKILL_PREFIX, Result, Verb
from features.synthetic.choice import Takes
from features.synthetic.content import Shelf
from features.synthetic.moments import DAY, midnight, on_workday
from features.synthetic.parameters import Parameters
from features.synthetic.people import Crowd, learner_id
from features.synthetic.schedule import Clock, Duty, Visits
from features.synthetic.truth import Truth

Context = dict[str, JsonValue]

DATED = (ItemType.COURSE, ItemType.PROJECT, ItemType.PEER_SESSION)
QUIZ = {ItemType.ASSESSMENT: 1.0, ItemType.COURSE: 0.25}
"""The share of finished items of a type that end with a test."""


class Fact(NamedTuple):
    """What happened: `at` in seconds since the start of the period."""

    verb: Verb
    learner: int
    object_id: str
    at: int
    result: Result | None = None
    context: Context | None = None
    decision_id: str | None = None


@dataclass(frozen=True)
class Scene:
    """All that the trail is read from. `finish` is the second at which each take ended (finished or left)."""

    parameters: Parameters
    shelf: Shelf
    crowd: Crowd
    truth: Truth
    visits: Visits
    takes: Takes
    duties: list[Duty]
    finish: np.ndarray

    def item_id(self, take: int) -> str:
        return self.shelf.items[int(self.takes.item[take])].id

    def skill_object(self, take: int) -> str:
        return SKILL_PREFIX + self.shelf.skills[int(self.shelf.main[self.takes.item[take]])].id


def finish_times(shelf: Shelf, takes: Takes, clock: Clock) -> np.ndarray:
    """int[t]: short items end in the same sitting, long ones on a working day of the next two weeks."""
    rng, seconds = clock.rng, np.array([item.duration_s or 600 for item in shelf.items])[takes.item]
    sitting = takes.at + (seconds * rng.uniform(0.9, 1.5, len(seconds))).astype(int)
    days = np.ceil(seconds / 5400) + rng.geometric(0.35, len(seconds))
    spread = (seconds > 5400) | ((seconds > 2400) & (rng.random(len(seconds)) < 0.4))
    return np.where(spread, clock.later(takes.learner, takes.at, days), sitting)


def facts(scene: Scene, clock: Clock) -> list[Fact]:
    """Every fact that lies within its learner's time, in no particular order."""
    rng = clock.rng
    every = (
        *_asked(scene),
        *_shown(scene, rng),
        *_around(scene, clock),
        *_progress(scene, clock),
        *_ended(scene, rng),
        *_tested(scene, clock),
        *_opinions(scene, rng),
        *_declared(scene, clock),
        *_applied(scene, clock),
    )
    begins, ends = scene.crowd.begins, scene.crowd.ends
    return [fact for fact in every if begins[fact.learner] <= fact.at < ends[fact.learner]]


def decision_id(visit: int) -> str:
    """The id of the earlier system's decision at a visit."""
    return f"past-{visit:06d}"


def _pick(share: float | np.ndarray, n: int, rng: np.random.Generator) -> list[int]:
    return [int(t) for t in np.flatnonzero(rng.random(n) < share)]


def _asked(scene: Scene) -> Iterator[Fact]:
    """assigned, waived: duties, unless the learner had taken the item before being asked."""
    earliest = dict(zip(zip(scene.takes.learner[::-1].tolist(), scene.takes.item[::-1].tolist(), strict=True),
                        scene.takes.at[::-1].tolist(), strict=True))  # fmt: skip
    zero = midnight(scene.parameters.period.start)
    for duty in scene.duties:
        if duty.again or earliest.get((duty.learner, duty.item), duty.asked_at) >= duty.asked_at:
            due = (zero + timedelta(seconds=duty.due_at)).strftime("%Y-%m-%dT%H:%M:%SZ")
            context: Context = {"due_at": due, "mandatory": duty.mandatory}
            if not duty.mandatory:
                context["by"] = learner_id(int(scene.crowd.manager[duty.learner]))
            item = scene.shelf.items[duty.item].id
            yield Fact(Verb.ASSIGNED, duty.learner, item, duty.asked_at, context=context)
            if duty.waived_at >= 0:
                yield Fact(Verb.WAIVED, duty.learner, item, duty.waived_at, context={"reason": "equivalent training"})


def _shown(scene: Scene, rng: np.random.Generator) -> Iterator[Fact]:
    """shown, and what people do with a card they do not open: saved, dismissed, known."""
    rule = scene.parameters.recommending
    opened = {(int(v), int(i)) for v, i, c in zip(scene.takes.visit, scene.takes.item, scene.takes.clicked, strict=True) if c}
    edges = np.cumsum([rule.saved_share, rule.dismissed_share, rule.known_share])
    for visit, items in scene.takes.slates.items():
        learner, at, decision = int(scene.visits.learner[visit]), int(scene.visits.at[visit]), decision_id(visit)
        policy = "random" if visit in scene.takes.explored else "appeal"
        draws = rng.random(len(items))
        for position, item in enumerate(items.tolist()):
            name, where = scene.shelf.items[item].id, Context(surface="home", position=position, policy=policy)
            yield Fact(Verb.SHOWN, learner, name, at - 60, None, where, decision)
            reaction = int(np.searchsorted(edges, draws[position], side="right"))
            if (visit, item) not in opened and reaction < 3:
                verb = (Verb.SAVED, Verb.DISMISSED, Verb.KNOWN)[reaction]
                yield Fact(verb, learner, name, at - 40 + 5 * position, None, {"surface": "home"}, decision)


def _around(scene: Scene, clock: Clock) -> Iterator[Fact]:
    """started; before it saved and enrolled; after it withdrawn."""
    takes, rule, rng, n = scene.takes, scene.parameters.traces, clock.rng, len(scene.takes.item)
    for t in range(n):
        decision = decision_id(int(takes.visit[t])) if takes.clicked[t] else None
        yield Fact(Verb.STARTED, int(takes.learner[t]), scene.item_id(t), int(takes.at[t]), decision_id=decision)
    dated = np.array([item.type in DATED for item in scene.shelf.items])[takes.item]
    ahead = clock.earlier(takes.learner, takes.at, rng.exponential(2.5, n))
    noticed = clock.earlier(takes.learner, takes.at, rng.exponential(6, n))
    for t in _pick(rule.enrolled_share * dated, n, rng):
        if _open(scene, t, int(ahead[t])):
            yield Fact(Verb.ENROLLED, int(takes.learner[t]), scene.item_id(t), int(ahead[t]))
            if not takes.completed[t] and rng.random() < rule.withdrawn_share:
                yield Fact(Verb.WITHDRAWN, int(takes.learner[t]), scene.item_id(t), int(scene.finish[t]) + 300)
    for t in _pick(rule.saved_share, n, rng):
        if _open(scene, t, int(noticed[t])):
            yield Fact(Verb.SAVED, int(takes.learner[t]), scene.item_id(t), int(noticed[t]))


def _open(scene: Scene, take: int, at: int) -> bool:
    when = midnight(scene.parameters.period.start) + timedelta(seconds=at)
    return scene.shelf.items[int(scene.takes.item[take])].available(when)


def _within(scene: Scene, clock: Clock, part: np.ndarray) -> np.ndarray:
    """int[t]: a moment at that part of each take; a working moment where the take lasts for days."""
    takes, lasts = scene.takes, scene.finish - scene.takes.at
    at = (takes.at + part * lasts).astype(np.int64)
    working = clock.at_work(takes.learner, on_workday(at, clock.start) // DAY)
    return np.asarray(np.where(lasts > DAY // 2, np.clip(working, takes.at + 300, scene.finish - 60), at))


def _progress(scene: Scene, clock: Clock) -> Iterator[Fact]:
    """progressed and answered, between start and end."""
    takes, rule, rng, n = scene.takes, scene.parameters.traces, clock.rng, len(scene.takes.item)
    long = np.array([(item.duration_s or 0) >= 480 for item in scene.shelf.items])[takes.item]
    for low, high, share in ((0.1, 0.6, rule.progressed_share), (0.6, 0.95, rule.progressed_share * 0.4)):
        reached = rng.uniform(low, high, n)
        at = _within(scene, clock, reached)
        for t in _pick(share * long, n, rng):
            made = Result(progress=round(float(reached[t]), 2))
            yield Fact(Verb.PROGRESSED, int(takes.learner[t]), scene.item_id(t), int(at[t]), made)
    asks = np.array([item.type in (ItemType.COURSE, ItemType.PRACTICE) for item in scene.shelf.items])[takes.item]
    at = _within(scene, clock, np.full(n, 0.8))
    for t in _pick(rule.answered_share * asks, n, rng):
        right = bool(rng.random() < _odds(takes.level[t] - scene.truth.difficulty[takes.item[t]] + 1))
        answer = Result(success=right, score=float(right))
        question: Context = {"question": f"q{rng.integers(1, 9)}"}
        yield Fact(Verb.ANSWERED, int(takes.learner[t]), scene.item_id(t), int(at[t]), answer, question)


def _ended(scene: Scene, rng: np.random.Generator) -> Iterator[Fact]:
    """completed, with the time spent."""
    takes = scene.takes
    for t in np.flatnonzero(takes.completed).tolist():
        spent = float(round((scene.shelf.items[takes.item[t]].duration_s or 600) * rng.uniform(0.7, 1.3)))
        result = Result(completion=True, duration_s=spent)
        yield Fact(Verb.COMPLETED, int(takes.learner[t]), scene.item_id(t), int(scene.finish[t]), result)


def _odds(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _tested(scene: Scene, clock: Clock) -> Iterator[Fact]:
    """passed and failed; some who fail try again within a week."""
    takes, rule, rng = scene.takes, scene.parameters.outcome, clock.rng
    share = np.array([QUIZ.get(item.type, 0.0) for item in scene.shelf.items])[takes.item] * takes.completed
    for t in _pick(share, len(share), rng):
        margin = rule.pass_margin * float(takes.level[t] - scene.truth.difficulty[takes.item[t]] + 1.7)
        passed, learner, at = bool(rng.random() < _odds(margin)), int(takes.learner[t]), int(scene.finish[t]) + 120
        yield _test(learner, scene.item_id(t), at, passed, rng)
        if not passed and rng.random() < rule.retry_share:
            again = int(clock.later(takes.learner[[t]], scene.finish[[t]], rng.uniform(1, 7, 1))[0])
            yield _test(learner, scene.item_id(t), again, bool(rng.random() < _odds(margin + 1)), rng)


def _test(learner: int, item: str, at: int, passed: bool, rng: np.random.Generator) -> Fact:
    score = round(float(rng.uniform(0.7, 1.0) if passed else rng.uniform(0.2, 0.69)), 2)
    return Fact(Verb.PASSED if passed else Verb.FAILED, learner, item, at, Result(success=passed, score=score))


def _opinions(scene: Scene, rng: np.random.Generator) -> Iterator[Fact]:
    """rated (in fifths, by appeal and interest) and shared, just after the end."""
    takes, rule, n = scene.takes, scene.parameters.traces, len(scene.takes.item)
    liking = 0.68 + 0.08 * scene.truth.appeal[takes.item] + 0.06 * takes.fit + rng.normal(0, 0.15, n)
    stars = np.clip(np.round(liking * 5), 1, 5) / 5
    for t in _pick(rule.rated_share * takes.completed, n, rng):
        rating = Result(score=round(float(stars[t]), 1))
        yield Fact(Verb.RATED, int(takes.learner[t]), scene.item_id(t), int(scene.finish[t]) + 45, rating)
    for t in _pick(rule.shared_share * takes.completed, n, rng):
        yield Fact(Verb.SHARED, int(takes.learner[t]), scene.item_id(t), int(scene.finish[t]) + 200, None, {"channel": "chat"})


def _declared(scene: Scene, clock: Clock) -> Iterator[Fact]:
    """known, of skills: what some learners told us about themselves soon after arriving."""
    crowd, levels = scene.crowd, scene.truth.levels_at_start
    for learner in np.flatnonzero(crowd.declares).tolist():
        have = np.flatnonzero(levels[learner] >= 1.0)
        told = clock.rng.permutation(have)[: int(clock.rng.integers(2, 6))]
        at = int(clock.later(np.array([learner]), crowd.begins[[learner]], clock.rng.integers(1, 20, 1))[0])
        for number, skill in enumerate(told.tolist()):
            level = float(np.clip(levels[learner, skill] + clock.rng.normal(0, 0.4), 0.5, 5))
            name = SKILL_PREFIX + scene.shelf.skills[skill].id
            yield Fact(Verb.KNOWN, learner, name, at + 20 * number, Result(score=round(level / 5, 2)), {"surface": "profile"})


def _applied(scene: Scene, clock: Clock) -> Iterator[Fact]:
    """applied weeks later, attested by a manager, endorsed by a colleague, and now and then revoked."""
    takes, rule, rng, n = scene.takes, scene.parameters.outcome, clock.rng, len(scene.takes.item)
    weight = np.clip(0.4 + 0.4 * takes.level, 0.4, 1.6) * takes.completed
    wait = 7 + rng.exponential(max(rule.apply_days - 7, 1), n)
    when = clock.later(takes.learner, scene.finish, wait)
    for t in _pick(rule.applied_per_take * weight, n, rng):
        learner, manager = int(takes.learner[t]), int(scene.crowd.manager[takes.learner[t]])
        yield Fact(Verb.APPLIED, learner, scene.skill_object(t), int(when[t]), None, {"item": scene.item_id(t)})
        if manager >= 0 and rng.random() < rule.attested_share:
            yield from _attested(scene, clock, t, int(when[t]), manager)
    for t in _pick(rule.endorsed_per_take * weight, n, rng):
        if len(peers := np.flatnonzero((scene.crowd.unit == scene.crowd.unit[takes.learner[t]]) & ~scene.crowd.cold)) > 1:
            peer = int(rng.choice(peers[peers != takes.learner[t]]))
            yield Fact(
                Verb.ENDORSED, int(takes.learner[t]), scene.skill_object(t), int(when[t]), None, {"by": learner_id(peer)}
            )


def _attested(scene: Scene, clock: Clock, take: int, applied_at: int, manager: int) -> Iterator[Fact]:
    learner, skill = int(scene.takes.learner[take]), scene.skill_object(take)
    who, start = scene.takes.learner[[take]], np.array([applied_at])
    at = int(clock.later(who, start, clock.rng.uniform(2, 20, 1))[0])
    yield Fact(Verb.ATTESTED, learner, skill, at, None, {"by": learner_id(manager)})
    if clock.rng.random() < scene.parameters.outcome.revoked_share:
        later = int(clock.later(who, np.array([at]), clock.rng.uniform(10, 60, 1))[0])
        yield Fact(Verb.REVOKED, learner, skill, later, None, {"reason": "evidence not found", "by": learner_id(manager)})
