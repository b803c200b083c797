"""API keys: which tenant a credential opens. Only SHA-256 hashes of keys are held."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from serving.settings import Settings


@dataclass(frozen=True)
class Keys:
    """SHA-256 (hex) of each key -> tenant."""

    hashes: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> "Keys":
        """The development key, unless it is set empty."""
        return cls({_hash(settings.dev_key): settings.dev_tenant} if settings.dev_key else {})

    def tenant(self, authorization: str | None) -> str | None:
        """The tenant of an `Authorization: Bearer KEY` header, None for a missing or wrong one.

        Compares with every hash in constant time: the answer's time says nothing about a key.
        """
        scheme, _, key = (authorization or "").partition(" ")
        given, found = _hash(key.strip()), None
        for known, tenant in self.hashes.items():
            if hmac.compare_digest(given, known):
                found = tenant
        return found if scheme.lower() == "bearer" else None


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
