"""Messages to make cards of: an ordinary one, and one with everything as long and as hostile as it can be."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from features.nudges import Arm
from serving.cards.links import Action, links
from serving.cards.message import Message, Reason
from serving.claims import Signer

DUE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
SECRET = "s" * 32
SIGNER = Signer([SECRET])
PUBLIC = "https://learn.example"
HOSTILE = (
    "<script>alert(1)</script>&<!channel> <@U1> *bold* _it_ `code` [x](https://a.example) :tada: {{DATE(1)}} ${x} {title}\r\n"
    'Bcc: all@a.example\x00\u202egnp" onload="x',
    "]]>'\"<img src=x onerror=alert(1)>" * 20,
    "& < > " * 100,
    "\U0001f600" * 500,
    "ä" * 500,
    "x" * 500,
)


def signed(tenant: str = "acme", decision: str = "8f87ccde-bb56-4c2e-ab83-44982ef22df0", url: str = PUBLIC) -> Any:
    return links(SIGNER, url, tenant, decision, list(Action), at=DUE)


def message(**more: Any) -> Message:
    given: dict[str, Any] = {
        "arm": Arm.DEADLINE,
        "decision_id": "d1",
        "title": "Fire safety",
        "item_id": "safe",
        "minutes": 15.0,
        "due": DUE,
        "reasons": (Reason("due", {"date": DUE}),),
        "links": signed(),
    }
    return Message(**given | more)


def largest(text: str, language: str = "fr") -> Message:
    """Everything at its longest: ids of 256 signs, titles of 500, a long address."""
    reasons = (Reason("finished", {"title": text}), *(Reason("role", {"skill": text}),) * 3)
    ends = signed("a" * 63, "\U0001f600" * 256, "https://" + "learn." * 30 + "example")
    return message(
        arm=Arm.REFRESH, title=text, skill=text, item_id="i" * 256, languages=(language,), reasons=reasons, links=ends
    )


def texts(value: Any) -> Iterator[str]:
    """Every text in a card."""
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(part)
