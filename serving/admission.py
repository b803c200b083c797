"""Who is let in, and the words for who is not."""

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from serving.claims import Claim
from serving.keys import Credential, Keys, Refusal
from serving.looked import KeysUnreadableError, TooManyUnknownError
from serving.metrics import Metrics
from serving.problems import RefusedError, later
from serving.rates import Rates
from serving.routes import Found
from serving.scopes import scope_of, token_scope_of

_CHALLENGE: Final = 'Bearer realm="nextwise", Basic realm="nextwise", charset="UTF-8"'
_OF_PAGES: Final = 'Basic realm="nextwise", charset="UTF-8"'
"""A browser reads one challenge a header, and asks the person only for Basic."""
_WORDS: Final[Mapping[Refusal, str]] = {
    Refusal.MISSING: "no key; send `Authorization: Bearer KEY`, or Basic with the key as password",
    Refusal.UNKNOWN: "no such key; send `Authorization: Bearer KEY`, or Basic with the key as password",
    Refusal.EXPIRED: "this key has expired; make a new one with `python -m serving keys add`",
    Refusal.REVOKED: "this key was revoked; make a new one with `python -m serving keys add`",
    Refusal.NO_TOKEN: "no such token; ask the application that gave it for a new one",
    Refusal.TOKEN_EXPIRED: "this token has expired; ask the application that gave it for a new one",
    Refusal.TOKEN_CLOSED: "the key that gave this token opens nothing any more; ask the application for a new token",
}


async def admitted(keys: Keys, authorization: str | None, sender: str, metrics: Metrics, *, page: bool = False) -> Credential:
    """The credential of a request. `sender`: the address that it came from. `page`: a browser asks for it. RefusedError: 401
    without one, 429 for one that is not known where too many came that nobody has, 503 while nobody can say whether it is one.
    """
    try:
        found = await keys.found(authorization, sender)
    except TooManyUnknownError as error:
        metrics.refused.labels("unknown_rate").inc()
        again = {"Retry-After": str(ceil(error.wait_s))}
        raise RefusedError(429, "too many unknown keys from here; look at the key, and come again", headers=again) from error
    except KeysUnreadableError as error:
        raise later(error) from error
    if isinstance(found, Credential):
        return found
    metrics.refused.labels(found.value).inc()
    raise RefusedError(
        401, _WORDS[found], field="authorization", headers={"WWW-Authenticate": _OF_PAGES if page else _CHALLENGE}
    )


def hold_back(credential: Credential, rates: Rates, token_rates: Rates, metrics: Metrics) -> None:
    """RefusedError 429 for a key that sent too many requests, whatever they were. Tokens are counted by learner: no page uses
    up what the key may.
    """
    claim = credential.claim
    wait_s = rates.take(credential.key_id) if claim is None else token_rates.take(f"{claim.tenant}/{claim.learner_id}")
    if wait_s:
        metrics.refused.labels("rate").inc()
        words = "key; send batches, or fewer a second" if claim is None else "token; send fewer a second"
        raise RefusedError(429, f"too many requests with this {words}", headers={"Retry-After": str(ceil(wait_s))})


def require(credential: Credential, method: str, found: Found, metrics: Metrics) -> None:
    """RefusedError 403 for a credential that does not open a route. Only its own scopes decide, whatever it asks for."""
    if credential.claim is not None:
        _require_of_token(credential.claim, method, found, metrics)
        return
    scope = scope_of(method, found.route)
    if credential.may(scope):
        return
    metrics.refused.labels("scope").inc()
    raise RefusedError(
        403,
        f"this key lacks the scope `{scope}`; make one that has it: `python -m serving keys add ... --scope {scope}`",
        field="authorization",
    )


def only_theirs(claim: Claim, learner_id: Any, metrics: Metrics) -> None:
    """RefusedError 403 for a token that speaks of anybody else, or of nobody. An alias is another id."""
    if learner_id == claim.learner_id:
        return
    metrics.refused.labels("learner").inc()
    raise RefusedError(
        403, "learner_id: this token is good for one learner only, whose id it was given for", field="learner_id"
    )


def _require_of_token(claim: Claim, method: str, found: Found, metrics: Metrics) -> None:
    scope = token_scope_of(method, found.route)
    if scope is None or scope not in claim.scopes:
        metrics.refused.labels("scope").inc()
        words = (
            "no learner token opens this route; it needs a key" if scope is None else f"this token lacks the scope `{scope}`"
        )
        raise RefusedError(403, words, field="authorization")
    if "learner_id" in found.parameters:
        only_theirs(claim, found.parameters["learner_id"], metrics)
