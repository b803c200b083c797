"""A card for Slack: Block Kit, with links, which need no app that listens."""

from typing import Any, Final

from serving.cards.message import Button, Message, told
from serving.cards.text import length, shorten

MAX_HEADER: Final = 150
MAX_TEXT: Final = 3_000
MAX_LABEL: Final = 75
_CONTROL: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def slack(message: Message) -> dict[str, Any]:
    """A message for `chat.postMessage` or an incoming webhook. Nothing in it is markup: titles can neither format nor mention.

    Limits: 150 characters of a header, 3,000 of a text, 75 of a button.
    """
    said = told(message)
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(said.headline, MAX_HEADER)}]
    if said.lines:
        blocks.append({"type": "section", "text": _plain("\n".join(said.lines), MAX_TEXT)})
    buttons = [_button(one, main=one == said.main) for one in said.buttons]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return {"text": escaped(said.headline, MAX_TEXT), "mrkdwn": False, "blocks": blocks}


def escaped(text: str, limit: int) -> str:
    """A text in which Slack finds no link and no mention; as much of it as fits, no escape cut apart."""
    told = "".join(_CONTROL.get(sign, sign) for sign in text)
    return told if length(told) <= limit else escaped(shorten(text, length(text) - 1), limit)


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escaped(text, limit), "emoji": False}


def _button(one: Button, *, main: bool) -> dict[str, Any]:
    button = {"type": "button", "text": _plain(one.label, MAX_LABEL), "url": one.url, "action_id": f"nextwise_{one.action}"}
    return {**button, "style": "primary"} if main else button
