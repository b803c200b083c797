"""From a request to a decision: hydrate, retrieve, filter, score, re-rank, record.

`rank` is pure: the same bundle, request, learner, history, time, decision id and policy give the same decision, all but the
milliseconds. A logged decision is therefore replayed by calling it again.
"""

import random
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from math import isfinite
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Learner
from features.decisions import Decision, Randomisation, Row, nudged_items
from features.duties import NOTHING, Assigned
from features.events import Event
from features.grants import Grant
from features.ranking import FEATURES, Context, features
from serving.cold import by_skills
from serving.diversity import DIVERSITY, POOL, PROVIDER_LIMIT, Above, Diverse
from serving.dressing import Filled, dressed
from serving.eligibility import RULES, RULES_VERSION, Facts, eligible
from serving.exploration import ByScore, Slot, fill, seed_of
from serving.hydrated import Hydrated, hydrate
from serving.owed import Owed, owed, without_owed
from serving.payloads import RankRequest, Request
from serving.policy import Policy
from serving.prepared import Prepared
from serving.rules.boosts import boosted
from serving.rules.holding import holding
from serving.rules.limits import Limits
from serving.scoring import Scores, best_first, score
from serving.shelves import Stand, plan

HISTORY_UNAVAILABLE: Final = "history_unavailable"
MODEL_FAILED: Final = "model_failed"
PERSONALISATION_OFF: Final = "personalisation_off"
BUNDLE_UNAVAILABLE: Final = "experiment_bundle_unavailable"
"""The champion ranks, because the bundle of the learner's arm cannot be loaded."""
UNKNOWN_ITEM: Final = "unknown_item"
NO_SCORE: Final = "no_score"
BEYOND_LIMIT: Final = "beyond_limit"
NO_ROOM: Final = "no_room_for_duty"
"""Of a duty: more pressing ones fill the row of duties, or the request asks for none."""
REMOVALS: Final = (*RULES, UNKNOWN_ITEM, NO_SCORE, PROVIDER_LIMIT, DIVERSITY, BEYOND_LIMIT, NO_ROOM)
"""Every name under which a decision lists items that it does not show, beside those of rules (`serving.rules.holding`)."""


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


@dataclass(frozen=True, eq=False)
class Ranked:
    """A decision, and what its stages found on the way to it. `may`: int32, what was left to show, in any order. `owed`: the
    duties to show.
    """

    decision: Decision
    facts: Facts
    known: Hydrated
    scores: Scores
    may: NDArray[np.int32]
    owed: Sequence[Owed] = ()

    @cached_property
    def scored(self) -> NDArray[np.int32]:
        """What was left to show, best first by score."""
        return best_first(self.scores.total, self.may)


def rank(
    stock: Prepared,
    request: Request,
    learner: Learner | None,
    history: Sequence[Event],
    *,
    at: datetime,
    decision_id: str,
    policy: Policy,
    arms: Mapping[str, str] | None = None,
    fallback: str | None = None,
    grants: tuple[Grant, ...] = (),
    assigned: Assigned = NOTHING,
    nudges: Sequence[Decision] = (),
) -> Decision:
    """The decision for one request. `history`: the learner's events known at `at`, oldest first, of this bundle's tenant.
    `grants`: what holds at `at` of other tenants' items. `assigned`: what is assigned to the learner then. `arms`: those of
    experiments, whose bundle and policy are given. `nudges`: those that spoke to the learner lately, which limits count.

    `fallback` names why the caller degrades (`history_unavailable`, `model_failed`): the ranking is then plain popularity,
    and still obeys every rule.
    """
    return ranked(
        stock,
        request,
        learner,
        history,
        at=at,
        decision_id=decision_id,
        policy=policy,
        arms=arms,
        fallback=fallback,
        grants=grants,
        assigned=assigned,
        nudges=nudges,
    ).decision


