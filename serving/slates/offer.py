"""Recommendations that may be shown offline, and `GET /v1/slates/{decision_id}`, which gives the same again."""

from features.decisions import Decision
from serving.claims import Signer
from serving.keys import Credential
from serving.payloads import MinimalAnswer, RecommendationsAnswer
from serving.problems import RefusedError
from serving.questions.asked import decision as recorded
from serving.runtime import Runtime
from serving.slates.payloads import OfflineAnswer, OfflineMinimalAnswer, SignedSlate
from serving.slates.slate import ends, signed, slate_of


def offered(signer: Signer, decision: Decision) -> OfflineAnswer | OfflineMinimalAnswer:
    """The answer of a decision that was asked for with `offline`, in the form that was asked for."""
    slate = slate_of(decision)
    offline = SignedSlate(slate=signed(signer, slate), issued_at=slate.issued_at, expires_at=slate.expires_at)
    if decision.request.get("form") == "minimal":
        return OfflineMinimalAnswer(**dict(MinimalAnswer.of(decision)), offline=offline)
    return OfflineAnswer.model_construct(**dict(RecommendationsAnswer.of(decision)), offline=offline)


async def again(runtime: Runtime, asks: Credential, decision_id: str) -> OfflineAnswer | OfflineMinimalAnswer:
    """The slate as it was given: no new decision is made. Raises RefusedError: 400, 404 where there is none for whoever asks,
    409 without a secret, 410 for one that has ended, 503 also while its decision may wait to be stored.
    """
    require_secret(runtime)
    found = await recorded(runtime, asks, decision_id)
    if not found.request.get("offline"):
        words = f"decision_id: {decision_id} is no offline slate; ask POST /v1/recommendations for one with `offline`"
        raise RefusedError(404, words, field="decision_id")
    if runtime.clock() >= ends(found):
        raise RefusedError(410, f"this slate ended at {ends(found).isoformat()}; ask POST /v1/recommendations for another")
    return offered(runtime.signer, found)


def require_secret(runtime: Runtime) -> None:
    """RefusedError 409 where nothing can be signed."""
    if not runtime.signer:
        words = "this service signs no slates: set NEXTWISE_TOKEN_SECRET to at least 32 random bytes, the same for each replica"
        raise RefusedError(409, words)
