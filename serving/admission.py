"""Who is let in, and the words for who is not."""

from collections.abc import Mapping
from math import ceil
from typing import Final

from features.keys import Scope
from serving.keys import Credential, Keys, KeysUnreadableError, Refusal
from serving.metrics import Metrics
from serving.problems import RefusedError, later
from serving.rates import Rates

_CHALLENGE: Final = 'Bearer realm="nextwise", Basic realm="nextwise", charset="UTF-8"'
_WORDS: Final[Mapping[Refusal, str]] = {
    Refusal.MISSING: "no key; send `Authorization: Bearer KEY`, or Basic with the key as password",
    Refusal.UNKNOWN: "no such key; send `Authorization: Bearer KEY`, or Basic with the key as password",
    Refusal.EXPIRED: "this key has expired; make a new one with `python -m serving keys add`",
    Refusal.REVOKED: "this key was revoked; make a new one with `python -m serving keys add`",
}


async def admitted(keys: Keys, authorization: str | None, metrics: Metrics) -> Credential:
    """The credential of a request. RefusedError: 401 without one, 503 while nobody can say whether it is one."""
    try:
        found = await keys.found(authorization)
    except KeysUnreadableError as error:
        raise later(error) from error
    if isinstance(found, Credential):
        return found
    metrics.refused.labels(found.value).inc()
    raise RefusedError(401, _WORDS[found], field="authorization", headers={"WWW-Authenticate": _CHALLENGE})


def hold_back(credential: Credential, rates: Rates, metrics: Metrics) -> None:
    """RefusedError 429 for a key that sent too many requests, whatever they were."""
    wait_s = rates.take(credential.key_id)
    if wait_s:
        metrics.refused.labels("rate").inc()
        again = {"Retry-After": str(ceil(wait_s))}
        raise RefusedError(429, "too many requests with this key; send batches, or fewer a second", headers=again)


def require(credential: Credential, scope: Scope, metrics: Metrics) -> None:
    """RefusedError 403 for a key that is not good for `scope`. Only its own scopes decide, whatever it asks for."""
    if credential.may(scope):
        return
    metrics.refused.labels("scope").inc()
    raise RefusedError(
        403,
        f"this key lacks the scope `{scope}`; make one that has it: `python -m serving keys add ... --scope {scope}`",
        field="authorization",
    )
