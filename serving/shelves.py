"""Shelves: which titled rows a page has, what each may hold, and for how many items it has room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.decisions import Due, RowKind
from features.ranking import levels_gained
from serving.cold import GAPS
from serving.eligibility import Facts, eligible
from serving.hydrated import Hydrated
from serving.owed import Owed, says
from serving.payloads import RankRequest, Request
from serving.policy import Policy
from serving.prepared import Prepared
from serving.rules.language import PinRule
from serving.scoring import Scores, best_first, likeness, parts_of
from serving.standing import Standing
from training.models.segments import FittedSegments

_DUTY_SHARE: Final = 0.3
_OVERDUE_SHARE: Final = 0.5
"""Of a home page for duties, and for those of them that are overdue; urgent ones take what they need."""
_CONTINUE_SHARE: Final = 0.2
_SHARE: Final = 0.1
"""Of a home page for each of the rows `because`, `new` and `popular`."""
_LEAST: Final = 2
"""Items that each of these three has room for at least: a row of one item is none."""
_SMALL_PAGE: Final = 12
"""A home page of fewer items goes without them."""
_MAIN_SHARE: Final = 0.5
"""Of what duties, pins and begun items leave, kept from these three for recommendations."""
_NEW_S: Final = 60 * 86_400.0
"""Seconds since it became available for which an item is new."""
_CONTINUES: Final = frozenset({"in_progress", "prerequisites"})
"""Rules that do not keep away what was begun."""
_HOME: Final = (
    RowKind.MANDATORY,
    RowKind.PINNED,
    RowKind.CONTINUE,
    RowKind.RECOMMENDED,
    RowKind.GAPS,
    RowKind.BECAUSE,
    RowKind.NEW,
    RowKind.POPULAR,
)


@dataclass(frozen=True, eq=False)
class Shelf:
    """A row to fill: its title; `source` where that is not the model; candidates, best first; what each is worth; how many it
    may show. `fixed`: neither chance nor diversity has a say. `reasons`, `dues`: by candidate.
    """

    title: str
    row: RowKind | None
    source: str | None
    ordered: NDArray[np.int32]
    worth: NDArray[np.floating]
    size: int = 0
    fixed: bool = False
    reasons: Mapping[int, str] = field(default_factory=dict)
    dues: Mapping[int, Due] = field(default_factory=dict)

    def of(self, size: int) -> "Shelf":
        """The same with room for so many."""
        return replace(self, size=size)


@dataclass(frozen=True, eq=False)
class Stand:
    """What shelves are filled from. `may`: int32, what may be shown, in any order; `owed`: the duties to show. `most`: how
    many of a row's candidates any slot can look at; None: all.
    """

    stock: Prepared
    request: Request
    facts: Facts
    known: Hydrated
    scores: Scores
    may: NDArray[np.int32]
    owed: Sequence[Owed]
    most: int | None = None

    @cached_property
    def scored(self) -> NDArray[np.int32]:
        """What may be shown, best first by score; no more than `most`."""
        return best_first(self.scores.total, self.may, self.most)


def plan(stand: Stand, policy: Policy) -> list[Shelf]:
    """The rows in order: those that the request asks for, else a home page; one row for the caller's own candidates."""
    request = stand.request
    if isinstance(request, RankRequest):
        size = len(stand.may) if request.limit is None else request.limit
        return [Shelf(stand.facts.wording.row("ranked"), None, None, stand.scored, stand.scores.total[stand.scored], size)]
    if request.rows:
        return [_SHELVES[one.row](stand).of(one.limit) for one in request.rows]
    return _home(stand, request.limit, policy)


