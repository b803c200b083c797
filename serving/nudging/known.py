"""What is known of a learner at a moment, read once and worked out where it is needed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from features.catalogue import Item, Learner, Role
from features.duties import Duty, Leave
from features.events import Event
from features.grants import Grant
from features.skills import Contribution, SkillState, explain
from features.store import TenantSession
from features.xapi.parts import resolved
from serving.eligibility import Facts
from serving.nudging.limits import zone_of
from serving.payloads import Filters
from serving.prepared import Prepared
from serving.rules.holding import holding
from serving.rules.language import Rule
from serving.rules.limits import Limits
from serving.standing import Standing, standing


@dataclass(frozen=True)
class Known:
    """What is known of a learner at a moment. `given`: their events as they came, oldest first.

    `items`: those that assignments name and the store knows, by the name in the assignment. `rules`: of the policy.
    `nudged`: when they were spoken to lately, and about which item. `more_skills`: those that the catalogue has by now and the
    bundle does not know yet.
    """

    stock: Prepared
    learner_id: str
    at: datetime
    learner: Learner | None = None
    given: Sequence[Event] = ()
    duties: Sequence[Duty] = ()
    leaves: Sequence[Leave] = ()
    grants: tuple[Grant, ...] = ()
    items: Mapping[str, Item] = field(default_factory=dict)
    rules: Sequence[Rule] = ()
    nudged: Sequence[tuple[datetime, str]] = ()
    more_skills: frozenset[str] = frozenset()

    @cached_property
    def events(self) -> Sequence[Event]:
        """With the parts of items as what they say of the whole."""
        return resolved(self.given, self.stock.names.__contains__)

    @cached_property
    def standing(self) -> Standing:
        return standing(self.events, self.stock)

    @cached_property
    def skills(self) -> Mapping[str, tuple[SkillState, tuple[Contribution, ...]]]:
        """Of skills that are known: evidence may name any, and one that is in no catalogue is no skill of this organisation."""
        found = explain(self.events, self.stock.names, self.at, self.stock.bundle.proposals)
        return {skill: one for skill, one in found.items() if skill in self.stock.table.skills or skill in self.more_skills}

    @property
    def role(self) -> Role | None:
        named = None if self.learner is None else self.learner.role_id
        return None if named is None else self.stock.bundle.catalogue.roles.get(named)

    @property
    def expects(self) -> Mapping[str, float]:
        """What the role expects of each skill; empty without a role."""
        return {} if self.role is None else self.role.expects

    @cached_property
    def own(self) -> frozenset[str]:
        """The names of the learner that are known here."""
        row = () if self.learner is None else (self.learner.id, *self.learner.aliases)
        return frozenset({self.learner_id, *row, *(event.learner_id for event in self.given)})

    @cached_property
    def facts(self) -> Facts:
        """What eligibility looks at, the rules of the policy that hold now included."""
        held = holding(self.rules, (), self.learner, self.at)
        return Facts(self.at, Filters(learner_id=self.learner_id), self.learner, self.standing, self.grants, held)

    @cached_property
    def limits(self) -> Limits | None:
        """What the limits of the policy still leave room for; None where it has none."""
        return Limits.of(self.stock, self.facts.rules, self.events, self.at, nudged=self.nudged)

    @cached_property
    def removed(self) -> dict[str, set[str]]:
        """The items that nothing was said of because of a rule, by its name: as far as was asked."""
        return {}

    @cached_property
    def strangers(self) -> Mapping[str, Item]:
        """The assigned items that no bundle knows, by id and by the name in the assignment."""
        named = {**self.items, **{item.id: item for item in self.items.values()}}
        return {name: item for name, item in named.items() if name not in self.stock.names}

    def item(self, name: str) -> Item | None:
        """The bundle's item, or the store's where it is assigned and the bundle does not know it yet."""
        return self.stock.names.get(name) or self.strangers.get(name)

    def title(self, item_id: str) -> str:
        item = self.item(item_id)
        return item_id if item is None else item.title

    def skill(self, skill_id: str) -> str:
        skill = self.stock.bundle.catalogue.skills.get(skill_id)
        return skill_id if skill is None else skill.name

    def taught_by(self, item: Item) -> Mapping[str, float]:
        """Skill -> level, as the catalogue says or, where it names none, as was proposed."""
        proposed = self.stock.bundle.proposals.get(item.id, {})
        return item.skills or {skill: one.level for skill, one in proposed.items()}

    def day(self, moment: datetime) -> str:
        """The date of a moment where the learner is."""
        zone = zone_of("UTC" if self.learner is None else self.learner.timezone) or UTC
        return moment.astimezone(zone).date().isoformat()


def more_skills(session: TenantSession, stock: Prepared, events: Sequence[Event]) -> frozenset[str]:
    """The skills that events name and the bundle does not know, as far as the catalogue has them."""
    named = {event.skill_id for event in events if event.skill_id is not None}
    unknown = {skill for skill in named if skill not in stock.table.skills}
    return frozenset(session.known_names("skill", unknown)) if unknown else frozenset()
