"""The skill profile: what a learner's events show of each skill, and the gap to what their role expects.

A pure function of events: the same events in any order give the same profile, and every level names the events behind it.

Level: each piece of evidence shows a level (0-5) that fades with a half-life ([features/forgetting.py]); the profile holds the
highest faded level. Confidence: `1 - prod(1 - c * fade)` over independent pieces of evidence, so that more evidence never
lowers it (noisy-or, Pearl 1988, 4.3.2). docs/skills.md has the whole model with a worked example.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite, log2
from types import MappingProxyType
from typing import Final, NamedTuple

from features.catalogue import Item, Role
from features.events import SKILL_PREFIX, Event, Evidence, Verb
from features.forgetting import DAY, KINDS, NEVER, Chain, Kind
from features.proposals import Proposal, Proposals

TELLING: Final = frozenset({*KINDS, Verb.FAILED, Verb.REVOKED})
"""Verbs that a profile depends on; most events (shown, started) are not among them."""

UNSTATED_LEVEL: Final = 1.0
"""The level that evidence shows when it states none and nothing before it showed more."""
DECLARED_LEVEL: Final = 2.0
"""What a learner says of themselves counts up to this level; more takes evidence."""
LEAST_GAP: Final = 0.05
"""Less than this is no gap: what faded in the days since somebody learnt it is nothing to learn again."""
RIGHT: Final = 0.5
"""An answer that only has a score is right from here on."""

_TESTED: Final = frozenset({Verb.COMPLETED, Verb.PASSED, Verb.ANSWERED})
"""Here a score is the share that was right: it scales the level."""
_RATED: Final = frozenset({Verb.KNOWN, Verb.ENDORSED, Verb.ATTESTED})
"""Here a score is a rating of the skill itself, a share of 5."""
_NONE: Proposals = MappingProxyType({})


class SkillState(NamedTuple):
    """One skill of one learner now: level 0-5, the strongest evidence, confidence 0..1, the events that say so.

    `half_life`: how long what carries the level takes to fade to half of it, if nothing happens.
    """

    level: float
    evidence: Evidence
    confidence: float
    event_ids: tuple[str, ...]
    half_life: timedelta


@dataclass(frozen=True)
class Contribution:
    """What one event gives to one skill: the level it showed, that level faded until now, and its own confidence now.

    `proposed`: the confidence with which a text model said that the item teaches the skill; None where the catalogue says
    it. `confidence` is 0 where an equal fact (the same item completed again, another claim) counts in its place. The last
    `failed` is among them with nothing but zeros: it started the lengthening of half-lives over.
    """

    event: Event
    shown: float
    level: float
    confidence: float
    half_life: timedelta
    proposed: float | None


class _Piece(NamedTuple):
    """One piece of evidence about one skill; `level` None: it confirms whatever was shown before it.

    `fact`: equal for pieces that say the same again, of which one counts. All claims are one fact, and so are all
    completions of one item.
    """

    at: float
    event_id: str
    event: Event
    fact: object
    kind: Kind
    level: float | None
    proposed: Proposal | None


class _Faded(NamedTuple):
    """A piece with the level it showed, and its half-life in seconds, level and confidence now."""

    piece: _Piece
    shown: float
    half_life: float
    level: float
    confidence: float


def profile(
    events: Iterable[Event], items: Mapping[str, Item], at: datetime, proposals: Proposals = _NONE
) -> dict[str, SkillState]:
    """Skill id -> state at `at`, from the events of one learner that occurred and were known by then.

    `items` by id and alias. An item's evidence counts for each skill the item teaches, or, where the catalogue names none,
    for those that `proposals` names. An event about a skill (`skill:ID`) may state its level in `context["level"]`, a rating
    also as a score (a share of 5). `revoked` takes back all earlier evidence about its object.
    """
    found, _ = _faded(events, items, at, proposals)
    return {skill: _state(faded) for skill, faded in found.items()}


def explain(
    events: Iterable[Event], items: Mapping[str, Item], at: datetime, proposals: Proposals = _NONE
) -> dict[str, tuple[SkillState, tuple[Contribution, ...]]]:
    """Skill id -> its state, as `profile` of the same arguments has it, and what each event gives to it, the largest first."""
    found, failed = _faded(events, items, at, proposals)
    return {skill: (_state(faded), _contributions(faded, failed.get(skill))) for skill, faded in found.items()}


def gaps(known: Mapping[str, SkillState], role: Role | None) -> dict[str, float]:
    """Skill id -> expected minus present level, only where it is `LEAST_GAP` or more. Empty without a role."""
    if role is None:
        return {}
    missing = {skill: expected - (known[skill].level if skill in known else 0.0) for skill, expected in role.expects.items()}
    return {skill: gap for skill, gap in sorted(missing.items()) if gap >= LEAST_GAP}


def failures(
    events: Iterable[Event], items: Mapping[str, Item], at: datetime, proposals: Proposals = _NONE
) -> dict[str, list[datetime]]:
    """Skill id -> when its learner failed, in order: what stands behind `explain` of the same arguments."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for event, item in _standing(events, items, at):
        if event.verb is Verb.FAILED:
            for skill in _skills(event, item, proposals):
                found[skill].append(event.occurred_at)
    return {skill: sorted(moments) for skill, moments in found.items()}


