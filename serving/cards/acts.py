"""`/nudges/act`: what a learner answers to a nudge. To look changes nothing; to send the form does it, once.

The link is the credential: it opens one action of one decision of its tenant. Who the learner is, the stored decision says;
where that is gone, as after an erasure, nothing is done and nothing told.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from features.events import Verb
from features.nudges import Choice
from features.store import TenantSession
from serving.body import read_form
from serving.cards.asked import Asked, asked, gone
from serving.cards.cards import url_of
from serving.cards.links import Action
from serving.cards.page import HEADERS, page
from serving.cards.words import Words, language_of
from serving.evidence import evidence
from serving.feedback import feedback
from serving.ingest import ingest
from serving.keys import Credential
from serving.nudging.choices import choose_now
from serving.problems import RefusedError, later
from serving.runtime import SERVICE, Runtime, StoreDownError

SNOOZE: Final = timedelta(days=7)
"""How long `later` is."""
_ON_PAGE: Final[Mapping[int, str]] = {403: "broken", 404: "gone", 410: "closed", 413: "broken", 415: "broken"}


async def act(runtime: Runtime, request: Request) -> Response:
    """The page of a link, or what became of its form. A browser is told in HTML what is wrong, others by RefusedError: 403 for
    what is no link of ours, 404 for one that holds no more, 410 for what is no longer offered, 413, 415, 429, 503.
    """
    try:
        if request.method != "POST":
            return _question(await asked(runtime, request))
        await read_form(request.headers, request.receive)
        return await _done(runtime, await asked(runtime, request))
    except RefusedError as refused:
        if "text/html" not in request.headers.get("accept", ""):
            raise
        words = Words(language_of(part.strip() for part in request.headers.get("accept-language", "").split(",")))
        said = words.say("page", _ON_PAGE.get(refused.status, "busy"))
        return page(words, said, status=refused.status, headers=refused.headers)


def _question(one: Asked) -> Response:
    action, words = one.link.action, one.words
    about = None if action in (Action.LATER, Action.STOP) else one.about
    return page(words, words.say("ask", action), about=about, button=words.say("button", action))


async def _done(runtime: Runtime, one: Asked) -> Response:
    action, words = one.link.action, one.words
    address = _address(one) if action is Action.OPEN else ""
    outcome = await _stored(runtime, one)
    runtime.metrics.nudge_answers.labels(action.value, outcome).inc()
    if outcome == "suppressed":
        raise gone()
    if action is Action.OPEN:
        return RedirectResponse(address, 303, HEADERS)
    if outcome == "duplicate":
        return page(words, words.say("page", "again"))
    until = {"date": one.at + SNOOZE} if action is Action.LATER else {}
    return page(words, words.say("done", action, **until))


def _address(one: Asked) -> str:
    url = None if one.item is None else url_of(one.item)
    if url is None:
        raise RefusedError(410, "this is no longer offered")
    return url


async def _stored(runtime: Runtime, one: Asked) -> str:
    """What became of it: `accepted`, `duplicate` where this link was used before, or `suppressed`. RefusedError: 503."""
    tenant, nudge = one.link.tenant, one.nudge
    said: dict[str, Any] = {
        "event_id": one.link.action_id,
        "learner_id": one.learner_id,
        "decision_id": one.link.decision_id,
        "occurred_at": one.at.isoformat(),
    }
    try:
        match one.link.action:
            case Action.LATER:
                return await _chosen(runtime, one, Choice.SNOOZE, one.at + SNOOZE)
            case Action.STOP:
                return await _chosen(runtime, one, Choice.STOP)
            case Action.OPEN:  # that it was seen: to open something earns nothing and is no evidence
                said |= {"verb": Verb.SHOWN, "object_id": nudge.item_id, "context": {"nudge": "open"}}
                return (await ingest(runtime, tenant, said)).results[0].outcome
            case Action.NOT_RELEVANT:
                by = Credential(tenant, frozenset(), compat=False, key_id=SERVICE)
                said |= {"item_id": nudge.item_id, "feedback": "not_relevant"}
                return (await feedback(runtime, by, said)).outcome
            case Action.HELPED | Action.NOT_YET:
                used = "yes" if one.link.action is Action.HELPED else "not_yet"
                said |= {"kind": "follow_up", "used": used, "skill": nudge.skill_id, "item_id": nudge.item_id}
                return (await evidence(runtime, tenant, said)).results[0].outcome
    except StoreDownError as error:
        raise later(error) from error
    except RefusedError as refused:
        if refused.status == 409:  # an event of this id is there, from another moment
            return "duplicate"
        raise


async def _chosen(runtime: Runtime, one: Asked, choice: Choice, until: datetime | None = None) -> str:
    def stored(session: TenantSession) -> str:
        return choose_now(session, one.learner_id, one.link.action_id, choice, until, one.at)

    return await runtime.write(one.link.tenant, stored, by=SERVICE)
