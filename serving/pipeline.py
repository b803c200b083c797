"""From a request to a decision: hydrate, retrieve, filter, score, re-rank, record.

`rank` is pure: the same bundle, request, learner, history, time, decision id and policy give the same decision, all but the
milliseconds. A logged decision is therefore replayed by calling it again.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from math import isfinite
from time import perf_counter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Learner, Role
from features.decisions import Decision, Randomisation, Row, SlateItem
from features.events import Event
from features.grants import Grant
from features.interactions import Histories
from features.ranking import FEATURES, Context, features, gap_closed
from features.skills import SkillState, gaps, profile
from features.xapi.parts import resolved
from serving.cold import GAPS, by_skills
from serving.diversity import POOL, Above, Diverse
from serving.eligibility import RULES_VERSION, Facts, eligible
from serving.explanations import tree_scores
from serving.exploration import ByScore, Slot, fill, seed_of
from serving.payloads import RankRequest, Request
from serving.policy import Policy
from serving.prepared import Prepared
from serving.reasons import Grounds, reasons
from serving.scoring import Scores, best_first, causes, chances, largest, score
from serving.standing import Standing, history_of, standing

HISTORY_UNAVAILABLE: Final = "history_unavailable"
MODEL_FAILED: Final = "model_failed"
PERSONALISATION_OFF: Final = "personalisation_off"


@dataclass(frozen=True, eq=False)
class Hydrated:
    """All that is known of the learner at the time of the request."""

    learner: Learner | None
    role: Role | None
    history: Histories
    standing: Standing
    profile: Mapping[str, SkillState]
    gaps: Mapping[str, float]
    context: Context
    events_read: tuple[str, ...]

    @property
    def cold(self) -> bool:
        return len(self.history.items) == 0

    @property
    def declared(self) -> bool:
        """Whether skills are all that is known: stated or assessed, but nothing taken up."""
        return self.cold and bool(self.profile)


@dataclass
class Stages:
    """Counts and milliseconds, stage by stage."""

    counts: dict[str, int] = field(default_factory=dict)
    ms: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=perf_counter)

    def done(self, stage: str, **counts: int) -> None:
        """Close a stage that began when the last one closed."""
        now = perf_counter()
        self.ms[stage] = round((now - self._since) * 1000, 3)
        self._since = now
        self.counts |= counts


def rank(
    stock: Prepared,
    request: Request,
    learner: Learner | None,
    history: Sequence[Event],
    *,
    at: datetime,
    decision_id: str,
    policy: Policy,
    fallback: str | None = None,
    grants: tuple[Grant, ...] = (),
) -> Decision:
    """The decision for one request. `history`: the learner's events known at `at`, oldest first, of this bundle's tenant.
    `grants`: what holds at `at` of other tenants' items.

    `fallback` names why the caller degrades (`history_unavailable`, `model_failed`): the ranking is then plain popularity,
    and still obeys every rule.
    """
    stages = Stages()
    if learner is not None and not learner.personalisation:
        fallback = fallback or PERSONALISATION_OFF
    known = hydrate(stock, learner, history, at)
    stages.done("hydrate", events=len(history))
    candidates, unknown = retrieve(stock, request)
    stages.done("retrieve", candidates=len(candidates))
    kept, removed = eligible(stock, Facts(at, request, learner, known.standing, grants), candidates)
    stages.done("filter", eligible=len(kept))
    scores = score(stock, known.history, degraded=fallback in (HISTORY_UNAVAILABLE, MODEL_FAILED))
    if known.declared and fallback is None:
        scores = by_skills(scores, known.context, stock.table)
    scored = best_first(scores.total, kept[scores.scored[kept]])
    stages.done("score", scored=len(scored))
    rows, left_out = _rows(stock, request, known, scores, scored, policy, random.Random(seed_of(decision_id)))
    stages.done("rerank", shown=sum(len(row.items) for row in rows))
    removed |= {
        "unknown_item": unknown,
        "no_score": stock.ids_of(kept[~scores.scored[kept]]),
        **left_out,
    }
    shown = np.array([stock.index[item.item_id] for row in rows for item in row.items], dtype=np.int64)
    explores = policy.explore_rank or not isinstance(request, RankRequest)
    return Decision(
        decision_id=decision_id,
        tenant=stock.bundle.manifest.tenant,
        learner_id=request.learner_id,
        decided_at=at,
        surface=request.surface,
        request=request.model_dump(mode="json", exclude_defaults=True),
        bundle=stock.bundle.name,
        policy=policy.digest,
        randomisation=Randomisation(
            epsilon=policy.epsilon if explores else 0.0,
            seed=seed_of(decision_id),
            support=min(policy.support, len(scored)) if explores else 0,
        ),
        candidates=stages.counts,
        removed={rule: ids for rule, ids in removed.items() if ids},
        rows=rows,
        features=_features(stock, known.context, shown),
        events_read=known.events_read,
        versions={"catalogue": stock.bundle.manifest.catalogue_digest[:16], "rules": RULES_VERSION},
        fallback=fallback,
        stages_ms=stages.ms,
    )


def hydrate(stock: Prepared, learner: Learner | None, events: Sequence[Event], at: datetime) -> Hydrated:
    """Histories, standing, skills and gaps from a learner's events.

    With personalisation off only the standing is taken from them, for the rules to apply: no history, no skills, no role.
    """
    events = resolved(events, stock.names.__contains__)
    personal = learner is None or learner.personalisation
    telling = events if personal else ()
    role = stock.bundle.catalogue.roles.get(learner.role_id) if personal and learner and learner.role_id else None
    skills = profile(telling, stock.names, at, stock.bundle.proposals)
    return Hydrated(
        learner=learner,
        role=role,
        history=history_of(telling, stock, learner),
        standing=standing(events, stock),
        profile=skills,
        gaps=gaps(skills, role),
        context=Context.of(stock.table, skills, role, at),
        events_read=tuple(event.event_id for event in events),
    )


def retrieve(stock: Prepared, request: Request) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """int32 candidate indices, each once, and the caller's ids that the bundle does not know."""
    if not isinstance(request, RankRequest):
        return np.arange(len(stock), dtype=np.int32), ()
    asked = dict.fromkeys(request.candidates)
    indices = dict.fromkeys(stock.index[name] for name in asked if name in stock.index)
    unknown = tuple(name for name in asked if name not in stock.index)
    return np.fromiter(indices, dtype=np.int32, count=len(indices)), unknown


