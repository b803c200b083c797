"""Slack: within its limits, and no title formats, links or mentions."""

import json
import re

import pytest
from messages import HOSTILE, largest, message, signed

from serving.cards.slack import MAX_HEADER, MAX_TEXT, escaped, slack
from serving.cards.text import length
from serving.cards.words import LANGUAGES


def test_a_card_has_a_header_sentences_and_link_buttons() -> None:
    header, section, actions = slack(message())["blocks"]
    assert header["text"] == {"type": "plain_text", "text": "To do: Fire safety", "emoji": False}
    assert section["text"]["text"] == "Due Sunday 1 March 2026, 09:30.\nAbout 15 min."
    assert [one["url"] for one in actions["elements"]] == list(signed().values())
    assert [one.get("style") for one in actions["elements"]] == ["primary", *[None] * 5]
    assert len({one["action_id"] for one in actions["elements"]}) == 6


def test_without_links_there_are_no_buttons() -> None:
    assert [block["type"] for block in slack(message(links={}))["blocks"]] == ["header", "section"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_and_worst_titles_stay_within_the_limits_and_are_no_markup(text: str, language: str) -> None:
    card = slack(largest(text, language))
    header, section, actions = card["blocks"]
    assert card["mrkdwn"] is False
    assert 0 < length(header["text"]["text"]) <= MAX_HEADER
    assert 0 < length(section["text"]["text"]) <= MAX_TEXT
    assert all(length(one["text"]["text"]) <= 75 and len(one["url"]) <= 3_000 for one in actions["elements"])
    for said in (card["text"], header["text"]["text"], section["text"]["text"]):
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", said)
    assert {block["text"]["type"] for block in (header, section)} == {"plain_text"}
    json.dumps(card, allow_nan=False)


def test_an_escape_is_never_cut_apart() -> None:
    for limit in range(1, 40):
        said = escaped("<&> <&> <&>", limit)
        assert length(said) <= limit
        assert not re.search(r"&(?!amp;|lt;|gt;)", said)
