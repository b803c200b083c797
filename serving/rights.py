"""People's rights over HTTP: `GET /v1/learners/{learner_id}/export` and `DELETE /v1/learners/{learner_id}`."""

from typing import Any

from features.audit import Act
from serving.keys import Credential
from serving.problems import RefusedError, later
from serving.runtime import Runtime, StoreDownError
from serving.skills import check_id


async def export(runtime: Runtime, asks: Credential, learner_id: str) -> dict[str, Any]:
    """All that is stored of a learner, as `LearnerExport` describes it. Raises RefusedError: 400, 404 for nothing, 503.

    The audit log tells of it before it is given out.
    """
    check_id(learner_id)
    try:
        found = await runtime.beside(asks.tenant, lambda session: session.export(learner_id), long=True)
        outcome = "nothing stored" if found is None else "done"
        await runtime.write(
            asks.tenant, lambda session: session.tell(Act.LEARNER_EXPORTED, learner_id, outcome=outcome), by=asks.key_id
        )
    except StoreDownError as error:
        raise later(error) from error
    if found is None:
        raise RefusedError(404, f"nothing is stored of learner {learner_id!r}", field="learner_id")
    return found


async def erase(runtime: Runtime, asks: Credential, learner_id: str) -> None:
    """Erases a learner; somebody never heard of as well, for that is nobody's business. Raises RefusedError: 400, 503."""
    check_id(learner_id)
    now = runtime.clock()
    try:
        await runtime.write(asks.tenant, lambda session: session.erase(learner_id, at=now), by=asks.key_id)
    except StoreDownError as error:
        raise later(error) from error
