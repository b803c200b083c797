"""`/v1/learners/{learner_id}/nudges`: what a learner chose about nudges, for a page of settings to show and to change.

A choice is a fact beside the earlier ones; what holds is worked out from all of them. To choose again what holds already stores
nothing, so a page may send it as often as it likes.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from features.nudges import Choice, NudgeChoice
from features.store import TenantSession
from features.store.nudges import ChoiceOutcome
from serving.nudging.limits import Chosen, chosen
from serving.nudging.payloads import NudgeChoiceIn, NudgesAnswer
from serving.problems import RefusedError, invalid, later
from serving.runtime import SERVICE, Runtime, StoreDownError
from serving.skills import check_id

LONGEST: Final = timedelta(days=366)
"""How long a snooze may be; who wants none for longer stops them."""


async def nudges(runtime: Runtime, tenant: str, learner_id: str) -> NudgesAnswer:
    """What holds now of a learner, under whichever name; `on` for whoever chose nothing. Raises RefusedError: 400, 503."""
    check_id(learner_id)
    try:
        made = await runtime.beside(tenant, lambda session: session.nudge_choices(learner_id))
    except StoreDownError as error:
        raise later(error) from error
    return _answer(learner_id, chosen(made), runtime.clock())


async def choose(runtime: Runtime, tenant: str, key_id: str, learner_id: str, body: Any) -> NudgesAnswer:
    """Stores a choice, synced, and says what holds then: the next nudge knows it. Raises RefusedError: 400, 503."""
    check_id(learner_id)
    now = runtime.clock()
    choice, until = _read(body, now)

    def stored(session: TenantSession) -> Chosen:
        made = session.nudge_choices(learner_id)
        new = choice_of(learner_id, str(uuid.uuid4()), choice, until, now, made)
        if chosen([*made, new]) != chosen(made):
            session.choose_nudges(new)
        return chosen(session.nudge_choices(learner_id))

    try:
        found = await runtime.write(tenant, stored, by=key_id or SERVICE)
    except StoreDownError as error:
        raise later(error) from error
    return _answer(learner_id, found, now)


def choose_now(
    session: TenantSession, learner_id: str, action_id: str, choice: Choice, until: datetime | None, at: datetime
) -> ChoiceOutcome:
    """Stores what somebody chooses at `at`."""
    made = session.nudge_choices(learner_id)
    return session.choose_nudges(choice_of(learner_id, action_id, choice, until, at, made))


def choice_of(
    learner_id: str, action_id: str, choice: Choice, until: datetime | None, at: datetime, made: Sequence[NudgeChoice]
) -> NudgeChoice:
    """A choice that comes after those that were `made`, whatever the clock says by now: the last one is the one that holds."""
    when = max([at, *(one.occurred_at for one in made)])
    return NudgeChoice(
        action_id=action_id, learner_id=learner_id, choice=choice, until=until, occurred_at=when, recorded_at=when
    )


def _read(body: Any, now: datetime) -> tuple[Choice, datetime | None]:
    try:
        given = NudgeChoiceIn.model_validate(body, strict=False)
    except ValidationError as error:
        raise invalid(error) from None
    if (given.until is None) == (given.choice is Choice.SNOOZE):
        raise RefusedError(400, "until: a snooze needs the moment when it ends, and nothing else has one", field="until")
    if given.until is None:
        return given.choice, None
    until = given.until.astimezone(UTC)
    if not now < until <= now + LONGEST:
        words = f"until: a snooze ends after now ({now.isoformat()}) and within {LONGEST.days} days; to have none at all, stop"
        raise RefusedError(400, words, field="until")
    return given.choice, until


def _answer(learner_id: str, found: Chosen, at: datetime) -> NudgesAnswer:
    snoozed = not found.stopped and found.until is not None and at < found.until
    state = "stopped" if found.stopped else "snoozed" if snoozed else "on"
    return NudgesAnswer(learner_id=learner_id, at=at, state=state, until=found.until if snoozed else None)
