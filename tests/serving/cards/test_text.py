"""Texts from outside: what is shown of them."""

import pytest

from serving.cards.text import clean, length, shorten


def test_a_text_is_one_line_without_what_cannot_be_seen() -> None:
    assert clean("a\r\nBcc: b\x00\u2028c \u202egnp.exe\ufeff\t d") == "a Bcc: b c gnp.exe d"


def test_emoji_that_are_several_signs_stay_whole() -> None:
    assert clean("\U0001f469\u200d\U0001f52c") == "\U0001f469\u200d\U0001f52c"


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [
        ("short", 5, "short"),
        ("one two three", 9, "one two…"),
        ("unbreakable", 6, "unbre…"),
        ("a unbreakable", 8, "a unbre…"),
        ("\U0001f600\U0001f600\U0001f600", 5, "\U0001f600\U0001f600…"),
        ("\U0001f600\U0001f600\U0001f600", 4, "\U0001f600…"),
    ],
)
def test_a_long_text_ends_at_a_word_where_it_can(text: str, limit: int, kept: str) -> None:
    assert shorten(text, limit) == kept
    assert length(kept) <= limit
