"""What rules change in decisions of the past: each made again without and with them, and counted. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from features.decisions import Decision, RowKind
from serving.pipeline import Ranked
from serving.policy import Policy
from serving.prepared import Prepared
from serving.replay import Read, made_again
from serving.rules.holding import OF_POLICY
from serving.rules.language import BoostRule, PinRule, Rule
from serving.rules.matching import matched
from serving.rules.payloads import MOST_ITEMS, Changed, ItemChanged, RuleTried, Sample
from serving.rules.warnings import warnings_of


def with_rules(policy: Policy, tenant: str, rules: Sequence[Rule], without: Sequence[str]) -> Policy:
    """The policy of a tenant with rules that are tried, which hold always; a rule of the same id gives way."""
    gone = {*without, *(rule.id for rule in rules)}
    tried = (rule.model_copy(update={"since": None, "until": None}) for rule in rules)
    own = (*(rule for rule in policy.rules_of(tenant) if rule.id not in gone), *tried)
    fields = {name: getattr(policy, name) for name in Policy.model_fields}
    return Policy.model_construct(**{**fields, "rules": own, "tenant_rules": {}})  # all of it was validated


@dataclass
class _Acted:
    held: int = 0
    acted: int = 0
    hid: int = 0
    emptied: int = 0


@dataclass
class Comparison:
    """Counts over the decisions that were added. `policies`: of a decision's learner, without the rules and with them."""

    stock: Prepared
    policies: Callable[[Read], tuple[Policy, Policy]]
    rules: Sequence[Rule]
    left_out: int = 0
    _learners: set[str] = field(default_factory=set)
    _at: list[datetime] = field(default_factory=list)
    _as_recorded: int = 0
    _changed: Changed = field(default_factory=Changed)
    _of_changed: set[str] = field(default_factory=set)
    _moves: dict[str, Counter[str]] = field(default_factory=dict)
    _acted: dict[str, _Acted] = field(default_factory=dict)

    def add(self, read: Read) -> None:
        """Make a decision again, without and with the rules, with the same coin."""
        before, after = (made_again(read, self.stock, policy) for policy in self.policies(read))
        old, new = _places(before.decision), _places(after.decision)
        said = read.decision
        self._learners.add(said.learner_id)
        self._at.append(said.decided_at)
        self._as_recorded += list(old) == [item.item_id for item in said.slate]
        if list(old) != list(new):
            self._of_changed.add(said.learner_id)
            self._changed.decisions += 1
            self._changed.shorter += len(new) < len(old)
            self._changed.emptied += bool(old) and not new
        for name in old.keys() | new.keys():
            if (how := _how(old.get(name), new.get(name))) is not None:
                self._moves.setdefault(name, Counter())[how] += 1
        for rule in self.rules:
            self._count(rule, after, set(old), emptied=bool(old) and not new)

    def sample(self, *, complete: bool) -> Sample:
        return Sample(
            decisions=len(self._at),
            learners=len(self._learners),
            since=min(self._at, default=None),
            until=max(self._at, default=None),
            as_recorded=self._as_recorded,
            left_out=self.left_out,
            complete=complete,
        )

    def changed(self) -> Changed:
        return self._changed.model_copy(update={"learners": len(self._of_changed)})

    def items(self) -> tuple[int, tuple[ItemChanged, ...]]:
        """How many items change, and those that change most."""
        order = sorted(self._moves.items(), key=lambda one: (-one[1].total(), one[0]))
        titles = self.stock.names
        most = tuple(
            ItemChanged(
                item_id=name,
                title=titles[name].title if name in titles else None,
                appears=how["appears"],
                vanishes=how["vanishes"],
                moves=how["moves"],
            )
            for name, how in order[:MOST_ITEMS]
        )
        return len(order), most

    def tried_rules(self, at: datetime) -> tuple[RuleTried, ...]:
        """Each rule. `at`: now, by which it holds, does not yet, or has ended."""
        found = []
        for rule in self.rules:
            own, matches = self._acted.get(rule.id, _Acted()), self._matches(rule)
            ended, later = rule.until is not None and rule.until <= at, rule.since is not None and at < rule.since
            told = RuleTried(
                id=rule.id,
                kind=rule.kind,
                holds="ended" if ended else "later" if later else "now",
                matches=matches,
                held=own.held,
                acted=own.acted,
                hid=own.hid,
                emptied=own.emptied,
                warnings=(),
            )
            found.append(told.model_copy(update={"warnings": warnings_of(self.stock, rule, told, len(self._at))}))
        return tuple(found)

    def _count(self, rule: Rule, after: Ranked, old: set[str], *, emptied: bool) -> None:
        name, own = f"{OF_POLICY}{rule.id}", self._acted.setdefault(rule.id, _Acted())
        if all(held.name != name for held in after.facts.rules):
            return
        kept_out = after.decision.removed.get(name, ())
        own.held += 1
        own.acted += bool(kept_out) or self._brought_forward(rule, name, after)
        own.hid += len(old.intersection(kept_out))
        own.emptied += emptied and bool(kept_out)

    def _brought_forward(self, rule: Rule, name: str, after: Ranked) -> bool:
        """Whether a boost touched something that might be shown, or a pin is shown."""
        if isinstance(rule, BoostRule) and name in after.scores.names:
            part = after.scores.parts[after.scores.names.index(name)]
            return bool(part[after.scored].any())
        if isinstance(rule, PinRule):
            pinned = {item.item_id for row in after.decision.rows if row.row is RowKind.PINNED for item in row.items}
            return not pinned.isdisjoint(map(self.stock.canonical, rule.items))
        return False

    def _matches(self, rule: Rule) -> int:
        if isinstance(rule, PinRule):
            return int(self.stock.mask(rule.items).sum())
        return int(matched(self.stock, rule.match).sum())


def _places(decision: Decision) -> dict[str, int]:
    return {item.item_id: item.position for item in decision.slate}


def _how(old: int | None, new: int | None) -> str | None:
    if old is None:
        return "appears"
    if new is None:
        return "vanishes"
    return "moves" if old != new else None
