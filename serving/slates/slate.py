"""The signed text of an offline slate: what was decided for whom. Without it nobody can say later what a phone was to show.

It is made of the decision alone, so that fetching it again gives the same text.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from features.decisions import Decision
from features.events import Instant
from serving.claims import Signer

PREFIX: Final = "nws1."
LIFE: Final = timedelta(days=7)
"""How long a slate may be shown without asking again."""


class Place(NamedTuple):
    """Where an item stands, counted from 0, and how likely it was to stand there."""

    item_id: str
    position: int
    propensity: float


class Slate(NamedTuple):
    """What a signed text says: whose slate it is, from when until when it may be shown, and what is in it."""

    tenant: str
    learner_id: str
    decision_id: str
    bundle: str
    issued_at: Instant
    expires_at: Instant
    items: tuple[Place, ...]

    @property
    def places(self) -> Mapping[str, Place]:
        """By item; one that stands in it twice, where it stands first."""
        return {one.item_id: one for one in reversed(self.items)}


_SLATE: Final = TypeAdapter(Slate)


def slate_of(decision: Decision) -> Slate:
    """The offline slate of a ranking, issued when it was decided."""
    return Slate(
        tenant=decision.tenant,
        learner_id=decision.learner_id,
        decision_id=decision.decision_id,
        bundle=decision.bundle,
        issued_at=decision.decided_at,
        expires_at=ends(decision),
        items=tuple(Place(one.item_id, one.position, one.propensity) for one in decision.slate),
    )


def ends(decision: Decision) -> datetime:
    """When the slate of a decision may no longer be shown."""
    return decision.decided_at + LIFE


def signed(signer: Signer, slate: Slate) -> str:
    """The signed text of a slate."""
    return signer.signed(PREFIX, _SLATE.dump_json(slate))


def read(signer: Signer, text: str) -> Slate | None:
    """What a signed text says; None where it is none of ours. Whether it may still be shown is not asked here."""
    try:
        return None if (said := signer.said(PREFIX, text)) is None else _SLATE.validate_json(said)
    except ValidationError:  # another program has the same secret
        return None
