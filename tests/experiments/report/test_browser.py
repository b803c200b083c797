"""The page as a real browser shows it: from disk, alone, at any width, by keyboard, to all eyes, on paper."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
KINDS = ("ship", "do not ship", "keep running", "not yet", "broken", "fixed", "clustered", "many")
A4 = {"width": 718, "height": 1047}
"""Pixels of an A4 page within margins of a centimetre."""


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    """Closed with this module: while it is open, no other test of the process could run an event loop."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


class Opened:
    """A page opened from disk without a network, and what went wrong or left the disk meanwhile."""

    def __init__(self, browser: Browser, path: Path, width: int) -> None:
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": width, "height": 800}, offline=True)
        self.page.on("console", lambda said: self.wrong.append(said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("requestfailed", lambda request: self.wrong.append(request.url))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture(scope="module")
def files(pages: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {kind: folder / f"{kind.replace(' ', '-')}.html" for kind in pages}
    for kind, path in found.items():
        path.write_text(pages[kind], "utf-8")
    return found


@pytest.fixture
def show(browser: Browser, files: dict[str, Path]) -> Iterator[Any]:
    opened: list[Opened] = []

    def one(kind: str, width: int = 1280) -> Opened:
        opened.append(Opened(browser, files[kind], width))
        return opened[-1]

    yield one
    for each in opened:
        each.page.close()


def test_the_examples_are_of_all_verdicts(pages: dict[str, str]) -> None:
    heads = {kind: re.search('<div class="verdict.*?<b>(.*?)</b>', text) for kind, text in pages.items()}
    found = {kind: head[1] for kind, head in heads.items() if head is not None}
    assert found == {
        "ship": "Ship treatment",
        "do not ship": "Do not ship",
        "keep running": "Keep running until 2026-04-13",
        "not yet": "Keep running until 2026-04-13",
        "broken": "Broken",
        "fixed": "Ship treatment",
        "clustered": "Ship treatment",
        "many": "Ship variant_with_a_name_that_says_all_there_is_to_say_about_it_4",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_it_opens_from_disk_without_a_network_and_without_a_complaint(show: Any, kind: str) -> None:
    opened = show(kind)
    assert opened.wrong == []
    assert opened.asked == [opened.page.url]
    assert opened.page.evaluate("document.querySelector('.verdict').getBoundingClientRect().top") < 400


DRAWN = """[...document.querySelectorAll('svg')].map(svg => {
  const box = svg.getBoundingClientRect()
  const marks = [...svg.querySelectorAll('.dot, .reach, .alone, .way, .point, .thin')].map(one => one.getBoundingClientRect())
  const inside = one => one.left >= box.left - 1 && one.right <= box.right + 1 &&
    one.top >= box.top - 1 && one.bottom <= box.bottom + 1
  return {width: box.width, height: box.height, marks: marks.length, outside: marks.filter(one => !inside(one)).length,
    flat: [...svg.querySelectorAll('.reach, .way, .thin')].filter(one => one.getTotalLength() === 0).length,
    cut: svg.querySelectorAll('.way').length}
})"""


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("kind", ["ship", "do not ship", "keep running", "fixed", "clustered", "many"])
def test_its_charts_are_drawn_and_nothing_of_them_falls_outside(show: Any, kind: str, width: int) -> None:
    """Only a trajectory's first days may reach beyond its picture, which cuts them."""
    charts = show(kind, width).page.evaluate(DRAWN)
    assert charts
    for chart in charts:
        assert chart["width"] > 150
        assert chart["height"] > 20
        assert chart["marks"] > 0
        assert chart["flat"] == 0
        assert chart["outside"] == 0 or chart["cut"] == 1


@pytest.mark.parametrize("width", [320, 360, 1280])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_scrolls_sideways(show: Any, kind: str, width: int) -> None:
    assert show(kind, width).page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_against_wcag_aa(show: Any, kind: str, width: int) -> None:
    """Contrasts, names, roles and landmarks, as axe-core checks them."""
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    found = Axe().run(show(kind, width).page, options=rules).response
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
    assert "color-contrast" in {one["id"] for one in found["passes"]}


FOCUSED = """[document.activeElement.getAttribute('aria-label'),
  getComputedStyle(document.activeElement).outlineStyle, parseFloat(getComputedStyle(document.activeElement).outlineWidth)]"""
MOVABLE = """[...document.querySelectorAll('*')].filter(one =>
  one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === 'auto' && one.tabIndex !== 0).length"""


@pytest.mark.parametrize("kind", ["ship", "many"])
def test_the_keyboard_reaches_all_that_can_be_moved_and_it_can_be_seen_where_one_is(show: Any, kind: str) -> None:
    page = show(kind, 320).page
    stops = page.locator("[tabindex='0'], summary, a").count()
    reached = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        name, style, thick = page.evaluate(FOCUSED)
        assert style == "solid"
        assert thick >= 2
        reached.append(name)
    assert stops == len(set(reached)) >= 2
    assert page.evaluate(MOVABLE) == 0


def test_a_wide_table_moves_by_the_arrow_keys(show: Any) -> None:
    page = show("many", 320).page
    page.keyboard.press("Tab")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")


@pytest.mark.parametrize("kind", ["ship", "many"])
def test_on_paper_nothing_is_cut_off(show: Any, kind: str, tmp_path: Path) -> None:
    """No part is wider than the paper, and no chart stands on two sheets."""
    page = show(kind).page
    page.emulate_media(media="print")
    page.set_viewport_size(A4)
    assert page.evaluate("document.documentElement.scrollWidth") <= A4["width"]
    parts = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
    assert page.evaluate(parts) == 0
    broken = "[...document.querySelectorAll('.row, .plot')].filter(one => getComputedStyle(one).breakInside !== 'avoid').length"
    assert page.evaluate(broken) == 0
    tall = "Math.max(...[...document.querySelectorAll('.row, .plot')].map(one => one.offsetHeight))"
    assert page.evaluate(tall) < A4["height"]
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


def test_it_is_small(files: dict[str, Path]) -> None:
    assert max(path.stat().st_size for path in files.values()) < 3_000_000
