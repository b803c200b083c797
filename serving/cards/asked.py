"""The link of a card, followed: whether it holds, and what it is about as things stand now."""

from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final

from starlette.requests import Request

from features.catalogue import Item, Learner, Skill
from features.nudges import Nudge
from features.store import TenantSession
from serving.cards.links import Link, read
from serving.cards.message import words_of
from serving.cards.words import Words
from serving.problems import RefusedError, later
from serving.runtime import Runtime, StoreDownError

_GONE: Final = "t: this link is no longer valid"


@dataclass(frozen=True)
class Asked:
    """A link that holds. `at`: when it was followed, before anything was read. `item`: None where it is not offered now."""

    link: Link
    learner_id: str
    nudge: Nudge
    at: datetime
    learner: Learner | None
    item: Item | None
    skill: str | None

    @property
    def words(self) -> Words:
        """The learner's."""
        return words_of((), "UTC") if self.learner is None else words_of(self.learner.languages, self.learner.timezone)

    @property
    def about(self) -> str | None:
        """The title or skill that the nudge was about."""
        return self.skill if self.item is None else self.item.title


async def asked(runtime: Runtime, request: Request) -> Asked:
    """What a link asks. RefusedError: 403 for what is no link of ours, 404 for one that holds no more, 429, 503."""
    link, at = _link(runtime, request), runtime.clock()
    if at.timestamp() >= link.expires_at:
        raise gone()
    try:
        found = await runtime.beside(link.tenant, lambda session: _known(runtime, session, link, at))
    except StoreDownError as error:
        raise later(error) from error
    if found is None:
        raise gone()
    return found


def gone() -> RefusedError:
    """The 404 of a link that has expired, or whose learner was erased: nobody is told which."""
    return RefusedError(404, _GONE, field="t")


def _link(runtime: Runtime, request: Request) -> Link:
    """RefusedError: 403 for a text that nobody here signed, 429 where too many of them came, or this one too often."""
    link = read(runtime.signer, request.query_params.get("t", ""))
    if link is not None:
        wait_s = runtime.token_rates.take(f"{link.tenant}/nudge/{link.decision_id}")
    else:
        wait_s = runtime.link_strangers.take(request.client.host if request.client else "")
    if wait_s:
        runtime.metrics.refused.labels("link_rate").inc()
        raise RefusedError(429, "too many requests with such links; come again", headers={"Retry-After": str(ceil(wait_s))})
    if link is None:
        runtime.metrics.refused.labels("unknown_link").inc()
        raise RefusedError(403, "t: this is no link that this service gave", field="t")
    return link


def _known(runtime: Runtime, session: TenantSession, link: Link, at: datetime) -> Asked | None:
    decision = session.decision(link.decision_id)
    if decision is None or decision.nudge is None:
        return None
    nudge = decision.nudge
    row = None if nudge.skill_id is None else session.row("skill", nudge.skill_id)
    skill = row.name if isinstance(row, Skill) else nudge.skill_id
    item = None if nudge.item_id is None else offered(runtime, session, nudge.item_id, at)
    return Asked(link, decision.learner_id, nudge, at, session.learner(decision.learner_id), item, skill)


def offered(runtime: Runtime, session: TenantSession, item_id: str, at: datetime) -> Item | None:
    """The tenant's own item as it stands now, or one that is granted to it now; None where it is not available, or neither."""
    row, stock = session.row("item", item_id), runtime.bundles.current(session.tenant)
    if isinstance(row, Item):
        return row if row.available(at) else None
    held = None if stock is None else stock.names.get(item_id)
    if held is None or held.granted_by is None or not held.available(at):
        return None
    granted = any(grant.grantor == held.granted_by and grant.covers(held) for grant in session.grants(at=at))
    return held if granted else None