def ranked(
    stock: Prepared,
    request: Request,
    learner: Learner | None,
    history: Sequence[Event],
    *,
    at: datetime,
    decision_id: str,
    policy: Policy,
    arms: Mapping[str, str] | None = None,
    fallback: str | None = None,
    grants: tuple[Grant, ...] = (),
    assigned: Assigned = NOTHING,
    nudges: Sequence[Decision] = (),
) -> Ranked:
    """What `rank` says, with the results of its stages, for whoever asks why."""
    stages = Stages()
    if learner is not None and not learner.personalisation:
        fallback = fallback or PERSONALISATION_OFF
    known = hydrate(stock, learner, history, at)
    stages.done("hydrate", events=len(history))
    candidates, unknown = retrieve(stock, request)
    stages.done("retrieve", candidates=len(candidates))
    rules = holding(policy.rules_of(stock.bundle.manifest.tenant), request.rules, learner, at)
    facts = Facts(at, request, learner, known.standing, grants, rules)
    kept, removed = eligible(stock, facts, candidates)
    duties, barred = ([], {}) if isinstance(request, RankRequest) else owed(stock, facts, assigned)
    kept = without_owed(kept, duties)
    stages.done("filter", eligible=len(kept))
    scores = score(stock, known.history, degraded=fallback in (HISTORY_UNAVAILABLE, MODEL_FAILED))
    if known.declared and fallback in (None, BUNDLE_UNAVAILABLE):
        scores = by_skills(scores, known.context, stock.table)
    scores = boosted(stock, scores, rules)
    told = scores.scored.take(kept)
    may, unscored = (kept, ()) if told.all() else (kept[told], stock.ids_of(kept[~told]))
    stages.done("score", scored=len(may))
    limits = Limits.of(stock, rules, history, at, nudged=nudged_items(nudges))
    stand = Stand(stock, request, facts, known, scores, may, duties, _most(request, policy, limits))
    rows, left_out = _rows(stand, policy, limits, random.Random(seed_of(decision_id)))
    stages.done("rerank", shown=sum(len(row.items) for row in rows))
    removed |= {UNKNOWN_ITEM: unknown, NO_SCORE: unscored, **left_out}
    shown = [item.item_id for row in rows for item in row.items]
    waiting = tuple(one.item.id for one in duties if one.item.id not in shown)
    removed = _not_shown(removed, barred, {*shown, *waiting}) | ({NO_ROOM: waiting} if waiting else {})
    explores = policy.explore_rank or not isinstance(request, RankRequest)
    decision = Decision(
        decision_id=decision_id,
        tenant=stock.bundle.manifest.tenant,
        learner_id=request.learner_id,
        decided_at=at,
        surface=request.surface,
        request=request.model_dump(mode="json", exclude_defaults=True),
        bundle=stock.bundle.name,
        policy=policy.digest,
        language=facts.wording.language,
        arms=arms or {},
        randomisation=Randomisation(
            epsilon=policy.epsilon if explores else 0.0,
            seed=seed_of(decision_id),
            support=min(policy.support, len(may)) if explores else 0,
        ),
        candidates=stages.counts,
        removed=removed,
        rows=rows,
        shortfall=_shortfall(request, removed, len(shown)),
        features=_features(stock, known.context, shown),
        events_read=known.events_read,
        nudges_read=tuple(one.decision_id for one in nudges),
        versions={"catalogue": stock.bundle.manifest.catalogue_digest[:16], "rules": RULES_VERSION},
        fallback=fallback,
        stages_ms=stages.ms,
    )
    return Ranked(decision, facts, known, scores, may, duties)


def _most(request: Request, policy: Policy, limits: Limits | None) -> int | None:
    """How many of a row's candidates any slot can look at, those that stand in other rows among them; None: all."""
    if isinstance(request, RankRequest) or limits is not None or policy.provider_limit is not None:
        return None
    return POOL + policy.support + 2 * request.limit


def retrieve(stock: Prepared, request: Request) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """int32 candidate indices, each once, and the caller's ids that the bundle does not know."""
    if not isinstance(request, RankRequest):
        return np.arange(len(stock), dtype=np.int32), ()
    asked = dict.fromkeys(request.candidates)
    indices = dict.fromkeys(stock.index[name] for name in asked if name in stock.index)
    unknown = tuple(name for name in asked if name not in stock.index)
    return np.fromiter(indices, dtype=np.int32, count=len(indices)), unknown


