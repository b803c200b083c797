"""Whom a statement names beside the one who acted: instructor, members of groups, a person as its object.

They are found wherever the standard has agents; what an emitter writes into extensions is its own.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from features.xapi.actors import IDENTIFIERS, Agent
from features.xapi.meaning import learner_of

NOBODY: Final = {"objectType": "Agent", "account": {"homePage": "https://w3id.org/nextwise/erased", "name": "erased"}}
"""Who stands where somebody was named who was erased."""
NOBODY_ID: Final = learner_of(Agent.model_validate(NOBODY))
"""The same, as learners are named."""
_NO_PEOPLE: Final = frozenset(
    {"extensions", "authority", "definition", "display", "result", "attachments", "contextActivities"}
)


def mentioned(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The names, as of learners, of all agents but the one who acted; sorted. `body`: a statement that was checked."""
    rest = {name: value for name, value in body.items() if name != "actor" or not _is_agent(value)}
    return tuple(sorted({_name(agent) for agent in _agents(rest)}))


def without(body: Any, names: Collection[str]) -> Any:
    """The statement with `NOBODY` in the place of every agent of these names."""
    if isinstance(body, list):
        return [without(one, names) for one in body]
    if not isinstance(body, dict):
        return body
    if _is_agent(body):
        return NOBODY if _name(body) in names else body
    return {name: value if name in _NO_PEOPLE else without(value, names) for name, value in body.items()}


def _agents(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for one in value:
            yield from _agents(one)
    elif isinstance(value, dict) and _is_agent(value):
        yield value
    elif isinstance(value, dict):
        for name, own in value.items():
            if name not in _NO_PEOPLE:
                yield from _agents(own)


def _is_agent(value: Any) -> bool:
    """A group is none, whatever identifies it; its members may be."""
    return isinstance(value, dict) and value.get("objectType") != "Group" and any(name in value for name in IDENTIFIERS)


def _name(agent: Mapping[str, Any]) -> str:
    return learner_of(Agent.model_validate(agent))
