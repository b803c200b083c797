"""Which event a statement is: its learner, its verb and its item in our words, or why it is none.

Verbs of ADL, cmi5 (AICC/ADL, 2016), the video profile (liveaspankaj, 2017), Activity Streams, AcrossX and the Tin Can registry
that LMS and players send. What is not listed here is named as not understood and never guessed at.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.events import Event, Result, Verb
from features.xapi.activities import Activity
from features.xapi.actors import Agent
from features.xapi.cmi5 import PUBLISHED_AS, published_as
from features.xapi.statement import Context, Statement
from features.xapi.values import moment, seconds

_ADL = "http://adlnet.gov/expapi/verbs/"
_CMI5 = "https://w3id.org/xapi/adl/verbs/"
_VIDEO = "https://w3id.org/xapi/video/verbs/"
_ACROSSX = "https://w3id.org/xapi/acrossx/verbs/"
_TINCAN = "http://id.tincanapi.com/verb/"
_ISD = "https://w3id.org/xapi/dod-isd/verbs/"
_PLAN = "http://www.tincanapi.co.uk/verbs/enrolled_onto_learning_plan"


def _streams(*names: str) -> tuple[str, ...]:
    """Verbs of Activity Streams, which emitters write with and without the schema's version."""
    return tuple(f"http://activitystrea.ms/{schema}{name}" for name in names for schema in ("schema/1.0/", ""))


_NEXTWISE = re.compile(r"https://w3id\.org/nextwise/verbs/(\w+)")
VERBS = {
    _ACROSSX + "was-assigned": Verb.ASSIGNED,
    **dict.fromkeys((_ADL + "registered", _PLAN, *_streams("join")), Verb.ENROLLED),
    **dict.fromkeys((_TINCAN + "unregistered", _ADL + "unregistered", *_streams("leave")), Verb.WITHDRAWN),
    **dict.fromkeys(
        (_ADL + "initialized", _ADL + "launched", _ADL + "attempted", _TINCAN + "viewed", _TINCAN + "opened"), Verb.STARTED
    ),
    **dict.fromkeys((_ADL + "experienced", _ACROSSX + "viewed", _ACROSSX + "watched"), Verb.STARTED),
    **dict.fromkeys(_streams("start", "access", "open", "watch", "read", "listen", "play"), Verb.STARTED),
    **dict.fromkeys(_streams("consume", "experience"), Verb.STARTED),
    **dict.fromkeys((_ADL + "progressed", _ADL + "resumed", _ADL + "suspended", _ADL + "interacted"), Verb.PROGRESSED),
    **dict.fromkeys((_ADL + "terminated", _ADL + "exited", _CMI5 + "abandoned", _ADL + "abandoned"), Verb.PROGRESSED),
    **dict.fromkeys((_ADL + "scored", _ADL + "attended", *_streams("attend"), _ISD + "navigated"), Verb.PROGRESSED),
    **dict.fromkeys((_VIDEO + "played", _VIDEO + "paused", _VIDEO + "seeked"), Verb.PROGRESSED),
    **dict.fromkeys((_ADL + "completed", _CMI5 + "satisfied", _ADL + "satisfied", *_streams("complete")), Verb.COMPLETED),
    **dict.fromkeys((_ADL + "passed", _ADL + "mastered"), Verb.PASSED),
    _ADL + "failed": Verb.FAILED,
    **dict.fromkeys((_CMI5 + "waived", _ADL + "waived", _TINCAN + "waived"), Verb.WAIVED),
    **dict.fromkeys((_ADL + "answered", _ADL + "responded", _ACROSSX + "evaluated"), Verb.ANSWERED),
    **dict.fromkeys(_streams("submit"), Verb.PROGRESSED),
    **dict.fromkeys((_ADL + "shared", *_streams("share")), Verb.SHARED),
    **dict.fromkeys((*_streams("save"), _TINCAN + "bookmarked"), Verb.SAVED),
    _TINCAN + "rated": Verb.RATED,
}
"""The verb of an IRI, with https and http alike; `https://w3id.org/nextwise/verbs/VERB` is each of ours by its own name.

Attendance alone, or a score, finishes nothing.
"""
PROGRESS = "https://w3id.org/xapi/cmi5/result/extensions/progress"
VIDEO_PROGRESS = "https://w3id.org/xapi/video/extensions/progress"
_OF_A_WHOLE = frozenset(
    {
        Verb.ASSIGNED,
        Verb.ENROLLED,
        Verb.WITHDRAWN,
        Verb.WAIVED,
        Verb.STARTED,
        Verb.COMPLETED,
        Verb.PASSED,
        Verb.FAILED,
    }
)
_UNDER_WAY = frozenset({Verb.STARTED, Verb.PROGRESSED})
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,20})?", re.ASCII)
_LONGEST = 256
WITHIN = "within"
"""In the context of an event about an activity that is no known item: the activities that it is part of, nearest first."""
SOURCE = "xapi"
"""The `source` of events that were statements, whichever way these came."""

Known = Callable[[str], bool]
"""Whether an id or alias (as `bounded` makes it) is one of the catalogue's items."""


@dataclass(frozen=True)
class NotUnderstood:
    """A statement that is valid and no event: `what` names the reason, `which` what it was about (a verb's IRI, a kind)."""

    what: str
    which: str = ""


def nobody_knows(_: str) -> bool:
    """For statements that come before their catalogue."""
    return False


