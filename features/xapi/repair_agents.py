"""Repairs of agents: as version 0.9 had them, with lists of names, and with more identifiers than one."""

from collections.abc import Mapping
from typing import Any, Final

from features.xapi.actors import IDENTIFIERS

OLD_ACTOR: Final = "actor of version 0.9"
SEVERAL: Final = "several identifiers, the strongest kept"
_STRONGEST: Final = ("account", "mbox", "mbox_sha1sum", "openid")
"""An account is one person's for good; a mailbox may be handed on, and of an openid nobody knows who keeps it."""
_LISTED: Final = frozenset({*IDENTIFIERS, "name", "objectType"})
_OLD_NAMES: Final = frozenset({"familyName", "givenName", "firstName", "lastName"})
_OLD_ACCOUNT: Final = {"accountServiceHomePage": "homePage", "accountName": "name"}


def in_one(given: Mapping[str, Any], done: list[str]) -> Mapping[str, Any]:
    """An agent of version 0.9 (`{"name": ["Ann"], "mbox": ["mailto:..."]}`) with the first of each list; others as they are."""
    if not any(name in given for name in IDENTIFIERS):
        return given
    found = {name: _first(value) if name in _LISTED else value for name, value in given.items() if name not in _OLD_NAMES}
    if found.get("objectType") == "Person":
        found["objectType"] = "Agent"
    if isinstance(account := found.get("account"), Mapping):
        found["account"] = {_OLD_ACCOUNT.get(name, name): value for name, value in account.items()}
    if found == given:
        return given
    done.append(OLD_ACTOR)
    return found


def one_identifier(found: dict[str, Any], done: list[str]) -> None:
    """Leaves an agent or group with the strongest of several identifiers."""
    given = [name for name in _STRONGEST if name in found]
    for name in given[1:]:
        del found[name]
    if given[1:]:
        done.append(SEVERAL)


def _first(value: Any) -> Any:
    """The first of a list that says something; None where none does."""
    return next((one for one in value if one not in (None, "", [], {})), None) if isinstance(value, list) else value
