"""A card as plain JSON, for a host that draws it itself."""

from typing import Any

from serving.cards.message import Message, told


def plain(message: Message) -> dict[str, Any]:
    """Texts are plain: whoever puts them into HTML or markup escapes them."""
    said = told(message)
    return {
        "language": said.language,
        "headline": said.headline,
        "lines": list(said.lines),
        "item_id": message.item_id,
        "url": message.url,
        "actions": [{"action": one.action.value, "label": one.label, "url": one.url} for one in said.buttons],
    }
