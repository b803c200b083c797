"""Texts from outside, such as titles: what of them may be shown, and how much."""

import re
from typing import Final

_HIDDEN: Final = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""What turns the direction of a text, or cannot be seen: a title would show what it does not say."""
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def clean(text: str) -> str:
    """One line without control characters."""
    return " ".join(_CONTROL.sub(" ", _HIDDEN.sub("", text)).split())


def length(text: str) -> int:
    """In UTF-16 units, as the platforms count: most emoji are two."""
    return len(text.encode("utf-16-le")) // 2


def shorten(text: str, limit: int) -> str:
    """The text, or as many words of it as fit, with an ellipsis; of a word that is too long alone its beginning."""
    if length(text) <= limit:
        return text
    kept = text[: limit - 1]
    while length(kept) > limit - 1:
        kept = kept[:-1]
    whole = kept.rpartition(" ")[0]
    return f"{whole if length(whole) > limit // 2 else kept}…"
