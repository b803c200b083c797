"""The preview page: what it shows, that it is well-formed and escaped, and that a browser lays it out."""

import re
import subprocess
from datetime import timedelta
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from acme import ITEMS, NOW, TENANT, event, publish
from starlette.testclient import TestClient

from features.catalogue import Item, Learner
from features.events import Verb
from features.store import EventStore
from serving import service
from serving.questions.style import STYLE
from serving.settings import Settings

EMPTY = frozenset({"meta", "input", "br"})


class Page(HTMLParser):
    """Its elements, and the texts by tag. AssertionError where an element is not closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open += [] if tag in EMPTY else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag: str) -> list[str]:
        return [text for one, text in self.texts if one == tag]

    def attributes(self, name: str) -> list[str]:
        return [value for _, known in self.elements if (value := known.get(name)) is not None]


def page(client: TestClient, learner: str = "ana", why: str | None = None) -> Page:
    answer = client.get(f"/preview/{quote(learner, safe='')}", params={} if why is None else {"why": why})
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def test_it_shows_rows_reasons_gaps_and_skills(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([event("ana", Verb.COMPLETED, "data")])
    shown = page(client)
    assert shown.of("h1") == ["ana"]
    titles = [
        "Recommended for you",
        "Why, or why not?",
        "Close, but not shown",
        "Gaps to the role",
        "Skills",
        "Progress",
        "Nudge",
    ]
    assert [text for text in shown.of("h2") if text != "For your role's gaps"] == titles
    assert {"Calm calls", "Fire safety", "Listening", "Analysis"} <= set(shown.of("h3"))
    assert "Your role expects Listening at level 3; your record shows 0" in shown.of("p")
    assert "level 0.0 of 3.0 expected" in shown.of("p")


def test_why_and_why_not_are_asked_on_the_page(client: TestClient) -> None:
    shown, hidden, unknown = (page(client, why=name) for name in ("calm", "lead", "nope"))
    assert any(text.startswith("It is shown in “Popular") for text in shown.of("p"))
    assert "It is for leaders only; you are part of customer-care." in hidden.of("p")
    assert "other_audience" in hidden.of("code")
    assert "No item of this id is known." in unknown.of("p")
    assert not [known for _, known in page(client, why=" ").elements if known.get("class") == "answer"]


def test_what_scored_less_has_a_table_beside_the_last_one_shown(client: TestClient, settings: Settings) -> None:
    more = tuple(Item(id=f"more-{n}", title=f"More {n}", duration_s=60) for n in range(9))
    publish(settings.bundles, items=(*ITEMS, *more))
    service.pages.runtime.bundles.refresh()
    shown = page(client, why="more-8")
    assert shown.of("th")[:6] == ["Part", "This", "Last shown", "Difference", "popularity", "Score"]
    assert len([text for text in shown.of("td") if text[:1] in "+-" and len(text) > 1]) == 6


@pytest.mark.parametrize("query", ["why=%00", "why=" + "x" * 300, "why=a&why=b", "who=calm"])
def test_a_wrong_question_is_a_problem(client: TestClient, query: str) -> None:
    answer = client.get(f"/preview/ana?{query}")
    assert (answer.status_code, answer.json()["field"]) == (400, query.partition("=")[0])


def test_who_was_never_heard_of_has_no_page(client: TestClient) -> None:
    assert client.get("/preview/zoe").status_code == 404


def test_a_browser_asks_for_the_key(client: TestClient) -> None:
    for headers in ({"Authorization": ""}, {"Authorization": "Basic d3Jvbmc="}):
        answer = client.get("/preview/ana", headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="nextwise", charset="UTF-8"')
    assert client.get("/preview/ana", auth=("anybody", "test-key")).status_code == 200


def test_nothing_that_a_catalogue_or_a_host_says_is_markup(client: TestClient, store: EventStore, settings: Settings) -> None:
    evil = "<script>alert('1')</script>\"><b x='&amp;"
    publish(settings.bundles, items=tuple(item.model_copy(update={"title": f"{evil}{item.id}"}) for item in ITEMS))
    service.pages.runtime.bundles.refresh()
    who = Learner(id=evil, audiences=(evil,), role_id="agent", org_unit=evil)
    store.tenant(TENANT).put([who], at=NOW - timedelta(days=9))
    store.tenant(TENANT).append([event(evil, Verb.COMPLETED, "safe")])
    for why in ("calm", "safe", "lead", evil):
        answer = client.get(f"/preview/{quote(evil, safe='')}", params={"why": why})
        assert answer.status_code == 200
        shown = Page(answer.text)
        assert "script" not in {tag for tag, _ in shown.elements}
        assert not any("x" in known for _, known in shown.elements)
        assert shown.of("h1") == [evil]
        assert evil in "".join(shown.of("h3"))
        assert escape(evil) in answer.text


def test_it_needs_no_script_and_no_network_and_is_kept_nowhere(client: TestClient) -> None:
    answer = client.get("/preview/ana?why=calm")
    assert not re.search(r"<script|<link|src=|https?://|@import|url\(", answer.text)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_with_personalisation_off_the_page_says_so_and_tells_no_history(client: TestClient, store: EventStore) -> None:
    store.tenant(TENANT).append([event("off", Verb.COMPLETED, "calm")])
    text = client.get("/preview/off?why=calm").text
    assert "Personalisation is off" in text
    assert "30 May" not in text
    assert "<h2>Skills" not in text


def test_it_is_usable_without_eyes_and_without_a_mouse(client: TestClient) -> None:
    shown = page(client, why="calm")
    ids = shown.attributes("id")
    assert len(ids) == len(set(ids))
    assert shown.attributes("for") == [known["id"] for tag, known in shown.elements if tag == "input"]
    assert {href.partition("#")[2] for href in shown.attributes("href")} <= set(ids)
    assert next(tag for tag, _ in shown.elements if tag in ("h1", "h2", "h3")) == "h1"
    assert shown.attributes("lang")[0] == "en"
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in shown.elements
    assert not shown.attributes("tabindex")
    assert "focus-visible" in STYLE
    assert not re.search(r"outline:\s*(0|none)", STYLE)


def test_its_colours_can_be_told_apart() -> None:
    """WCAG 2.2 AA: 4.5 to 1 for text, 3 to 1 for what a control or a graphic is made of."""
    colour = dict(re.findall(r"--(\w+):(#\w{6})", STYLE))
    for text in ("ink", "soft", "link"):
        assert min(_contrast(colour[text], under) for under in (colour["back"], "#ffffff")) >= 4.5
    assert min(_contrast(colour[part], "#e3e7ec") for part in ("bar", "mark")) >= 3
    assert _contrast("#6b7480", "#ffffff") >= 3  # the field


def _contrast(one: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_chromium_lays_it_out_without_scrolling_sideways(
    client: TestClient, chromium: Path, tmp_path: Path, width: int
) -> None:
    """The page in a frame of that width, which says by how much it is wider."""
    text = client.get("/preview/ana?why=lead").text
    measure = "const of = this.contentDocument.documentElement; document.title = of.scrollWidth - of.clientWidth"
    frame = f'<iframe width="{width}" height="800" style="border:0" srcdoc="{escape(text)}" onload="{measure}"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!doctype html><title></title><body style='margin:0'>{frame}", "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    flags += ["--virtual-time-budget=5000", f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},800"]
    command = [str(chromium), *flags, "--dump-dom", (tmp_path / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "<title>0</title>" in done.stdout


def test_what_a_nudge_would_say_and_why_not_is_shown_and_nothing_is_said(client: TestClient, store: EventStore) -> None:
    session = store.tenant(TENANT)
    session.append([event("ana", Verb.COMPLETED, "calm")])
    shown = page(client)
    assert "No limit holds: one may be said now." in shown.of("p")
    cells = shown.of("td")
    assert "You finished Calm calls on 2026-05-30: use it this week, while it is fresh" in cells
    assert {"There is no reason to say it now", "Silence is always possible", "85 %", "5 %", "-"} <= set(cells)
    assert session.nudges("ana", since=NOW - timedelta(days=30)) == []
    session.put([Learner(id="ana", status="leave", role_id="agent")], at=NOW - timedelta(hours=1))
    away = page(client)
    assert any(text.startswith("The learner is on leave (") for text in away.of("p"))
    assert "on_leave" in away.of("code")


def test_progress_is_shown_with_the_events_behind_it(client: TestClient, store: EventStore) -> None:
    said = {"kind": "attested", "by": "ben"}
    store.tenant(TENANT).append([event("ana", Verb.ATTESTED, "skill:listening", context=said, event_id="<seen>")])
    shown = page(client)
    assert {"Progress", "Nudge"} <= set(shown.of("h2"))
    assert "10 points for skills applied." in shown.of("p")
    assert "<seen>" in shown.of("code")
    assert "Progress" not in page(client, "off").of("h2")
