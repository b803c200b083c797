"""A card as an e-mail: text and HTML, with the headers by which mail programs offer to unsubscribe in one click (RFC 8058)."""

from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Any, Final

from serving.cards.links import Action
from serving.cards.message import Button, Message, Told, told
from serving.cards.text import shorten

MAX_SUBJECT: Final = 150
_LONG: Final = SMTP.clone(max_line_length=998, cte_type="7bit")
"""Header lines as long as RFC 5322 lets them be: an address that is folded is none."""
_FRAME: Final = "max-width:34rem;margin:0 auto;padding:1.5rem;font:16px/1.5 system-ui,'Segoe UI',Arial,sans-serif;color:#1c1c1c"
_BUTTON: Final = (
    "display:inline-block;padding:.6rem 1.2rem;border-radius:.4rem;background:#1a4f8b;color:#ffffff;text-decoration:none"
)

_REST: Final = "color:#1a4f8b;white-space:nowrap"
"""No link breaks in two, and a thumb hits one of them: lines lie apart."""


def mail(message: Message) -> dict[str, Any]:
    """Subject, headers, text and HTML, and all of it as one MIME message; the host adds From, To, Date and its DKIM signature,
    which must cover the two List headers.
    """
    said = told(message)
    subject = shorten(said.headline, MAX_SUBJECT)
    headers, text, html = one_click(message.links), _text(said), _html(said)
    made = EmailMessage(policy=SMTP)
    made["Subject"] = subject
    for name, value in headers.items():
        made[name] = value
    made.set_content(text, cte="quoted-printable")
    made.add_alternative(html, subtype="html", cte="quoted-printable")
    return {
        "subject": subject,
        "headers": headers,
        "text": text,
        "html": html,
        "mime": made.as_bytes(policy=_LONG).decode("ascii"),
    }


def one_click(links: Mapping[Action, str]) -> dict[str, str]:
    """The headers by which a mail program unsubscribes; none without a link, or one that is not https, as the RFC asks."""
    stop = links.get(Action.STOP, "")
    if not stop.startswith("https://"):
        return {}
    return {"List-Unsubscribe": f"<{stop}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def _text(said: Told) -> str:
    links = "\n".join(f"{button.label}: {button.url}" for button in said.buttons)
    return "\n\n".join(part for part in (said.headline, "\n".join(said.lines), links) if part) + "\n"


def _html(said: Told) -> str:
    lines = "".join(f"<p>{escape(line)}</p>" for line in said.lines)
    main = "" if said.main is None else f'<p style="margin:1.5rem 0">{_link(said.main, _BUTTON)}</p>'
    rest = " · ".join(_link(button, _REST) for button in said.buttons if button != said.main)
    headline = escape(said.headline)
    return (
        f'<!doctype html><html lang="{said.language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{headline}</title></head>'
        f'<body style="margin:0;background:#ffffff"><div style="{_FRAME}"><h1 style="font-size:1.3rem">{headline}</h1>'
        f'{lines}{main}<p style="font-size:.9rem;line-height:2.2">{rest}</p></div></body></html>\n'
    )


def _link(button: Button, style: str) -> str:
    return f'<a href="{escape(button.url)}" style="{style}">{escape(button.label)}</a>'
