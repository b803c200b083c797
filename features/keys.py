"""API keys as values: whose data one opens, what for and how long; how its text is made, and what is kept of it."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

_ID_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_ID_LENGTH: Final = 8
_SECRET_BYTES: Final = 32
_TEXT: Final = re.compile(r"nw_[a-z2-7]{8}_[A-Za-z0-9_-]{43}")


class Scope(StrEnum):
    """What a key may be used for. `ADMIN` includes all others."""

    RANK = "rank"
    INGEST = "ingest"
    SYNC = "sync"
    REPORTS = "reports"
    ADMIN = "admin"


@dataclass(frozen=True)
class Key:
    """A key as it is stored, without the key. `compat`: repair what known emitters of xAPI statements get wrong."""

    key_id: str
    tenant: str
    name: str
    scopes: frozenset[Scope]
    compat: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def open_at(self, moment: datetime) -> bool:
        """Whether it opens anything at `moment`. A revoked key never does, by whichever clock it was revoked."""
        return self.revoked_at is None and not self.expired_at(moment)

    def expired_at(self, moment: datetime) -> bool:
        """Whether its time is over at `moment`."""
        return self.expires_at is not None and moment >= self.expires_at


@dataclass(frozen=True)
class NewKey:
    """A key that was just made. `text` is the key itself: it is said once and nowhere kept."""

    key: Key
    text: str = field(repr=False)


def new_text() -> tuple[str, str]:
    """(id, text) of a new key: `nw_ID_SECRET`, with 256 bits of chance in the secret."""
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    return key_id, f"nw_{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def looks_like_a_key(text: str) -> bool:
    """Whether `new_text` could have made it. What it could not have made need not be looked for."""
    return _TEXT.fullmatch(text) is not None


def hash_of(text: str) -> str:
    """SHA-256 (hex) of a key's text: all that is kept. It needs no salt, for no list holds 256 bits of chance."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
