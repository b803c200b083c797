"""A card for Teams: an Adaptive Card as a webhook takes it, whose only action can be to open an address."""

import json
from typing import Any, Final

from serving.cards.message import Message, told

MAX_BYTES: Final = 28_000
_SCHEMA: Final = "http://adaptivecards.io/schemas/adaptive-card.json"


def teams(message: Message) -> dict[str, Any]:
    """A message for a Teams webhook. Texts are runs of plain text: a `TextBlock` would read a title as Markdown.

    At most 28 KB: lines are left out from the end where they are too much, and last the links.
    """
    said = told(message)
    lines, actions = [*said.lines], [{"type": "Action.OpenUrl", "title": label, "url": url} for _, label, url in said.buttons]
    while size(made := _message(said.language, said.headline, lines, actions)) > MAX_BYTES and (lines or actions):
        (lines or actions).pop()
    return made


def size(card: dict[str, Any]) -> int:
    """Bytes of a card as JSON, by whatever encoder: it may write each sign beyond ASCII as an escape."""
    return len(json.dumps(card))


def _message(language: str, headline: str, lines: list[str], actions: list[dict[str, str]]) -> dict[str, Any]:
    head = {"type": "TextRun", "text": _inert(headline), "weight": "Bolder", "size": "Large"}
    content = {
        "$schema": _SCHEMA,
        "type": "AdaptiveCard",
        "version": "1.4",
        "lang": language,
        "fallbackText": _inert(headline),
        "body": [{"type": "RichTextBlock", "inlines": [run]} for run in (head, *map(_run, lines))],
        "actions": actions,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [attachment]}


def _run(line: str) -> dict[str, str]:
    return {"type": "TextRun", "text": _inert(line)}


def _inert(text: str) -> str:
    """Without what a card would compute: `{{DATE(...)}}` and `${...}`."""
    return text.replace("{{", "{ {").replace("${", "$ {")