def fades_below(contributions: Iterable[Contribution], expected: float) -> datetime | None:
    """When the level of a skill falls below `expected` if nothing happens; None: it never does, or has never reached it."""
    lasting = [one for one in contributions if one.shown >= expected > 0]
    try:
        return max((one.event.occurred_at + one.half_life * log2(one.shown / expected) for one in lasting), default=None)
    except OverflowError:  # later than the year 9999
        return None


def _faded(
    events: Iterable[Event], items: Mapping[str, Item], at: datetime, proposals: Proposals
) -> tuple[dict[str, list[_Faded]], dict[str, Event]]:
    """By skill: its pieces in order of (time, event id), and the last failure."""
    found, failed = _pieces(_standing(events, items, at), proposals)
    now = at.timestamp()
    return {skill: _fade(sorted(found[skill]), failed.get(skill), now) for skill in sorted(found)}, failed


def _pieces(
    standing: Iterable[tuple[Event, Item | None]], proposals: Proposals
) -> tuple[dict[str, list[_Piece]], dict[str, Event]]:
    """By skill: what shows it, and the last failure."""
    found: dict[str, list[_Piece]] = defaultdict(list)
    failed: dict[str, Event] = {}
    for event, item in standing:
        kind = KINDS.get(event.verb)
        if event.verb is Verb.FAILED:
            failed |= {skill: _later(event, failed.get(skill)) for skill in _skills(event, item, proposals)}
        elif kind is not None and _succeeded(event):
            when, event_id, fact, proposed = event.occurred_at.timestamp(), event.event_id, _fact(event, item, kind), None
            for skill, taught in _skills(event, item, proposals).items():
                if isinstance(taught, Proposal):
                    proposed, taught = taught, taught.level
                level = _counted(taught, event)
                if level is None or level > 0:
                    found[skill].append(_Piece(when, event_id, event, fact, kind, level, proposed))
    return found, failed


def _later(one: Event, other: Event | None) -> Event:
    if other is None:
        return one
    return max(one, other, key=lambda event: (event.occurred_at, event.event_id))


def _standing(events: Iterable[Event], items: Mapping[str, Item], at: datetime) -> list[tuple[Event, Item | None]]:
    """The telling events by `at`, each once, that no later or simultaneous `revoked` on the same object takes back."""
    past = {
        event.event_id: (event, items.get(event.object_id))
        for event in events
        if event.verb in TELLING and event.occurred_at <= at and event.known_at <= at
    }
    revoked: dict[str, datetime] = {}
    for event, item in past.values():
        if event.verb is Verb.REVOKED:
            thing = _thing(event, item)
            revoked[thing] = max(event.occurred_at, revoked.get(thing, event.occurred_at))
    if not revoked:
        return list(past.values())
    return [one for one in past.values() if (thing := _thing(*one)) not in revoked or one[0].occurred_at > revoked[thing]]


def _thing(event: Event, item: Item | None) -> str:
    """What an event is about, whichever alias it names."""
    return event.object_id if item is None else item.id


def _fact(event: Event, item: Item | None, kind: Kind) -> object:
    if kind.evidence is Evidence.COMPLETED:
        return _thing(event, item)
    return Evidence.DECLARED if kind.evidence is Evidence.DECLARED else (event.event_id,)


def _succeeded(event: Event) -> bool:
    """Whether the result bears out the verb: a wrong answer, or `success: false`, shows nothing."""
    result = event.result
    if event.verb is Verb.ANSWERED:
        return result is not None and (result.success is True or (result.success is None and (result.score or 0.0) >= RIGHT))
    return result is None or result.success is not False


def _skills(event: Event, item: Item | None, proposals: Proposals) -> Mapping[str, float | Proposal | None]:
    """Skill -> level taught, stated or proposed, of each skill that one event is about."""
    if event.object_id.startswith(SKILL_PREFIX):
        return {event.object_id[len(SKILL_PREFIX) :]: _stated(event)}
    if item is None:
        return {}
    return item.skills or proposals.get(item.id, {})


