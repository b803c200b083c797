"""Two ids that are one person: `POST /v1/learners/{learner_id}/merge`, and `/unmerge`, which takes it back."""

from typing import Any

from pydantic import ValidationError

from features.store import MergeError, NotMergedError, TenantSession
from serving.keys import Credential
from serving.payloads import MergeAnswer, MergeIn
from serving.problems import RefusedError, invalid, later
from serving.runtime import Runtime, StoreDownError
from serving.skills import check_id


async def merge(runtime: Runtime, asks: Credential, learner_id: str, body: Any, *, joined: bool) -> MergeAnswer:
    """Store a merge (`joined`) or its end; the next answers know it. RefusedError, after which nothing is stored: 400, 404 to
    un-merge what was never merged, 409 for what contradicts, 503.
    """
    check_id(learner_id)
    try:
        given = MergeIn.model_validate(body, strict=False)
    except ValidationError as error:
        raise invalid(error) from None

    def said(session: TenantSession) -> MergeAnswer:
        now = runtime.clock()  # here, where requests stand in line: the later one has the later time
        say = session.merge if joined else session.unmerge
        done = say(learner_id, given.into, occurred_at=given.occurred_at or now, at=now)
        return MergeAnswer(learner_id=done.learner_id, into=done.into, outcome=done.outcome)

    try:
        return await runtime.write(asks.tenant, said, by=asks.key_id)
    except NotMergedError as error:
        raise RefusedError(404, str(error), field="into") from error
    except MergeError as error:
        raise RefusedError(409, str(error), field=error.field) from error
    except StoreDownError as error:
        raise later(error) from error
