"""What a learner can do and what their role misses: the answers of `/v1/learners/{learner_id}/skills` and `/gaps`.

`skills_of` and `gaps_of` are pure: bundle, learner, events and moment in, answer out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

from features.catalogue import Learner, Role
from features.events import Event, Id
from features.grants import Grant
from features.skills import LEAST_GAP, Contribution, SkillState, explain, fades_below, profile
from features.skills import gaps as gaps_between
from features.xapi.parts import resolved
from serving.eligibility import Facts, eligible
from serving.payloads import (
    MAX_WHY,
    Filters,
    Gap,
    GapItem,
    GapsAnswer,
    GapsQuery,
    LearnerSkill,
    SkillsAnswer,
    SkillsQuery,
    Why,
)
from serving.pipeline import PERSONALISATION_OFF
from serving.prepared import Prepared
from serving.problems import RefusedError, invalid
from serving.rules.holding import holding
from serving.rules.language import Rule
from serving.runtime import Known, NotReadyError, Runtime, StoreDownError
from serving.standing import Standing, standing

Asked = Mapping[str, Sequence[str]]
"""The values of each query parameter, as they came."""
Q = TypeVar("Q", bound=BaseModel)
A = TypeVar("A", SkillsAnswer, GapsAnswer)
_ID: TypeAdapter[str] = TypeAdapter(Id)
_Evidence = Literal["declared", "completed", "assessed", "applied"]


async def skills(runtime: Runtime, tenant: str, learner_id: str, asked: Asked) -> SkillsAnswer:
    """The answer of `/skills`. Raises RefusedError: 400, 404 for somebody never heard of, 503."""
    query = read_query(SkillsQuery, asked)
    return await _answer(
        runtime,
        tenant,
        learner_id,
        query.at,
        lambda stock, found, at: skills_of(stock, learner_id, found.learner, found.history, at, query.skill),
    )


async def gaps(runtime: Runtime, tenant: str, learner_id: str, asked: Asked) -> GapsAnswer:
    """The answer of `/gaps`. Raises RefusedError: 400, 404 for somebody never heard of, 503."""
    query = read_query(GapsQuery, asked)
    return await _answer(
        runtime,
        tenant,
        learner_id,
        query.at,
        lambda stock, found, at: gaps_of(
            stock, learner_id, found.learner, found.history, at, query.limit, found.grants, runtime.policy.rules_of(tenant)
        ),
    )


def skills_of(
    stock: Prepared,
    learner_id: str,
    learner: Learner | None,
    events: Sequence[Event],
    at: datetime,
    wanted: Sequence[str] = (),
) -> SkillsAnswer:
    """All skills, or the `wanted` ones, that the events show at `at`; the highest level first."""
    head = head_of(stock, learner_id, learner, at)
    if head["fallback"] is not None:
        return SkillsAnswer(**head, skills=())
    known = explain(resolved(events, stock.names.__contains__), stock.names, at, stock.bundle.proposals)
    role = _role(stock, learner)
    found = [_skill(stock, skill, *shown, role, at) for skill, shown in known.items() if not wanted or skill in wanted]
    return SkillsAnswer(**head, skills=tuple(sorted(found, key=lambda one: (-one.level, one.skill))))


def gaps_of(
    stock: Prepared,
    learner_id: str,
    learner: Learner | None,
    events: Sequence[Event],
    at: datetime,
    limit: int = 5,
    grants: tuple[Grant, ...] = (),
    rules: Sequence[Rule] = (),
) -> GapsAnswer:
    """What the role expects and the events do not show at `at`; the largest gap first, each with at most `limit` items, of
    which none is kept from the learner by `rules` of the policy.
    """
    head = head_of(stock, learner_id, learner, at)
    role = _role(stock, learner)
    if head["fallback"] is not None or role is None:
        return GapsAnswer(**head, gaps=())
    events = resolved(events, stock.names.__contains__)
    known = profile(events, stock.names, at, stock.bundle.proposals)
    open_items = open_to(stock, learner_id, learner, standing(events, stock), at, grants, rules)
    found = [
        _gap(stock, skill, role.expects[skill], known.get(skill), gap, open_items, limit)
        for skill, gap in gaps_between(known, role).items()
    ]
    return GapsAnswer(**head, gaps=tuple(sorted(found, key=lambda one: (-one.gap, one.skill))))


def open_to(
    stock: Prepared,
    learner_id: str,
    learner: Learner | None,
    standing: Standing,
    at: datetime,
    grants: tuple[Grant, ...],
    rules: Sequence[Rule] = (),
) -> NDArray[np.int32]:
    """The items that a learner may take at `at`, as indices."""
    held = holding(rules, (), learner, at)
    facts = Facts(at, Filters(learner_id=learner_id), learner, standing, grants, held)
    return eligible(stock, facts, np.arange(len(stock), dtype=np.int32))[0]


async def _answer(
    runtime: Runtime,
    tenant: str,
    learner_id: str,
    at: datetime | None,
    of: Callable[[Prepared, Known, datetime], A],
) -> A:
    check_id(learner_id)
    moment = moment_of(runtime, at)
    try:
        stock = runtime.stock(tenant)
        found = await runtime.known(tenant, learner_id, moment, stock)
    except (NotReadyError, StoreDownError) as error:
        raise RefusedError(503, str(error), headers={"Retry-After": "5"}) from None
    if found.learner is None and not found.history:
        raise never_heard_of(learner_id, moment)
    return await runtime.worked_out(len(found.history), lambda: of(stock, found, moment))


def read_query(kind: type[Q], asked: Asked) -> Q:
    """The validated query. A parameter that may be given once and is given twice is refused."""
    lists = {"skill"}
    repeated = [name for name, values in asked.items() if name not in lists and len(values) > 1]
    if repeated:
        raise RefusedError(400, f"{repeated[0]}: given {len(asked[repeated[0]])} times; give it once", field=repeated[0])
    try:
        return kind.model_validate({name: values if name in lists else values[0] for name, values in asked.items()})
    except ValidationError as error:
        raise invalid(error) from None


def moment_of(runtime: Runtime, at: datetime | None) -> datetime:
    """The moment that is asked for, now where none is. Raises RefusedError (400) for one that lies in the future."""
    now = runtime.clock()
    if at is not None and at > now:
        raise RefusedError(400, f"at: {at.isoformat()} lies in the future; it is {now.isoformat()}", field="at")
    return at or now


def never_heard_of(learner_id: str, at: datetime) -> RefusedError:
    """The 404 for somebody who is neither in the catalogue nor in an event."""
    words = f"learner {learner_id!r} was never heard of by {at.isoformat()}: neither in the catalogue nor in an event"
    return RefusedError(404, words, field="learner_id")


def check_id(given: str, field: str = "learner_id") -> None:
    """Raises RefusedError (400) for what is no id."""
    try:
        _ID.validate_python(given)
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"]
        raise RefusedError(400, f"{field}: {said}", field=field) from None


def head_of(stock: Prepared, learner_id: str, learner: Learner | None, at: datetime) -> dict[str, Any]:
    """The fields that all answers about a learner begin with (`serving.payloads.OfLearner`)."""
    personal = learner is None or learner.personalisation
    role = _role(stock, learner) if personal else None
    return {
        "learner_id": learner_id,
        "at": at,
        "bundle": stock.bundle.name,
        "role": None if role is None else role.id,
        "in_catalogue": learner is not None,
        "fallback": None if personal else PERSONALISATION_OFF,
    }


def _role(stock: Prepared, learner: Learner | None) -> Role | None:
    return None if learner is None or learner.role_id is None else stock.bundle.catalogue.roles.get(learner.role_id)


def _name(stock: Prepared, skill: str) -> str:
    known = stock.bundle.catalogue.skills.get(skill)
    return skill if known is None else known.name


def _skill(
    stock: Prepared, skill: str, state: SkillState, why: Sequence[Contribution], role: Role | None, at: datetime
) -> LearnerSkill:
    expected = None if role is None else role.expects.get(skill)
    below = None if expected is None else fades_below(why, expected)
    return LearnerSkill(
        skill=skill,
        name=_name(stock, skill),
        level=_rounded(state.level),
        confidence=_rounded(state.confidence),
        evidence=cast(_Evidence, state.evidence.name.lower()),
        half_life_days=_days(state.half_life.total_seconds()),
        expected=expected,
        below_expected_at=below if below is not None and below > at else None,
        events=len(why),
        why=tuple(_why(stock, one) for one in why[:MAX_WHY]),
    )


def _why(stock: Prepared, one: Contribution) -> Why:
    item = stock.names.get(one.event.object_id)
    return Why(
        event_id=one.event.event_id,
        verb=one.event.verb,
        object_id=one.event.object_id,
        title=None if item is None else item.title,
        occurred_at=one.event.occurred_at,
        shown=_rounded(one.shown),
        level=_rounded(one.level),
        confidence=_rounded(one.confidence),
        half_life_days=_days(one.half_life.total_seconds()),
        proposed=one.proposed,
    )


def _gap(
    stock: Prepared,
    skill: str,
    expected: float,
    state: SkillState | None,
    gap: float,
    open_items: NDArray[np.int32],
    limit: int,
) -> Gap:
    present = 0.0 if state is None else state.level
    return Gap(
        skill=skill,
        name=_name(stock, skill),
        expected=expected,
        present=_rounded(present),
        gap=_rounded(gap),
        confidence=0.0 if state is None else _rounded(state.confidence),
        items=tuple(_closing(stock, skill, present, expected, open_items)[:limit]),
    )


def _closing(stock: Prepared, skill: str, present: float, expected: float, open_items: NDArray[np.int32]) -> list[GapItem]:
    """What closes most of the gap first (a proposal by its confidence), then the shorter, then the more popular."""
    found = [
        (closes * (proposed or 1.0), index, level, closes, proposed)
        for index, level, proposed in _teaching(stock, skill, open_items)
        if (closes := min(level, expected) - present) >= LEAST_GAP
    ]
    minutes, popularity = stock.table.minutes, stock.table.popularity

    def order(one: tuple[float, int, float, float, float | None]) -> tuple[float, float, float, int]:
        long = float(minutes[one[1]])
        return -one[0], long if long == long else float("inf"), -float(popularity[one[1]]), one[1]

    return [_item(stock, index, level, closes, proposed) for _, index, level, closes, proposed in sorted(found, key=order)]


def _teaching(stock: Prepared, skill: str, open_items: NDArray[np.int32]) -> Iterable[tuple[int, float, float | None]]:
    """(index, level, confidence of the proposal) of the open items that teach a skill, or are said to."""
    levels = stock.table.levels[open_items, stock.table.skills.index(skill)]
    for index, level in zip(open_items[levels > 0].tolist(), levels[levels > 0].tolist(), strict=True):
        yield index, level, None
    if skill in stock.proposed:
        still_open = set(open_items.tolist())
        yield from ((index, one.level, one.confidence) for index, one in stock.proposed[skill] if index in still_open)


def _item(stock: Prepared, index: int, level: float, closes: float, proposed: float | None) -> GapItem:
    item = stock.names[stock.ids[index]]
    return GapItem(
        item_id=item.id,
        title=item.title,
        type=item.type,
        minutes=None if item.duration_s is None else _rounded(item.duration_s / 60),
        level=_rounded(level),
        closes=_rounded(closes),
        proposed=proposed,
    )


def _rounded(value: float) -> float:
    """Four decimals: more say nothing about a person."""
    return round(value, 4)


def _days(seconds: float) -> float:
    return round(seconds / 86_400, 1)
