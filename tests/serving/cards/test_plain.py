"""Plain JSON: what a host draws itself."""

from messages import message, signed

from serving.cards.plain import plain


def test_it_says_everything_in_plain_texts() -> None:
    card = plain(message(url="https://lms.example/safe", title="A <b> & *c*"))
    assert {name: card[name] for name in ("language", "headline", "lines", "item_id", "url")} == {
        "language": "en",
        "headline": "To do: A <b> & *c*",
        "lines": ["Due Sunday 1 March 2026, 09:30.", "About 15 min."],
        "item_id": "safe",
        "url": "https://lms.example/safe",
    }
    assert [(one["action"], one["url"]) for one in card["actions"]] == [(one.value, url) for one, url in signed().items()]
    assert card["actions"][0]["label"] == "Open"
