"""Whose a name is: a learner's id, an alias of one, or an id that was merged into another.

A merge says that two ids are one person, and goes before an alias. So every name has at most one name above it, and whoever
follows these comes to the person.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from features.catalogue import Learner


@dataclass(frozen=True)
class Name:
    """What is said of one name at one moment: what it was merged into, the learner of this id, those who have it as alias.

    `merged`: ids that were merged into it at any time, whether or not they are at this one.
    """

    into: str | None = None
    row: Learner | None = None
    owners: tuple[Learner, ...] = ()
    merged: tuple[str, ...] = ()

    @property
    def above(self) -> str | None:
        """The name whose this one is; None for one that is nobody else's."""
        if self.into is not None or self.row is not None or not self.owners:
            return self.into
        return owner_of(self.owners).id


Said = Callable[[str], Name]


def owner_of(learners: Sequence[Learner]) -> Learner:
    """Of several learners with one alias the one it is taken for: who has not left, then the last by id."""
    return max(learners, key=lambda one: (one.status != "ended", one.id))


def root(name: str, said: Said) -> str:
    """The last of the names above a name.

    A catalogue that comes later may close a ring (`ann` is merged into `x`, which becomes an alias of hers): then it is the
    last learner by id in it.
    """
    walked = [name]
    while (above := said(walked[-1]).above) is not None:
        if above in walked:
            return max(walked[walked.index(above) :], key=lambda one: (said(one).row is not None, one))
        walked.append(above)
    return walked[-1]


def joined(top: str, said: Said) -> tuple[str, ...]:
    """All names of a person, given their `root`, which comes first."""
    found, left = dict[str, None](), [top]
    while left:
        name = left.pop(0)
        if name not in found:
            found[name] = None
            own = said(name)
            below = (*(own.row.aliases if own.row else ()), *own.merged)
            left += [one for one in below if said(one).above == name]
    return tuple(found)


def row_among(names: Sequence[str], said: Said) -> Learner | None:
    """A person's row, given their names as `joined` has them: that of the root, else the last by id."""
    rows = [row for name in names if (row := said(name).row) is not None]
    return max(rows, key=lambda one: (one.id == names[0], one.id), default=None)


def people(rows: Mapping[str, Learner], into: Mapping[str, str]) -> dict[str, str]:
    """Every name that is not a person's own id -> that id: of the person's row, else the root. `into`: what stands merged."""
    owners: dict[str, list[Learner]] = {}
    for row in rows.values():
        for alias in row.aliases:
            owners.setdefault(alias, []).append(row)

    def said(name: str) -> Name:
        return Name(into.get(name), rows.get(name), tuple(owners.get(name, ())))

    groups: dict[str, list[str]] = {}
    for name in sorted({*owners, *into, *into.values()}):
        groups.setdefault(root(name, said), []).append(name)
    found: dict[str, str] = {}
    for top, names in groups.items():
        known = row_among((top, *names), said)
        person = top if known is None else known.id
        found |= {name: person for name in (top, *names) if name != person}
    return found
