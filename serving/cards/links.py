"""The links of a card: what a learner can answer with one click, each a signed text that is good for nothing else.

A link names the decision and no person: who was spoken to, and about what, the decision says. So it is as good as the
decision's row, and with an erased learner's decisions their links are gone.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from serving.claims import Signer

PREFIX: Final = "nwa1."
PATH: Final = "/nudges/act"
LIFE: Final = timedelta(days=60)
"""How long a link is good: a mail may lie for a while, and to stop them must go on working."""
_IDS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "nextwise:nudge-action")


class Action(StrEnum):
    """What a learner answers."""

    OPEN = "open"
    HELPED = "helped"
    NOT_YET = "not_yet"
    LATER = "later"
    NOT_RELEVANT = "not_relevant"
    STOP = "stop"


class Link(NamedTuple):
    """What a link says. `expires_at`: seconds since 1970."""

    tenant: str
    decision_id: str
    action: Action
    expires_at: int

    @property
    def action_id(self) -> str:
        """The same for every link to this action of this decision: a second use of any of them is no news."""
        return str(uuid.uuid5(_IDS, json.dumps([self.tenant, self.decision_id, self.action])))


_LINK: Final = TypeAdapter(Link)


def token(signer: Signer, link: Link) -> str:
    """The signed text of a link."""
    return signer.signed(PREFIX, _LINK.dump_json(link))


def read(signer: Signer, text: str) -> Link | None:
    """What a signed text says; None where it is none of ours. Whether it still holds is not asked here."""
    try:
        return None if (said := signer.said(PREFIX, text)) is None else _LINK.validate_json(said)
    except ValidationError:
        return None


def links(
    signer: Signer, public_url: str, tenant: str, decision_id: str, actions: Iterable[Action], *, at: datetime
) -> Mapping[Action, str]:
    """The address of each action of a decision; none without a secret or an address of the service."""
    if not signer or not public_url:
        return {}
    ends = int((at + LIFE).timestamp())
    return {one: f"{public_url}{PATH}?t={token(signer, Link(tenant, decision_id, one, ends))}" for one in actions}