def event(
    statement: Statement,
    *,
    tenant: str,
    recorded_at: datetime,
    known: Known = nobody_knows,
    source: str = SOURCE,
    backfill: bool = False,
) -> Event | NotUnderstood:
    """The event of a statement with an id; a statement about a part of a known item is one about that item.

    One about a part of what is not known yet says in its context what it is within: `features.xapi.parts` reads it later on.
    Without a timestamp it happened when it was stored, or else now. Errors: ValidationError for a time that no log has.
    """
    verb = verb_of(statement.verb.id)
    if not isinstance(statement.actor, Agent):
        return NotUnderstood("a group acted, which is no learner")
    if verb is None:
        return NotUnderstood("unknown verb", statement.verb.id)
    if not isinstance(statement.object, Activity):
        return NotUnderstood("no activity is the object", statement.object.object_type)
    item = item_of(statement.object, statement.context, known)
    published = published_as(statement.context)
    same = None if published is None else bounded(published)
    part = item not in (statement.object.id, same)
    context = _context(statement, part=part)
    if not known(bounded(item)) and (above := wholes(statement.object, statement.context)):
        context[WITHIN] = list(above)
        if same in above:
            context[PUBLISHED_AS] = same
    happened = statement.timestamp or statement.stored
    return Event(
        tenant=tenant,
        event_id=str(statement.id),
        learner_id=learner_of(statement.actor),
        verb=_verb(verb, statement, part=part),
        object_id=bounded(item),
        occurred_at=recorded_at if happened is None else moment(happened),
        recorded_at=recorded_at,
        result=_result(statement, part=part),
        context=context,
        source=source,
        backfill=backfill,
    )


def _verb(verb: Verb, statement: Statement, *, part: bool) -> Verb:
    """A part moves the whole and decides nothing about it. What was begun or attended and says that it is complete, is; what
    is completed or passed and says that it is not (a tick that was taken back), is not.
    """
    if part:
        return moved(verb)
    result = statement.result
    if result is not None and result.completion is True and verb in _UNDER_WAY:
        return Verb.COMPLETED
    if result is not None and result.completion is False and verb is Verb.COMPLETED:
        return Verb.PROGRESSED
    return Verb.FAILED if result is not None and result.success is False and verb is Verb.PASSED else verb


def moved(verb: Verb) -> Verb:
    """What a verb about a part says of the whole."""
    return Verb.PROGRESSED if verb in _OF_A_WHOLE else verb


def verb_of(iri: str) -> Verb | None:
    """Our verb of an IRI; None for one that is not known."""
    own = _NEXTWISE.fullmatch(iri)
    if own is not None:
        return Verb(own[1]) if own[1] in set(Verb) else None
    return _ALIKE.get(_plain(iri))


def _plain(iri: str) -> str:
    """What emitters write differently and mean alike: http and https, letters, `www.`, a slash at the end."""
    return iri.lower().removeprefix("https:").removeprefix("http:").replace("//www.", "//", 1).rstrip("/")


_ALIKE = {_plain(iri): verb for iri, verb in VERBS.items()}


def learner_of(agent: Agent) -> str:
    """The id of an agent: `mailto:NAME@HOST`, `sha1:HEX`, its openid, or `HOMEPAGE|NAME` of its account.

    An alias of a learner in the catalogue, written alike, makes it that learner's.
    """
    if agent.mbox is not None:
        return bounded(agent.mbox.lower())
    if agent.mbox_sha1sum is not None:
        return f"sha1:{agent.mbox_sha1sum.lower()}"
    if agent.account is not None:
        return bounded(f"{agent.account.home_page}|{agent.account.name}")
    return bounded(str(agent.openid))


def item_of(activity: Activity, context: Context | None, known: Known) -> str:
    """The activity's id, or that of the nearest known activity that it is part of (its parent, then its grouping).

    Of a statement that cmi5 defines, the grouping may be the publisher's id of the activity itself: `cmi5.published_as`.
    """
    if known(bounded(activity.id)):
        return activity.id
    return next((whole for whole in wholes(activity, context) if known(whole)), activity.id)


def wholes(activity: Activity, context: Context | None) -> tuple[str, ...]:
    """What an activity is part of, as ids: its parents, then its groupings, each once."""
    above = context.context_activities if context is not None else None
    named = () if above is None else (*(above.parent or ()), *(above.grouping or ()))
    found = dict.fromkeys(bounded(whole.id) for whole in named)
    found.pop(bounded(activity.id), None)
    return tuple(found)


def bounded(name: str) -> str:
    """An id as the store takes it: one that is longer is cut, and ends in a digest of the whole."""
    if len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"{name[: _LONGEST - 33]}#{digest}"


def _result(statement: Statement, *, part: bool) -> Result | None:
    """The outcome; of a part none that would count for the whole."""
    given = statement.result
    if given is None:
        return None
    duration = None if given.duration is None else seconds(given.duration)
    if part:
        return None if duration is None else Result(duration_s=duration)
    found = {
        "completion": given.completion,
        "success": given.success,
        "score": None if given.score is None else given.score.share,
        "duration_s": duration,
        "progress": _progress(given.extensions or {}),
    }
    told = {name: value for name, value in found.items() if value is not None}
    return Result.model_validate(told) if told else None


def _progress(extensions: dict[str, Any]) -> float | None:
    """In 0..1: cmi5 counts to 100, the video profile to 1. Some write the number as a text."""
    for name, whole in ((PROGRESS, 100), (VIDEO_PROGRESS, 1)):
        value = extensions.get(name)
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= whole:
            return value / whole
    return None


def _context(statement: Statement, *, part: bool) -> dict[str, Any]:
    """What later questions need: the verb's IRI, the part that it was about, registration and platform."""
    context = statement.context
    found = {
        "verb": statement.verb.id,
        "activity": bounded(statement.object.id) if part and isinstance(statement.object, Activity) else None,
        "registration": context.registration if context is not None else None,
        "platform": context.platform if context is not None else None,
    }
    return {name: value for name, value in found.items() if value is not None}
