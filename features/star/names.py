"""From the names that events and decisions use to the keys of the star."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from features.catalogue import Item, Learner
from features.events import SKILL_PREFIX
from features.star.key import Key
from features.store import TenantSession


@dataclass(frozen=True)
class Names:
    """Aliases count as the row they name now, as in a history; what the catalogue has never known gets a keyed hash.

    `learners` and `items` hold what each alias stands for, `known_items` and `known_skills` every id that ever was one.
    `met` fills with the learners that were asked for: key -> id.
    """

    key: Key
    learners: Mapping[str, str]
    items: Mapping[str, str]
    known_items: frozenset[str]
    known_skills: frozenset[str]
    met: dict[str, str] = field(default_factory=dict)
    _keys: dict[str, str] = field(default_factory=dict)

    def person(self, name: str) -> str:
        """The id of the learner behind a name."""
        return self.learners.get(name, name)

    def learner(self, name: str) -> str:
        """The key of the learner behind a name."""
        found = self._keys.get(name)
        if found is None:
            who = self.person(name)
            found = self._keys[name] = self.key.pseudonym("learner", who)
            self.met[found] = who
        return found

    def item(self, name: str) -> str:
        """The id of the item behind a name."""
        found = self.items.get(name, name)
        return found if found in self.known_items else self._unknown("item", found)

    def skill(self, name: str) -> str:
        """The id of a skill."""
        return name if name in self.known_skills else self._unknown("skill", name)

    def thing(self, object_id: str) -> tuple[str | None, str | None]:
        """(item, skill) that an event is about: one of the two."""
        if object_id.startswith(SKILL_PREFIX):
            return None, self.skill(object_id.removeprefix(SKILL_PREFIX))
        return self.item(object_id), None

    def digest(self, learners: Iterable[str], things: Iterable[str] = ()) -> str:
        """Equal as long as all of these names stand for the same."""
        found = sha256()
        for name in sorted(learners):
            found.update(f"{self.learner(name)}\n".encode())
        for name in sorted(things):
            found.update(f"{name}\n{self.thing(name)}\n".encode())
        return found.hexdigest()

    def _unknown(self, kind: str, name: str) -> str:
        return "unknown:" + self.key.pseudonym(kind, name)[:16]


def names_of(session: TenantSession, key: Key) -> Names:
    """The names of a tenant as they stand now."""
    skills = (version.row.id for version in session.versions("skill"))
    return Names(
        key,
        _aliases(session.learners().values()),
        _aliases(session.catalogue().items.values()),
        frozenset(version.row.id for version in session.versions("item")),
        frozenset(skills),
    )


def _aliases(rows: Iterable[Learner | Item]) -> dict[str, str]:
    """What each alias stands for: of several rows with one the last by id, and never what is an id itself."""
    found = list(rows)
    ids = {row.id for row in found}
    return {alias: row.id for row in found for alias in row.aliases if alias not in ids}
