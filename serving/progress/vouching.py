"""Who vouched for a learner, and whom these people got a word from themselves: what circles are found by."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from features.progress.applied import People, Times, vouched_by
from features.store import TenantSession
from serving.nudging.known import Known

MOST_THIRD: Final = 200
"""Third people whose evidence is read, by name: more would take longer than the answer is worth."""


def people_of(session: TenantSession, known: Known) -> People:
    """Whoever vouched for the learner, each as one person, and when the learner had vouched for them, or for one who had."""
    read = _Read(session, known.at)
    own = known.own | {*session.names_of(known.learner_id, at=known.at)}
    names = {by for event in known.given if (by := vouched_by(event)) is not None} - own
    person = {name: read.person(name) for name in sorted(names)}
    gave = {one: read.vouched(one, own) for one in person.values()}
    third = sorted(set[str]().union(*(read.vouchers(one) for one in gave)) - own)[:MOST_THIRD]
    told = {x: times for x in sorted({read.person(name) for name in third}) if (times := read.vouched(x, own))}
    through = {one: tuple((told[x], read.vouched(one, read.names(x))) for x in told if x != one) for one in gave}
    return People(own, person, gave, through)


class _Read:
    """What the store says of people, each read once."""

    def __init__(self, session: TenantSession, at: datetime) -> None:
        self._session, self._at = session, at
        self._names: dict[str, tuple[str, ...]] = {}
        self._received: dict[str, tuple[tuple[str, datetime], ...]] = {}

    def names(self, name: str) -> tuple[str, ...]:
        if name not in self._names:
            self._names[name] = tuple(self._session.names_of(name, at=self._at))
        return self._names[name]

    def person(self, name: str) -> str:
        return self.names(name)[0]

    def vouched(self, person: str, by: Iterable[str]) -> Times:
        """When somebody of these names vouched for a person."""
        given = {*by}
        return tuple(when for name, when in self._of(person) if name in given)

    def vouchers(self, person: str) -> set[str]:
        """The names of who vouched for a person."""
        return {name for name, _ in self._of(person)}

    def _of(self, person: str) -> tuple[tuple[str, datetime], ...]:
        if person not in self._received:
            history = self._session.history(person, known_by=self._at, names=self.names(person))
            told = ((vouched_by(event), event.occurred_at) for event in history)
            self._received[person] = tuple((name, when) for name, when in told if name is not None)
        return self._received[person]
