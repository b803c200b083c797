"""Events about parts of items that nobody knew yet: they say what the part is within, and are read by what is known now.

When a statement comes, the part of a known item becomes an event about that item. Where none is known, the event keeps the part
as its object and its wholes in the context; a reader with a catalogue that has one of them reads it as it would have been.
"""

from collections.abc import Sequence
from typing import Any

from features.events import Event, Result
from features.xapi.cmi5 import PUBLISHED_AS
from features.xapi.meaning import SOURCE, WITHIN, Known, moved

WRITTEN = f'"{WITHIN}": ['
"""How a context that names wholes looks as JSON."""


def whole_of(object_id: str, context: dict[str, Any], known: Known) -> str | None:
    """The nearest known item that an event's object is a part of; None where it is known itself, or none is."""
    within = context.get(WITHIN)
    if not isinstance(within, list) or known(object_id):
        return None
    return next((name for name in within if isinstance(name, str) and known(name)), None)


def is_part(whole: str, context: dict[str, Any]) -> bool:
    """Whether the object of an event is a part of this whole, and not the same thing by its publisher's id."""
    return context.get(PUBLISHED_AS) != whole


def resolved(events: Sequence[Event], known: Known) -> Sequence[Event]:
    """The events as they would have been made by a catalogue with these items. Those of a known item are left alone."""
    return [one if WITHIN not in one.context or one.source != SOURCE else _resolved(one, known) for one in events]


def _resolved(event: Event, known: Known) -> Event:
    whole = whole_of(event.object_id, event.context, known)
    if whole is None:
        return event
    context = {name: value for name, value in event.context.items() if name not in (WITHIN, PUBLISHED_AS)}
    if not is_part(whole, event.context):
        return event.model_copy(update={"object_id": whole, "context": context})
    duration = None if event.result is None else event.result.duration_s
    changes = {
        "verb": moved(event.verb),
        "object_id": whole,
        "result": None if duration is None else Result(duration_s=duration),
        "context": {**context, "activity": event.object_id},
    }
    return event.model_copy(update=changes)
