"""API keys: which tenant a credential opens, and what for. Only SHA-256 hashes of keys are held."""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from features.keys import Key, Scope, hash_of, looks_like_a_key
from serving.claims import NEEDS, PREFIX, Claim, Signer, TokenScope
from serving.looked import Looked
from serving.settings import Settings

DEVELOPMENT: Final = "development"
"""The id of the key of the settings. No stored key has it: those have 8 characters."""


@dataclass(frozen=True)
class Credential:
    """Who asks. `compat`: repair what known emitters of xAPI statements get wrong. `claim`: of a learner token, which has no
    scope of a key.
    """

    tenant: str
    scopes: frozenset[Scope]
    compat: bool
    key_id: str
    claim: Claim | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it is good for `scope`; `admin` is good for all."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def may_give(self, scopes: Iterable[TokenScope]) -> bool:
        """Whether it may give a token for these."""
        return all(self.may(NEEDS[scope]) for scope in scopes)


class Refusal(StrEnum):
    """Why a credential opens nothing."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"
    NO_TOKEN = "unknown_token"
    TOKEN_EXPIRED = "expired_token"
    TOKEN_CLOSED = "closed_token"


class Keys:
    """The keys that open the service, and the tokens that they gave: those of the store, and for development the settings' own.

    `by_hash`, `by_id`: the stored key. `development`: hash -> tenant. A key is hashed first and looked up by its hash: the
    answer's time says nothing about any key.
    """

    def __init__(
        self, by_hash: Looked, by_id: Looked, *, development: Mapping[str, str], signer: Signer, clock: Callable[[], datetime]
    ) -> None:
        self._by_hash, self._by_id, self._development = by_hash, by_id, development
        self._signer, self._clock = signer, clock

    @classmethod
    def of(cls, settings: Settings, by_hash: Looked, by_id: Looked, *, signer: Signer, clock: Callable[[], datetime]) -> "Keys":
        """Those of the store, and the development key unless it is set empty."""
        development = {hash_of(settings.dev_key): settings.dev_tenant} if settings.dev_key else {}
        return cls(by_hash, by_id, development=development, signer=signer, clock=clock)

    @property
    def development_tenants(self) -> tuple[str, ...]:
        """What the development key opens; empty without one."""
        return tuple(self._development.values())

    async def found(self, authorization: str | None, sender: str = "") -> Credential | Refusal:
        """What the header `Authorization: Bearer KEY` or `Basic ...` opens, or why nothing. A token stands where a key does.

        `sender`: the address that it came from. Raises what `Looked.find` raises.
        """
        if not authorization:
            return Refusal.MISSING
        text = _key_in(authorization)
        if not text:
            return Refusal.UNKNOWN
        if text.startswith(PREFIX):
            return await self._of_token(text, sender)
        key_hash = hash_of(text)
        tenant = self._development.get(key_hash)
        if tenant is not None:
            return Credential(tenant, frozenset(Scope), compat=False, key_id=DEVELOPMENT)
        return self._opened(await self._by_hash.find(key_hash, sender) if looks_like_a_key(text) else None)

    async def _of_token(self, text: str, sender: str) -> Credential | Refusal:
        """A token opens nothing after the key that gave it, and nothing that this key does not open."""
        claim = self._signer.claim(text)
        if claim is None:
            return Refusal.NO_TOKEN
        if self._clock().timestamp() >= claim.expires_at:
            return Refusal.TOKEN_EXPIRED
        if claim.key_id == DEVELOPMENT:
            given = claim.tenant in self._development.values()
        else:
            key = self._opened(await self._by_id.find(claim.key_id, sender))
            given = isinstance(key, Credential) and key.tenant == claim.tenant and key.may_give(claim.scopes)
        return Credential(claim.tenant, frozenset(), False, claim.key_id, claim) if given else Refusal.TOKEN_CLOSED

    def _opened(self, key: Key | None) -> Credential | Refusal:
        if key is None:
            return Refusal.UNKNOWN
        if key.revoked_at is not None:
            return Refusal.REVOKED
        if key.expired_at(self._clock()):
            return Refusal.EXPIRED
        return Credential(key.tenant, key.scopes, key.compat, key.key_id)


def _key_in(authorization: str) -> str | None:
    """The key that a header carries, None where it carries none.

    Basic carries two texts. The password is the key, whatever the user name; without a password the user name is.
    """
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return None
    return password or user