class _Plan(NamedTuple):
    """A row to fill: `source` where that is not the model; candidates, best first; what each is worth; how many it may show."""

    title: str
    source: str | None
    ordered: NDArray[np.int32]
    worth: NDArray[np.floating]
    size: int


def _rows(
    stock: Prepared,
    request: Request,
    known: Hydrated,
    scores: Scores,
    scored: NDArray[np.int32],
    policy: Policy,
    rng: random.Random,
) -> tuple[tuple[Row, ...], dict[str, tuple[str, ...]]]:
    """The titled rows, no item twice, and by rule the candidates that are not in them though they might be."""
    epsilon, plan = policy.epsilon, _plan(stock, request, known, scores, scored, policy)
    if isinstance(request, RankRequest) and not policy.explore_rank:
        epsilon = 0.0
    above = _above(stock, request, policy)
    filled: list[list[Slot]] = []
    places: list[int] = []
    given_up: list[dict[str, list[int]]] = []
    for row in plan:
        free = ~np.isin(row.ordered, [slot.candidate for slots in filled for slot in slots])
        left = row.ordered[free]
        reach = len(left) if policy.provider_limit is not None else POOL + row.size + policy.support  # no slot looks further
        candidates = (
            ByScore(left.tolist()) if above is None else Diverse(above, left[:reach], row.worth[free][:reach], row.size)
        )
        filled.append(fill(candidates, row.size, epsilon=epsilon, support=policy.support, rng=rng))
        places += _places(left, filled[-1])
        given_up += [candidates.given_up()] if isinstance(candidates, Diverse) else []
    sources = [row.source for row, slots in zip(plan, filled, strict=True) for _ in slots]
    slots = [slot for slots in filled for slot in slots]
    items = iter(_items(stock, known, scores, slots, sources, places, explain=request.explain))
    dressed = [(row.title, tuple(islice(items, len(slots)))) for row, slots in zip(plan, filled, strict=True)]
    shown = [slot.candidate for slots in filled for slot in slots]
    return tuple(Row(title=title, items=own) for title, own in dressed if own), _left_out(
        stock, request, scored, shown, given_up
    )


def _above(stock: Prepared, request: Request, policy: Policy) -> Above | None:
    """What the rows share where the policy wants more than the order of the scores."""
    if isinstance(request, RankRequest) and not policy.diversify_rank:
        return None
    if policy.diversity == 0 and policy.provider_limit is None:
        return None
    contents = stock.contents if policy.diversity > 0 else np.zeros((len(stock), 0), dtype=np.float32)
    return Above(policy.diversity, policy.provider_limit, contents, stock.providers)


