"""A card for phones: a notification with a title, a body, and data for the app that shows it."""

import json
from typing import Any, Final

from serving.cards.message import Message, told
from serving.cards.text import shorten

MAX_TITLE: Final = 65
MAX_BODY: Final = 178
"""What phones show of a title and a body before they cut it."""
MAX_BYTES: Final = 4_000
"""APNs and FCM take 4,096; the rest is left for what the host puts around it."""


def push(message: Message) -> dict[str, Any]:
    """Title, body, and data whose values are all texts, as FCM wants them; the last links are left out where it is too much."""
    said = told(message)
    data = {"decision_id": message.decision_id, "arm": message.arm.value}
    data |= {button.action.value: button.url for button in said.buttons}
    made = {"title": shorten(said.headline, MAX_TITLE), "body": shorten(" ".join(said.lines), MAX_BODY), "data": data}
    while size(made) > MAX_BYTES and len(data) > 2:
        data.popitem()
    return made


def size(card: dict[str, Any]) -> int:
    """Bytes of a notification as JSON in UTF-8."""
    return len(json.dumps(card, ensure_ascii=False, separators=(",", ":")).encode())
