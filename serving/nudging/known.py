"""What is known of a learner at a moment, read once and worked out where it is needed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from features.catalogue import Item, Learner, Role
from features.duties import Duty, Leave
from features.events import Event
from features.grants import Grant
from features.skills import Contribution, SkillState, explain
from features.xapi.parts import resolved
from serving.nudging.limits import zone_of
from serving.prepared import Prepared
from serving.standing import Standing, standing


@dataclass(frozen=True)
class Known:
    """What is known of a learner at a moment. `given`: their events as they came, oldest first."""

    stock: Prepared
    learner_id: str
    at: datetime
    learner: Learner | None = None
    given: Sequence[Event] = ()
    duties: Sequence[Duty] = ()
    leaves: Sequence[Leave] = ()
    grants: tuple[Grant, ...] = ()

    @cached_property
    def events(self) -> Sequence[Event]:
        """With the parts of items as what they say of the whole."""
        return resolved(self.given, self.stock.names.__contains__)

    @cached_property
    def standing(self) -> Standing:
        return standing(self.events, self.stock)

    @cached_property
    def skills(self) -> Mapping[str, tuple[SkillState, tuple[Contribution, ...]]]:
        return explain(self.events, self.stock.names, self.at, self.stock.bundle.proposals)

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

    def title(self, item_id: str) -> str:
        item = self.stock.names.get(item_id)
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
