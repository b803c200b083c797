"""`POST /v1/tokens`: a key gives a short-lived token for one learner."""

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from features.audit import Act, Details
from serving.claims import NEEDS, Claim, TokenScope
from serving.keys import Credential
from serving.payloads import TokenAnswer, TokenRequest
from serving.problems import RefusedError, invalid, later
from serving.runtime import Runtime, StoreDownError


async def give(runtime: Runtime, asks: Credential, body: Any) -> TokenAnswer:
    """A token, which the audit log tells of. Raises RefusedError: 400, 403 beyond the key, 409 without a secret, 503."""
    try:
        wanted = TokenRequest.model_validate_json(json.dumps(body))
    except ValidationError as error:
        raise invalid(error) from None
    if not runtime.signer:
        words = "this service gives no tokens: set NEXTWISE_TOKEN_SECRET to at least 32 random bytes, the same for each replica"
        raise RefusedError(409, words)
    scopes = _scopes(asks, wanted)
    ends = int(runtime.clock().timestamp()) + wanted.ttl_s
    claim = Claim(
        tenant=asks.tenant, learner_id=wanted.learner_id, key_id=asks.key_id, scopes=frozenset(scopes), expires_at=ends
    )
    details: Details = {"ttl_s": wanted.ttl_s, "scopes": [scope.value for scope in scopes]}
    try:
        await runtime.write(
            asks.tenant, lambda session: session.tell(Act.TOKEN_ISSUED, wanted.learner_id, details), by=asks.key_id
        )
    except StoreDownError as error:
        raise later(error) from error
    return TokenAnswer(
        token=runtime.signer.token(claim),
        learner_id=wanted.learner_id,
        scopes=scopes,
        expires_at=datetime.fromtimestamp(ends, UTC),
    )


def _scopes(asks: Credential, wanted: TokenRequest) -> tuple[TokenScope, ...]:
    """Sorted. RefusedError (403) for one that the key does not have itself."""
    if wanted.scopes is None:
        return tuple(scope for scope in sorted(TokenScope) if asks.may_give([scope]))
    for scope in wanted.scopes:
        if not asks.may_give([scope]):
            raise RefusedError(
                403, f"scopes: a token for `{scope}` is given by a key with the scope `{NEEDS[scope]}`", field="scopes"
            )
    return tuple(sorted(set(wanted.scopes)))