def _home(stand: Stand, limit: int, policy: Policy) -> list[Shelf]:
    """Duties, what is pinned and what was begun first, then recommendations, and what the other rows have that would not stand
    among these.
    """
    duties, pinned, begun = _mandatory(stand), _pinned(stand), _begun(stand)
    duties = duties.of(_room_for_duties(list(duties.dues.values()), limit))
    owed = set(duties.ordered[: duties.size].tolist())
    pinned = pinned.of(min(len(set(pinned.ordered.tolist()) - owed), limit - duties.size))
    owed |= set([one for one in pinned.ordered.tolist() if one not in owed][: pinned.size])
    left = limit - duties.size - pinned.size
    begun = begun.of(min(len(set(begun.ordered.tolist()) - owed), int(left * _CONTINUE_SHARE)))
    left -= begun.size
    main = _recommended(stand)
    first = list(islice((one for one in main.ordered[: left + len(owed)].tolist() if one not in owed), left))
    taken = owed | set(first)
    others: list[Shelf] = []
    for kind, share in zip(_HOME[4:], (policy.gap_share, _SHARE, _SHARE, _SHARE), strict=True):
        room = int(left * share) if kind is RowKind.GAPS else _small(limit, left, sum(shelf.size for shelf in others))
        if kind is not RowKind.GAPS and room < _LEAST:
            continue
        shelf = _SHELVES[kind](stand)
        own = list(islice((one for one in shelf.ordered[: room + len(taken)].tolist() if one not in taken), room))
        taken.update(own)
        others.append(shelf.of(len(own)))
    main = main.of(left - sum(shelf.size for shelf in others))
    empty = max(main.size - len(first), 0)  # duties that had no room may have what nothing else fills
    duties = duties.of(min(len(duties.ordered), duties.size + empty))
    # Where skills are all that is known of a learner, the gaps they leave come first.
    rest = [others[0], main, *others[1:]] if stand.known.declared else [main, *others]
    return [duties, pinned, begun, *rest]


def _room_for_duties(dues: Sequence[Due], limit: int) -> int:
    """How many a home page shows of duties that stand in their order; the rest is counted with the row."""
    urgent = sum(due.urgent for due in dues)
    late = sum(due.overdue or due.urgent for due in dues)
    room = max(urgent, min(late, int(limit * _OVERDUE_SHARE)), int(limit * _DUTY_SHARE), 1)
    return min(len(dues), limit, room)


def _small(limit: int, left: int, taken: int) -> int:
    """How many items one of the small rows may have; `taken`: by the rows before it, of the `left` places."""
    if limit < _SMALL_PAGE:
        return 0
    return min(max(int(limit * _SHARE), _LEAST), left - taken - int(left * _MAIN_SHARE))


def _mandatory(stand: Stand) -> Shelf:
    ordered = np.array([one.candidate for one in stand.owed], dtype=np.int32)
    words = stand.facts.wording
    return Shelf(
        words.row("mandatory"),
        RowKind.MANDATORY,
        "mandatory",
        ordered,
        np.zeros(len(ordered)),
        fixed=True,
        reasons={one.candidate: says(one.due, words) for one in stand.owed},
        dues={one.candidate: one.due for one in stand.owed},
    )


def _pinned(stand: Stand) -> Shelf:
    """What rules put first, where nothing keeps it from the learner."""
    names = [name for held in stand.facts.rules if isinstance(held.rule, PinRule) for name in held.rule.items]
    indices = dict.fromkeys(stand.stock.index[name] for name in names if name in stand.stock.index)
    ordered = np.fromiter(indices, dtype=np.int32, count=len(indices))
    ordered = eligible(stand.stock, stand.facts, ordered)[0] if len(ordered) else ordered
    why = dict.fromkeys(ordered.tolist(), stand.facts.wording.reason("pinned"))
    return Shelf(
        stand.facts.wording.row("pinned"), RowKind.PINNED, "pinned", ordered, np.zeros(len(ordered)), fixed=True, reasons=why
    )


def _begun(stand: Stand) -> Shelf:
    """What was begun and is not finished, the last first."""
    known: Standing = stand.facts.standing
    begun = sorted(
        known.in_progress() if stand.known.personal else (), key=lambda one: (known.taken_up[one], one), reverse=True
    )
    indices = dict.fromkeys(stand.stock.index[name] for name in begun if name in stand.stock.index)
    ordered = np.fromiter(indices, dtype=np.int32, count=len(indices))
    ordered = eligible(stand.stock, stand.facts, ordered, waived=_CONTINUES)[0] if len(ordered) else ordered
    why = dict.fromkeys(ordered.tolist(), stand.facts.wording.reason("begun"))
    return Shelf(
        stand.facts.wording.row("continue"),
        RowKind.CONTINUE,
        "continue",
        ordered,
        np.zeros(len(ordered)),
        fixed=True,
        reasons=why,
    )


