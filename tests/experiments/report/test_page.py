"""The page of a reading: whole, by itself, safe, and silent where a result is withheld."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

from experiments.analysis import Reading, analyse
from experiments.design import design_of
from experiments.outcomes.tables import empty, joined
from experiments.report.page import page
from experiments.report.style import STYLE

VOID = {"meta", "circle", "line", "path", "polygon"}


class Whole(HTMLParser):
    """Every element that opens closes again, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def reading(name: str = "Monday nudge", *, uneven: bool = False, **more: object) -> Reading:
    """Four hundred units over ten days that gain 2 on the primary, a guardrail that stays, two teams."""
    given = {
        "name": name,
        "unit": "learner",
        "allocation": {"control": 0.5, "treatment": 0.5},
        "primary": {"metric": "done", "relative": False, "minimum_effect": 0.5},
        "guardrails": [{"metric": "load", "direction": "down", "margin": 1.0}],
        "goals": [{"metric": "returns"}],
        "segments": ["team"],
        "hypothesis": "It reminds people in time.",
        **more,
    }
    design = design_of(given, "test")
    rng, tables = np.random.default_rng(2), empty()
    tables.execute(
        "create table assigned (unit text, arm text, cluster text, assigned_at timestamp, exposed_at timestamp, segment_0 text)"
    )
    tables.execute("create table outcomes (unit text, metric text, value double, happened_at timestamp)")
    for n in range(400):
        arm = "control" if n % (4 if uneven else 2) else "treatment"
        start = f"2026-03-{1 + n % 10:02d}"
        tables.execute("insert into assigned values (?, ?, ?, ?, null, ?)", [f"u{n}", arm, f"u{n}", start, f"team {n % 3}"])
        for metric, effect in (("done", 2.0), ("load", 0.0), ("returns", 0.2)):
            value = rng.normal(5, 1) + (effect if arm == "treatment" else 0)
            tables.execute(
                "insert into outcomes values (?, ?, ?, ?)", [f"u{n}", metric, value, f"2026-03-{2 + n % 10:02d} 12:00"]
            )
    return analyse(joined(tables, design, clustered=False), design, now=datetime(2026, 4, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def shipped() -> str:
    return page(reading())


def test_it_says_all_that_a_reader_needs(shipped: str) -> None:
    found = Whole(shipped)
    assert found.open == []
    heads = re.findall("<h2>(.*?)</h2>", shipped)
    assert heads == [
        "What was expected",
        "Health",
        "done, which decides",
        "Guardrails, which must not get worse",
        "Other goals",
        "How it went",
        "Parts of the audience",
        "Read in other ways",
        "How the numbers came about",
    ]
    assert "<b>Ship treatment</b>" in shipped
    assert "It reminds people in time." in shipped
    assert found.seen.count("svg") == 1 + 1 + 1 + 3  # primary, guardrail, trajectory, three teams


def test_it_needs_no_network_and_no_script(shipped: str) -> None:
    assert "script" not in Whole(shipped).seen
    assert not re.search(r"(src|href)=|url\(|https?:", shipped)
    assert len(shipped) < 3_000_000


def test_no_number_is_missing_or_broken(shipped: str) -> None:
    assert not re.search(r"\bnan\b|\binf\b|None", shipped)


def test_each_chart_is_told_to_who_does_not_see_it(shipped: str) -> None:
    labels = re.findall(r'role=img aria-label="([^"]+)"', shipped)
    assert len(labels) == 6
    assert all(re.search(r"\d", label) for label in labels)


def test_a_table_that_is_wider_than_a_phone_can_be_moved_by_keyboard(shipped: str) -> None:
    assert shipped.count("<table") == shipped.count("tabindex=0 role=region aria-label=")


@pytest.mark.parametrize(("peeking", "relative", "told"), [("fixed", False, 0), ("fixed", True, 1), ("always-valid", False, 1)])
def test_it_says_where_a_share_is_not_by_the_delta_method(peeking: str, relative: bool, told: int) -> None:
    """Fieller's theorem stood in no page that used it."""
    primary = {"metric": "done", "relative": relative}
    assert page(reading(peeking=peeking, primary=primary)).count("Fieller") == told


def test_a_broken_experiment_shows_no_result() -> None:
    found = reading(uneven=True)
    told = page(found)
    assert "<b>Broken</b>" in told
    assert "✗" in told
    assert "which decides" not in told
    assert "<svg" not in told


def test_before_its_horizon_a_fixed_look_shows_no_result() -> None:
    told = page(reading(horizon_days=40))
    assert "<b>Keep running until 2026-04-10</b>" in told
    assert "which decides" not in told
    assert "<svg" not in told


def test_what_others_wrote_is_text() -> None:
    told = page(reading("<script>alert(1)</script>", hypothesis='"><img src=x>'))
    assert "<script" not in told
    assert "<img" not in told


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("name", ["ink", "soft", "link", "good", "bad", "wait", "mark"])
@pytest.mark.parametrize("back", ["#ffffff", "#f5f6f8"])
def test_words_can_be_told_from_what_is_behind_them(name: str, back: str) -> None:
    colour = re.search(rf"--{name}:(#[0-9a-f]{{6}})", STYLE)
    assert colour is not None
    assert (luminance(back) + 0.05) / (luminance(colour[1]) + 0.05) >= 4.5
