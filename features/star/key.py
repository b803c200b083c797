"""The key of a tenant's pseudonyms: a file of its own, outside of what is exported."""

import hmac
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BYTES: Final = 32
_SHOWN: Final = 32  # hexadecimal digits of a pseudonym: 128 bits


class KeyFileError(ValueError):
    """A file that is no key; the message says what to do."""


@dataclass(frozen=True)
class Key:
    """Makes pseudonyms: the same name gives the same one, and nobody without the key can tell which name it was."""

    secret: bytes

    def pseudonym(self, kind: str, name: str) -> str:
        """What stands for a name of a kind (`learner`, `event` ...): 32 hexadecimal digits."""
        return hmac.digest(self.secret, f"{kind}\0{name}".encode(), "sha256").hex()[:_SHOWN]

    @property
    def mark(self) -> str:
        """Tells one key from another and gives none away."""
        return self.pseudonym("key", "")


def key_of(path: Path, out: Path) -> Key:
    """The key in a file, which is made (readable by its owner alone) where there is none.

    KeyFileError where it is no key, or lies within the folder `out` that is given away.
    """
    if path.resolve().is_relative_to(out.resolve()):
        raise KeyFileError(
            f"the key {path} lies within {out}: whoever gets that folder could name everybody; keep it elsewhere"
        )
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
    text = path.read_text("utf-8", errors="replace").strip()
    if not re.fullmatch(f"[0-9a-f]{{{2 * _BYTES}}}", text):
        raise KeyFileError(f"{path} holds no key of {2 * _BYTES} hexadecimal digits: put the right file there, or name it")
    return Key(bytes.fromhex(text))
