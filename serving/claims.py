"""Learner tokens as texts: what a browser or phone shows instead of a key, good for one learner and for minutes.

A token is `nwt1.CLAIM.SIGNATURE`: the claim as JSON, and its HMAC-SHA256 under a secret of the settings, both in base64url. A
replica that has the secret reads it without a look at the store. `nwt1` says how it is signed; nothing in the token does.
"""

import base64
import hmac
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from features.keys import Scope

PREFIX: Final = "nwt1."


class TokenScope(StrEnum):
    """What a token may be used for, each time for its learner only."""

    RANK = "rank"
    FEEDBACK = "feedback"


NEEDS: Final = {TokenScope.RANK: Scope.RANK, TokenScope.FEEDBACK: Scope.INGEST}
"""What the key that gives it must be good for: no token opens what its key does not."""


class Claim(BaseModel):
    """What a token says. `key_id`: the key that gave it. `expires_at`: seconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: str
    learner_id: str
    key_id: str
    scopes: frozenset[TokenScope]
    expires_at: int


class Signer:
    """Signs with the first of the secrets, and reads what any of them signed. Without one it can do neither."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secret.encode() for secret in secrets)

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def token(self, claim: Claim) -> str:
        """The token of a claim."""
        return self.signed(PREFIX, claim.model_dump_json().encode())

    def claim(self, token: str) -> Claim | None:
        """What a token claims; None where none of the secrets signed it. Whether it still holds is not asked here."""
        try:
            return None if (said := self.said(PREFIX, token)) is None else Claim.model_validate_json(said)
        except ValidationError:  # another program has the same secret
            return None

    def signed(self, prefix: str, data: bytes) -> str:
        """`prefix`, the data and their signature as one text. The prefix is signed too: it says what the text is for."""
        said = prefix + _text(data)
        return f"{said}.{_signature(self._secrets[0], said)}"

    def said(self, prefix: str, text: str) -> bytes | None:
        """The data of a signed text; None where it has another prefix, or none of the secrets signed it.

        Signatures are compared in constant time, and what is not signed is not parsed.
        """
        said, _, signature = text.rpartition(".")
        good = [hmac.compare_digest(_signature(secret, said).encode(), signature.encode()) for secret in self._secrets]
        if not any(good) or not said.startswith(prefix):
            return None
        try:
            return base64.urlsafe_b64decode(_padded(said.removeprefix(prefix)))
        except ValueError:
            return None


def _signature(secret: bytes, said: str) -> str:
    return _text(hmac.digest(secret, said.encode(), "sha256"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