def _rows(
    stand: Stand, policy: Policy, limits: Limits | None, rng: random.Random
) -> tuple[tuple[Row, ...], dict[str, tuple[str, ...]]]:
    """The titled rows, no item twice and no more than the limit, and by rule the candidates that are not in them though they
    might be.
    """
    stock, request, epsilon = stand.stock, stand.request, policy.epsilon
    if isinstance(request, RankRequest) and not policy.explore_rank:
        epsilon = 0.0
    above = _above(stock, request, policy, limits)
    filled: list[Filled] = []
    shown: list[int] = []
    placed = np.zeros(len(stock) + len(stand.owed), dtype=bool)
    given_up: list[dict[str, list[int]]] = []
    for shelf in plan(stand, policy):
        size = shelf.size if isinstance(request, RankRequest) else min(shelf.size, request.limit - len(shown))
        limited = limits is not None or policy.provider_limit is not None
        reach = len(shelf.ordered) if limited else POOL + size + policy.support  # no slot looks further
        head = shelf.ordered[: reach + len(shown)]
        free = np.flatnonzero(~placed[head])[:reach]
        left = head[free]
        if shelf.fixed:
            slots = [Slot(candidate, 1.0, False) for candidate in left[:size].tolist()]
            for slot in slots:
                if above is not None and slot.candidate < len(stock):
                    above.place(slot.candidate)
        else:
            candidates = ByScore(left.tolist()) if above is None else Diverse(above, left, shelf.worth[free], size)
            slots = fill(candidates, size, epsilon=epsilon, support=policy.support, rng=rng)
            given_up += [candidates.given_up()] if isinstance(candidates, Diverse) else []
        shown += [slot.candidate for slot in slots]
        placed[shown] = True
        filled.append(Filled(shelf, slots, _places(left, slots)))
    return dressed(stand, filled), _left_out(stand, shown, given_up)


def _above(stock: Prepared, request: Request, policy: Policy, limits: Limits | None) -> Above | None:
    """What the rows share where the policy, or a rule, wants more than the order of the scores."""
    diversity, provider_limit = policy.diversity, policy.provider_limit
    if isinstance(request, RankRequest) and not policy.diversify_rank:
        diversity, provider_limit = 0.0, None
    if diversity == 0 and provider_limit is None and limits is None:
        return None
    contents = stock.contents if diversity > 0 else np.zeros((len(stock), 0), dtype=np.float32)
    return Above(diversity, provider_limit, contents, stock.providers, limits)


def _places(left: NDArray[np.int32], slots: Sequence[Slot]) -> list[int]:
    """Where each slot's item stands by score alone among what was left for its row."""
    if not slots:
        return []
    place = np.zeros(int(left.max()) + 1, dtype=np.int64)
    place[left] = np.arange(len(left))
    found: list[int] = place[[slot.candidate for slot in slots]].tolist()
    return found


def _left_out(
    stand: Stand, shown: Sequence[int], given_up: Sequence[Mapping[str, Sequence[int]]]
) -> dict[str, tuple[str, ...]]:
    """Each item under one rule: what a provider limit or diversity kept out, and for `/v1/rank` what the limit cut off."""
    rules = {index: rule for found in reversed(given_up) for rule, indices in found.items() for index in indices}
    if isinstance(stand.request, RankRequest):
        rules = dict.fromkeys(stand.scored.tolist(), BEYOND_LIMIT) | rules
    for index in shown:
        rules.pop(index, None)
    found: dict[str, list[int]] = {}
    for index, rule in rules.items():
        found.setdefault(rule, []).append(index)
    return {rule: stand.stock.ids_of(np.array(indices)) for rule, indices in found.items()}


def _not_shown(
    removed: Mapping[str, tuple[str, ...]], barred: Mapping[str, tuple[str, ...]], shown: Set[str]
) -> dict[str, tuple[str, ...]]:
    """What each rule removed, `barred` the duties among it that no bundle knows; not what a rule was waived for."""
    both = {rule: (*removed.get(rule, ()), *barred.get(rule, ())) for rule in (*removed, *barred)}
    if not shown.isdisjoint(name for ids in both.values() for name in ids):
        both = {rule: tuple(name for name in ids if name not in shown) for rule, ids in both.items()}
    return {rule: ids for rule, ids in both.items() if ids}


def _shortfall(request: Request, removed: Mapping[str, tuple[str, ...]], shown: int) -> dict[str, int]:
    """How many items each rule kept out, where a slate has fewer than it might have; `/v1/rank` names them all."""
    if isinstance(request, RankRequest) or shown >= request.limit:
        return {}
    return {rule: len(ids) for rule, ids in removed.items()}


def _features(stock: Prepared, context: Context, shown: Sequence[str]) -> dict[str, tuple[float | None, ...]]:
    """By name, the values of the shown items; None where a value, or an item, is not known."""
    known = [name for name in shown if name in stock.index]
    values = features(context, stock.table, np.array([stock.index[name] for name in known], dtype=np.int64)).astype(np.float64)
    rows = dict(zip(known, values.tolist(), strict=True))
    none = [np.nan] * len(FEATURES)
    columns = [[rows.get(name, none)[at] for name in shown] for at in range(len(FEATURES))]
    return {name: tuple(v if isfinite(v) else None for v in columns[at]) for at, name in enumerate(FEATURES)}
