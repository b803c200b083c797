"""Teams: an Adaptive Card that a webhook takes, in which no title is Markdown or computed."""

import pytest
from messages import HOSTILE, largest, message, signed, texts

from serving.cards.teams import MAX_BYTES, size, teams
from serving.cards.words import LANGUAGES


def test_a_card_has_runs_of_text_and_actions_that_open_addresses() -> None:
    card = teams(message(languages=("de",)))
    assert (card["type"], card["attachments"][0]["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    content = card["attachments"][0]["content"]
    assert (content["type"], content["version"], content["lang"]) == ("AdaptiveCard", "1.4", "de")
    runs = [run for block in content["body"] for run in block["inlines"]]
    assert [run["text"] for run in runs] == [
        "Zu erledigen: Fire safety",
        "Fällig: Sonntag, 1. März 2026, 09:30 Uhr.",
        "Dauert etwa 15 Min.",
    ]
    assert {action["type"] for action in content["actions"]} == {"Action.OpenUrl"}
    assert [action["url"] for action in content["actions"]] == list(signed().values())


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_and_worst_titles_stay_within_28_kb_and_are_plain_text(text: str, language: str) -> None:
    card = teams(largest(text, language))
    content = card["attachments"][0]["content"]
    assert size(card) <= MAX_BYTES
    assert {block["type"] for block in content["body"]} == {"RichTextBlock"}
    assert not [said for said in texts(card) if "{{" in said or "${" in said]
    assert len(content["actions"]) == 6


def test_what_is_too_much_is_left_out_from_the_end() -> None:
    links = dict.fromkeys(signed(), "https://a.example/" + "x" * 9_000)
    card = teams(message(links=links))
    content = card["attachments"][0]["content"]
    assert size(card) <= MAX_BYTES
    assert (len(content["body"]), len(content["actions"])) == (1, 3)
