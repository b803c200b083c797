"""What is to say of a removal beyond its rule: the dates, names and numbers that the rule looked at."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from features.catalogue import Item
from features.decisions import Due
from serving.eligibility import Facts
from serving.owed import says
from serving.pipeline import BEYOND_LIMIT, NO_ROOM
from serving.prepared import Prepared
from serving.questions.words import WORDS, Words
from serving.standing import ALWAYS, twins, valid_until, with_equivalents

NO_NAME: Final = "another item"


@dataclass(frozen=True)
class Case:
    """One removed item of the catalogue. `hidden`: items that must not be named. `above`: how many score higher.
    `due`: where it is a duty.
    """

    stock: Prepared
    facts: Facts
    item: Item
    hidden: frozenset[str] = frozenset()
    above: int = 0
    due: Due | None = None

    def title(self, name: str) -> str:
        """The title behind an id or alias, where it may be told."""
        found = self.stock.names.get(name)
        return NO_NAME if found is None or found.id in self.hidden else found.title


Details = Callable[[Case], Words | None]
"""None where there is no more to say."""


def _not_available(case: Case) -> Words | None:
    since, until, at = case.item.available_from, case.item.available_until, case.facts.at
    if since is not None and at < since:
        return Words(f"It is available from {_moment(since)} on.", f"Ask again from {_moment(since)} on.")
    if until is None:
        return None
    return Words(f"It was available until {_moment(until)}.", "Its `available_until` would have to be later.")


def _other_audience(case: Case) -> Words:
    own = f"you are part of {_listed(case.facts.audiences)}" if case.facts.audiences else "you are part of none that is known"
    words = f"It is for {_listed(case.item.audiences)} only; {own}."
    return Words(words, f"You would have to be part of {_listed(case.item.audiences, 'or')}.")


def _replaced(case: Case) -> Words | None:
    audiences = set(case.facts.audiences)
    for newer in case.stock.bundle.catalogue.items.values():
        if newer.replaces == case.item.id and (not newer.audiences or audiences.intersection(newer.audiences)):
            return Words(f"Its newer version, {case.title(newer.id)}, takes its place.", "That version would have to be gone.")
    return None


def _other_language(case: Case) -> Words:
    asked, who = case.facts.request.languages, "the request asked for"
    if not asked:
        asked, who = case.facts.languages, "you read"
    theirs = case.item.languages
    one = f"one of {_listed(theirs, 'or')}" if len(theirs) > 1 else theirs[0]
    return Words(
        f"It is in {_listed(theirs)} only; {who} {_listed(asked)}.",
        f"The request, or your row, would have to name {one} as well.",
    )


def _other_type(case: Case) -> Words:
    asked = _listed([_type(one) for one in case.facts.request.types], "or")
    return Words(
        f"Its type is {_type(case.item.type)}; the request asked for {asked}.",
        f"The request would have to ask for {_type(case.item.type)} as well.",
    )


def _too_long(case: Case) -> Words:
    asked = f"the request allows {case.facts.request.max_minutes:g} minutes"
    if case.item.duration_s is None:
        return Words(f"How long it takes is not known; {asked}.", "The catalogue would have to say how long it takes.")
    minutes = f"{case.item.duration_s / 60:g} minutes"
    return Words(f"It takes {minutes}; {asked}.", f"The request would have to allow {minutes}.")


def _finished(case: Case) -> Words | None:
    return _done(case, case.facts.standing.finished, "You finished", "on")


def _known(case: Case) -> Words | None:
    return _done(case, case.facts.standing.known, "You have known", "since")


def _done(case: Case, done: Mapping[str, datetime], did: str, when: str) -> Words | None:
    """By which item, since when, and until when that holds."""
    found = {
        name: (at, until)
        for name, at in done.items()
        if case.item.id in with_equivalents({name}, case.stock, case.facts.audiences)
        and case.facts.at < (until := valid_until(case.stock, name, at))
    }
    if not found:
        return None
    name = case.item.id if case.item.id in found else min(found)
    at, until = found[name]
    what = "it" if name == case.item.id else f"{case.title(name)}, which counts as the same,"
    if until == ALWAYS:
        return Words(f"{did} {what} {when} {_day(at)}.", "That would have to be revoked.")
    return Words(f"{did} {what} {when} {_day(at)}, which holds until {_day(until)}.", f"It comes again on {_day(until)}.")


def _in_progress(case: Case) -> Words | None:
    begun = case.facts.standing.taken_up.get(case.item.id)
    if begun is None:
        return None
    return Words(
        f"You last took it up on {_day(begun)} and have not finished it since, so it is nothing new.",
        "It is offered anew once you withdraw from it.",
    )


def _dismissed(case: Case) -> Words | None:
    """The one that was sent away, itself or what is the same thing by another name; the longest counts."""
    away = {
        name: until
        for name, until in case.facts.standing.dismissed.items()
        if case.facts.at < until and case.item.id in twins({name}, case.stock, case.facts.audiences)
    }
    if not away:
        return None
    name = max(away, key=lambda one: (away[one], one == case.item.id, one))
    what = "it" if name == case.item.id else f"{case.title(name)}, which is the same by another name,"
    if away[name] == ALWAYS:
        return Words(f"You sent {what} away for good.", "It comes again once you take it up after all.")
    return Words(f"You sent {what} away until {_moment(away[name])}.", f"It comes again on {_day(away[name])}.")


def _prerequisites(case: Case) -> Words | None:
    standing, audiences = case.facts.standing, case.facts.audiences
    done = with_equivalents({*standing.finished, *standing.known}, case.stock, audiences)
    missing = [one for one in case.item.prerequisites if case.stock.canonical(one) not in done]
    if not missing:
        return None
    names = list(dict.fromkeys(case.title(one) for one in missing))
    come, that = ("come", "them") if len(names) > 1 else ("comes", "it")
    return Words(
        f"First {come} {_listed(names)}: you have not finished {that}, nor said that you know {that}.",
        f"You would have to finish {_listed(names)}.",
    )


def _beyond_limit(case: Case) -> Words:
    asked = getattr(case.facts.request, "limit", None)
    return Words(
        f"{case.above} that were asked about score higher, and the request asked for {asked}.",
        f"The `limit` would have to be {case.above + 1}.",
    )


def _no_room(case: Case) -> Words | None:
    if case.due is None:
        return None
    own = WORDS[NO_ROOM]
    return Words(f"{says(case.due)}. Others fill the row of duties, or the request asked for no such row.", own.change)


DETAILS: Final[Mapping[str, Details]] = {
    "not_available": _not_available,
    "other_audience": _other_audience,
    "replaced": _replaced,
    "other_language": _other_language,
    "other_type": _other_type,
    "too_long": _too_long,
    "finished": _finished,
    "known": _known,
    "in_progress": _in_progress,
    "dismissed": _dismissed,
    "prerequisites": _prerequisites,
    BEYOND_LIMIT: _beyond_limit,
    NO_ROOM: _no_room,
}
"""By rule, where there is more to say than the rule."""
OF_HISTORY: Final = frozenset({"finished", "known", "in_progress", "dismissed", "prerequisites"})
"""Rules whose details tell what a learner did: nothing of it is told where personalisation is off."""


def _listed(names: Iterable[str], last: str = "and") -> str:
    *first, end = names
    return f"{', '.join(first)} {last} {end}" if first else end


def _type(name: str) -> str:
    return name.replace("_", " ")


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def _moment(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{_day(at)}, {at:%H:%M} UTC"