def _stated(event: Event) -> float | None:
    """The level that an event about a skill states: in its context, or as a score where that is a rating."""
    stated = event.context.get("level")
    if isinstance(stated, int | float) and not isinstance(stated, bool) and isfinite(level := min(max(stated, 0), 5)):
        return float(level)
    rated = event.verb in _RATED and event.result is not None and event.result.score is not None
    return 5.0 * event.result.score if rated else None  # type: ignore[union-attr, operator]


def _counted(level: float | None, event: Event) -> float | None:
    """The level that counts: one answer shows none of an item's, a test's score scales it, a claim is capped."""
    if level is None or (event.verb is Verb.ANSWERED and event.skill_id is None):
        return None
    if event.verb is Verb.KNOWN:
        return min(level, DECLARED_LEVEL)
    if event.result is not None and event.result.score is not None and event.verb in _TESTED:
        return level * event.result.score
    return level


def _fade(pieces: list[_Piece], failure: Event | None, now: float) -> list[_Faded]:
    """Each piece, in the order given, with what is left of it at `now`."""
    if len(pieces) == 1:  # as most skills have, and nothing lengthens its half-life
        (piece,) = pieces
        return [_left(piece, UNSTATED_LEVEL if piece.level is None else piece.level, 1.0, now)]
    retrievals = [piece.at for piece in pieces if piece.kind.retrieval]
    chain = None
    if retrievals and pieces[0].at < retrievals[-1]:
        chain = Chain.of(retrievals, NEVER if failure is None else failure.occurred_at.timestamp())
    # A retrieval proves all that was shown before it: it carries the whole chain, the rest what comes after it.
    whole = 1.0 if chain is None else chain.factor(pieces[0].at)
    factors = [whole if chain is None or piece.kind.retrieval else chain.factor(piece.at) for piece in pieces]
    return [_left(piece, shown, factor, now) for piece, shown, factor in zip(pieces, _shown(pieces), factors, strict=True)]


def _left(piece: _Piece, shown: float, factor: float, now: float) -> _Faded:
    """What is left at `now` of a piece whose half-life is `factor` times that of its kind."""
    half_life = piece.kind.half_life_days * DAY * factor
    left = 0.5 ** (max(now - piece.at, 0.0) / half_life)
    sure = piece.kind.confidence * left
    if piece.proposed is not None:
        sure *= piece.proposed.confidence
    return _Faded(piece, shown, half_life, shown * left, sure)


def _shown(pieces: Sequence[_Piece]) -> list[float]:
    """The level each piece shows; one that states none confirms the highest shown by its time."""
    highest: dict[float, float] = {}
    best = UNSTATED_LEVEL
    for piece in pieces:
        if piece.level is not None and piece.level > best:
            best = piece.level
        highest[piece.at] = best
    return [highest[piece.at] if piece.level is None else piece.level for piece in pieces]


def _state(faded: Sequence[_Faded]) -> SkillState:
    level, half_life, strongest, doubt = 0.0, 0.0, Evidence.NONE, 1.0
    for one in faded:
        if one.level > level or (one.level == level and one.half_life > half_life):
            level, half_life = one.level, one.half_life
        if one.piece.kind.evidence > strongest:
            strongest = one.piece.kind.evidence
    for one in _independent(faded):
        doubt *= 1.0 - one.confidence
    ids = tuple([one.piece.event_id for one in faded])
    return SkillState(level, strongest, 1.0 - doubt, ids, timedelta(seconds=half_life))


def _independent(faded: Sequence[_Faded]) -> Iterable[_Faded]:
    """Of equal facts the one that says most."""
    if len(faded) == 1:
        return faded
    best: dict[object, _Faded] = {}
    for one in faded:
        fact = one.piece.fact
        if fact not in best or one.confidence > best[fact].confidence:
            best[fact] = one
    return best.values()


def _contributions(faded: Sequence[_Faded], failure: Event | None) -> tuple[Contribution, ...]:
    counting = {one.piece.event_id for one in _independent(faded)}
    found = [
        Contribution(
            event=one.piece.event,
            shown=one.shown,
            level=one.level,
            confidence=one.confidence if one.piece.event_id in counting else 0.0,
            half_life=timedelta(seconds=one.half_life),
            proposed=None if one.piece.proposed is None else one.piece.proposed.confidence,
        )
        for one in faded
    ]
    if failure is not None:
        found.append(Contribution(failure, 0.0, 0.0, 0.0, timedelta(0), None))
    return tuple(sorted(found, key=lambda one: (-one.level, -one.confidence, one.event.occurred_at, one.event.event_id)))
