"""E-mail: readable as text and as HTML, one click away from none, and no title becomes a header or markup."""

from email import message_from_string
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser
from typing import cast

import pytest
from messages import HOSTILE, largest, message, signed

from serving.cards.links import Action
from serving.cards.mail import mail, one_click
from serving.cards.message import Message, told
from serving.cards.words import LANGUAGES


def parsed(one: Message) -> EmailMessage:
    return cast(EmailMessage, message_from_string(mail(one)["mime"], policy=SMTP))


class Seen(HTMLParser):
    """What a browser makes of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_it_is_text_and_html_that_say_the_same() -> None:
    card = mail(message(languages=("fr",)))
    read = parsed(message(languages=("fr",)))
    text, html = (read.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert (read.get_content_type(), read["Subject"]) == ("multipart/alternative", "À faire : Fire safety")
    assert text.get_content().replace("\r\n", "\n") == card["text"]
    assert html.get_content().replace("\r\n", "\n") == card["html"]
    seen = Seen(card["html"])
    for said in ("À faire : Fire safety", "Environ 15 min."):
        assert said in card["text"]
        assert said in seen.words
    assert set(seen.links) == set(signed().values())
    assert all(url in card["text"] for url in signed().values())


def test_one_click_unsubscribes_as_rfc_8058_says() -> None:
    read, stop = parsed(message()), signed()[Action.STOP]
    assert read["List-Unsubscribe"] == f"<{stop}>"
    assert read["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f"\r\nList-Unsubscribe: <{stop}>\r\n" in mail(message())["mime"]


def test_an_address_that_is_not_https_is_no_one_click() -> None:
    assert one_click(signed(url="http://localhost:3000")) == {}
    assert one_click({}) == {}
    assert parsed(message(links={}))["List-Unsubscribe"] is None


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_worst_titles_are_neither_headers_nor_markup(text: str, language: str) -> None:
    one = largest(text, language)
    card, read = mail(one), parsed(one)
    assert set(read.keys()) == {"Subject", "List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version", "Content-Type"}
    assert len(card["subject"]) <= 150
    assert read["Subject"] == card["subject"]
    assert read["List-Unsubscribe"] == f"<{one.links[Action.STOP]}>"
    assert all(len(line) <= 998 for line in card["mime"].split("\r\n"))
    seen = Seen(card["html"])
    assert seen.tags == {"html", "head", "meta", "title", "body", "div", "h1", "p", "a"}
    assert told(one).headline in seen.words
    assert card["mime"].isascii()