def _places(left: NDArray[np.int32], slots: Sequence[Slot]) -> list[int]:
    """Where each slot's item stands by score alone among what was left for its row."""
    if not slots:
        return []
    place = np.zeros(int(left.max()) + 1, dtype=np.int64)
    place[left] = np.arange(len(left))
    found: list[int] = place[[slot.candidate for slot in slots]].tolist()
    return found


def _left_out(
    stock: Prepared,
    request: Request,
    scored: NDArray[np.int32],
    shown: Sequence[int],
    given_up: Sequence[Mapping[str, Sequence[int]]],
) -> dict[str, tuple[str, ...]]:
    """Each item under one rule: what a provider limit or diversity kept out, and for `/v1/rank` what the limit cut off."""
    rules = {index: rule for found in reversed(given_up) for rule, indices in found.items() for index in indices}
    if isinstance(request, RankRequest):
        rules = dict.fromkeys(scored.tolist(), "beyond_limit") | rules
    for index in shown:
        rules.pop(index, None)
    found: dict[str, tuple[str, ...]] = {}
    for index, rule in rules.items():
        found[rule] = (*found.get(rule, ()), stock.ids[index])
    return found


def _plan(
    stock: Prepared, request: Request, known: Hydrated, scores: Scores, scored: NDArray[np.int32], policy: Policy
) -> list[_Plan]:
    """What the rows are: the blend first, then what closes the role's gaps; one row for the caller's own candidates.

    Where skills are all that is known of a learner, the gaps they leave come first.
    """
    if isinstance(request, RankRequest):
        size = len(scored) if request.limit is None else request.limit
        return [_Plan("Ranked for you", None, scored, scores.total[scored], size)]
    closing, closed = _closing(stock, known, scored)
    spare = len(closing) - len(set(closing.tolist()).intersection(scored[: request.limit].tolist()))
    gap_slots = min(int(request.limit * policy.gap_share), spare)
    title = "Recommended for you"
    if known.cold:
        title = "Popular with your colleagues" if known.history.audience[0] >= 0 else "Popular now"
    if stock.bundle.model.kind == "catalogue":  # nobody has taken anything up yet
        title = "From the catalogue"
    main = _Plan(title, None, scored, scores.total[scored], request.limit - gap_slots)
    gap_row = _Plan("For your role's gaps", GAPS, closing, closed, gap_slots)
    return [gap_row, main] if known.declared else [main, gap_row]


def _closing(stock: Prepared, known: Hydrated, scored: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.floating]]:
    """Candidates that bring a skill of the role closer, by levels gained, then by score (the order given); and those levels."""
    if not known.gaps or len(scored) == 0:
        return scored[:0], np.zeros(0, dtype=np.float32)
    closed = gap_closed(known.context, stock.table.levels[scored]).sum(axis=1)
    order = np.lexsort((np.arange(len(scored)), -closed))
    order = order[: int((closed > 0).sum())]
    return scored[order], closed[order]


def _items(
    stock: Prepared,
    known: Hydrated,
    scores: Scores,
    slots: Sequence[Slot],
    sources: Sequence[str | None],
    places: Sequence[int],
    *,
    explain: bool,
) -> list[SlateItem]:
    """The slate in the order of its slots, each item with its score, its parts and its reasons."""
    shown = np.array([slot.candidate for slot in slots], dtype=np.int64)
    parts = scores.of(shown)
    likely = chances(stock, known.history, scores, shown)
    model = stock.bundle.model
    trees = tree_scores(model, scores, shown) if explain else [None] * len(slots)
    because = causes(model, known.history, shown) if scores.of_model else [()] * len(slots)
    grounds = Grounds(stock, known.learner, known.role, known.profile, known.gaps, known.history, known.standing)
    told = reasons(grounds, shown, parts, because, trees)
    totals = scores.total[shown].tolist()
    each = zip(slots, sources, totals, parts, told, places, likely, because, trees, strict=True)
    return [
        SlateItem(
            item_id=stock.ids[slot.candidate],
            position=position,
            score=total,
            parts=own,
            propensity=slot.propensity,
            source="explore" if slot.explored else source or largest(own),
            reasons=why,
            place=place,
            probability=chance,
            because=tuple((stock.ids[item], amount) for item, amount in past),
            trees=tree_score,
        )
        for position, (slot, source, total, own, why, place, chance, past, tree_score) in enumerate(each)
    ]


def _features(stock: Prepared, context: Context, shown: NDArray[np.int64]) -> dict[str, tuple[float | None, ...]]:
    values = features(context, stock.table, shown).astype(np.float64)
    return {name: tuple(v if isfinite(v) else None for v in values[:, at].tolist()) for at, name in enumerate(FEATURES)}
