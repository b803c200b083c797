"""The page behind a link of a card: one question with one button, or what became of it. No script, nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

from serving.cards.text import clean, shorten
from serving.cards.words import Words

MAX_TITLE: Final = 200
_STYLE: Final = (
    "body{margin:0;background:#f3f5f8;color:#1c1c1c;font:18px/1.5 system-ui,'Segoe UI',Arial,sans-serif}"
    "main{box-sizing:border-box;max-width:28rem;margin:12vh auto 2rem;padding:1.5rem}"
    "main{background:#fff;border-radius:.6rem;overflow-wrap:anywhere}"
    "h1{font-size:1rem;font-weight:600;color:#4a5563;margin:0 0 .8rem}p{margin:0 0 1.2rem}main>:last-child{margin-bottom:0}"
    ".about{font-weight:600;margin-bottom:.4rem}"
    "button{width:100%;padding:.8rem;border:0;border-radius:.4rem;background:#1a4f8b;color:#fff;font:inherit;cursor:pointer}"
    "button:focus-visible{outline:3px solid #8ab4f0}@media(max-width:32rem){main{margin:0;min-height:100vh;border-radius:0}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
"""The address of the page is a credential: no cache keeps it, no other site is told it, no frame shows it."""


def page(
    words: Words,
    text: str,
    *,
    about: str | None = None,
    button: str | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """`about`: what it is about, such as a title. `button`: sends the form to the page's own address."""
    title = escape(words.say("page", "title"))
    named = "" if about is None else f'<p class="about">{escape(shorten(clean(about), MAX_TITLE))}</p>'
    form = "" if button is None else f'<form method="post"><button>{escape(button)}</button></form>'
    body = (
        f'<!doctype html><html lang="{words.language}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{named}<p>{escape(text)}</p>{form}</main></body></html>\n"
    )
    return HTMLResponse(body, status, {**HEADERS, **(headers or {})})
