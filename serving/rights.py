"""People's rights over HTTP: `GET /v1/learners/{learner_id}/export` and `DELETE /v1/learners/{learner_id}`."""

from typing import Any

from serving.problems import RefusedError, later
from serving.runtime import Runtime, StoreDownError
from serving.skills import check_id


async def export(runtime: Runtime, tenant: str, learner_id: str) -> dict[str, Any]:
    """All that is stored of a learner, as `LearnerExport` describes it. Raises RefusedError: 400, 404 for nothing, 503."""
    check_id(learner_id)
    try:
        found = await runtime.beside(tenant, lambda session: session.export(learner_id), long=True)
    except StoreDownError as error:
        raise later(error) from error
    if found is None:
        raise RefusedError(404, f"nothing is stored of learner {learner_id!r}", field="learner_id")
    return found


async def erase(runtime: Runtime, tenant: str, learner_id: str) -> None:
    """Erases a learner; somebody never heard of as well, for that is nobody's business. Raises RefusedError: 400, 503."""
    check_id(learner_id)
    now = runtime.clock()
    try:
        await runtime.write(tenant, lambda session: session.erase(learner_id, at=now))
    except StoreDownError as error:
        raise later(error) from error
