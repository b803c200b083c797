"""Push: what a phone shows and a push service takes."""

import pytest
from messages import HOSTILE, largest, message, signed, texts

from serving.cards.links import Action
from serving.cards.push import MAX_BODY, MAX_BYTES, MAX_TITLE, push, size
from serving.cards.text import length
from serving.cards.words import LANGUAGES


def test_a_notification_has_a_title_a_body_and_the_links_as_data() -> None:
    card = push(message())
    assert (card["title"], card["body"]) == ("To do: Fire safety", "Due Sunday 1 March 2026, 09:30. About 15 min.")
    assert card["data"] == {"decision_id": "d1", "arm": "deadline", **{one.value: url for one, url in signed().items()}}


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_titles_stay_within_the_limits(text: str, language: str) -> None:
    card = push(largest(text, language))
    assert 0 < length(card["title"]) <= MAX_TITLE
    assert 0 < length(card["body"]) <= MAX_BODY
    assert size(card) <= MAX_BYTES <= 4_096
    assert all(isinstance(value, str) for value in texts(card["data"]))
    assert card["data"]["open"]


def test_the_last_links_are_left_out_where_they_are_too_much() -> None:
    links = dict.fromkeys(Action, "https://a.example/" + "x" * 1_500)
    assert list(push(message(links=links))["data"]) == ["decision_id", "arm", "open", "helped"]