def _recommended(stand: Stand) -> Shelf:
    title = "recommended"
    if stand.known.cold:
        title = "colleagues" if stand.known.history.audience[0] >= 0 else "now"
    if stand.stock.bundle.model.kind == "catalogue":  # nobody has taken anything up yet
        title = "catalogue"
    return Shelf(stand.facts.wording.row(title), RowKind.RECOMMENDED, None, stand.scored, stand.scores.total.take(stand.scored))


def _gaps(stand: Stand) -> Shelf:
    """What brings a skill of the role closer, by levels gained, then by score."""
    gained = np.zeros(len(stand.stock), dtype=np.float32)
    if stand.known.gaps and len(stand.may):
        gained = levels_gained(stand.known.context, stand.stock.table)
    return _by(stand, gained, stand.facts.wording.row("gaps"), RowKind.GAPS, GAPS)


def _because(stand: Stand) -> Shelf:
    """What is most like the item that the learner finished last."""
    finished = stand.facts.standing.finished
    names = [name for name in finished if name in stand.stock.index and name in stand.stock.names]
    last = max(names, key=lambda one: (finished[one], one), default=None)
    if last is None or not stand.known.personal or not stand.scores.of_model:
        return _by(stand, np.zeros(len(stand.stock)), stand.facts.wording.row("because"), RowKind.BECAUSE, "because")
    like = likeness(stand.stock, stand.stock.index[last])
    title = stand.facts.wording.row("because_title", title=stand.stock.names[last].title)
    return _by(stand, like, title, RowKind.BECAUSE, "because")


def _new(stand: Stand) -> Shelf:
    """What became available lately, in the order of the scores."""
    age = stand.facts.at.timestamp() - stand.stock.since[stand.may]
    ordered = best_first(stand.scores.total, stand.may[age <= _NEW_S], stand.most)
    return Shelf(stand.facts.wording.row("new"), RowKind.NEW, "new", ordered, stand.scores.total[ordered])


def _popular(stand: Stand) -> Shelf:
    """What the learner's groups take up, where the bundle knows of groups, else everybody."""
    taken = stand.stock.table.popularity
    words = stand.facts.wording
    title, shares = words.row("organisation"), taken
    part, known = parts_of(stand.stock.bundle.model).get("segments"), stand.known
    if isinstance(part, FittedSegments):
        shares = np.where(taken > 0, part.score(known.history)[0], 0)
        if known.role is not None and known.history.role[0] >= 0:
            title = words.row("role", name=known.role.name)
        elif known.learner is not None and known.history.audience[0] >= 0:
            title = words.row("audience", name=known.learner.audiences[0])
    return _by(stand, shares, title, RowKind.POPULAR, "popular")


_SHELVES: Final = {
    RowKind.MANDATORY: _mandatory,
    RowKind.PINNED: _pinned,
    RowKind.CONTINUE: _begun,
    RowKind.RECOMMENDED: _recommended,
    RowKind.GAPS: _gaps,
    RowKind.BECAUSE: _because,
    RowKind.NEW: _new,
    RowKind.POPULAR: _popular,
}


def _by(stand: Stand, worth: NDArray[np.floating], title: str, row: RowKind, source: str) -> Shelf:
    """What may be shown and is worth more than nothing, by that, then by score; `worth`: float[m], of every item."""
    own = worth.take(stand.may)
    some, own = stand.may[own > 0], own[own > 0]
    if stand.most is not None and len(some) > stand.most:
        cut = np.partition(own, -stand.most)[-stand.most]
        above = some[own > cut]  # of those that are worth as much as the last of them, the best by score
        some = np.concatenate([above, best_first(stand.scores.total, some[own == cut], stand.most - len(above))])
    ordered = some[np.lexsort((some, -stand.scores.total[some], -worth[some]))]
    return Shelf(title, row, source, ordered, worth[ordered])
