"""`docs/watch.md` and its files: what the dashboard and the rules ask for is exported, and every alert has its runbook."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from features.decisions import Decision
from features.nudges import Limit
from serving.bundles import Bundles
from serving.metrics import Metrics

DOCS = Path(__file__).parents[1] / "docs"
FUNCTIONS = {"sum", "rate", "increase", "max", "min", "histogram_quantile", "absent", "min_over_time", "vector"}
OVER_TIME = re.compile(r"\b(?:rate|increase|min_over_time)\(")
RANGE = re.compile(r"\[(?:\d+[mh]|\$__rate_interval)\]")
GROUPING = re.compile(r"\bby \(([a-z_, ]+)\)")
NAME = re.compile(r"(?<![\w.])([a-zA-Z_:][\w:]*)(\{[^}]*\})?(?:\s*(\())?")
MATCHERS = re.compile(r'\{(?:[a-z_]+(?:=|!=|=~|!~)"[^"]*"(?:,(?!\})|(?=\})))+\}')
LABEL = re.compile(r'([a-z_]+)(?:=|!=|=~|!~)"')
OF_BUNDLES = {"tenant", "bundle"}


def dashboard() -> list[tuple[str, str]]:
    """(panel, expression) of each query."""
    panels = json.loads((DOCS / "watch" / "dashboard.json").read_text("utf-8"))["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", ())]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DOCS / "watch" / "rules.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


RECORDED = {rule["record"] for rule in rules() if "record" in rule}
QUERIES = dashboard() + [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """Name of each sample that the service exports -> its labels. The families are there before the first request."""
    folder = tmp_path_factory.mktemp("bundles")
    metrics = Metrics(Bundles(folder), folder)
    names: dict[str, set[str]] = {}
    labels = {one._name: set(one._labelnames) for one in vars(metrics).values() if hasattr(one, "_labelnames")}
    for family in text_string_to_metric_families(metrics.render().decode()):
        own = labels.get(family.name, OF_BUNDLES)
        ends = {"counter": {"_total": own}, "histogram": {"_bucket": own | {"le"}, "_sum": own, "_count": own}}
        if not family.name.endswith("_created"):
            names |= {family.name + end: asked for end, asked in ends.get(family.type, {"": own}).items()}
    return names


def selected(expression: str) -> Iterator[tuple[str, str]]:
    """(metric, its matchers in braces) of each selector."""
    for name, matchers, call in NAME.findall(GROUPING.sub("", RANGE.sub("", expression))):
        if not call and name not in ("and", "or"):
            yield name, matchers


def faults(expression: str, exported: Mapping[str, set[str]]) -> list[str]:
    """What is wrong with a query, as far as can be seen without Prometheus."""
    plain, found = GROUPING.sub("", RANGE.sub("", expression)), []
    rest = NAME.sub(lambda one: one[3] or "", plain)
    if not re.fullmatch(r"[\d\s().,+*/<>-]*", rest) or rest.count("(") != rest.count(")"):
        found.append(f"it cannot be read: {rest}")
    if len(OVER_TIME.findall(expression)) != len(RANGE.findall(expression)):
        found.append("a rate needs a range, and nothing else takes one")
    found += [
        f"{name} is no function" for name, _, call in NAME.findall(plain) if call and name not in {*FUNCTIONS, "and", "or"}
    ]
    grouped = {label.strip() for one in GROUPING.findall(expression) for label in one.split(",")}
    for name, matchers in selected(expression):
        if name in RECORDED:
            continue
        if matchers and not MATCHERS.fullmatch(matchers):
            found.append(f"{name}{matchers} cannot be read")
        asked = {*LABEL.findall(matchers), *grouped}
        found += [f"{name} has no label {label}" for label in sorted(asked - exported.get(name, asked))]
        found += [] if name in exported else [f"{name} is not exported"]
    return found


@pytest.mark.parametrize(("where", "expression"), QUERIES, ids=[f"{n}-{where}" for n, (where, _) in enumerate(QUERIES)])
def test_what_is_asked_for_is_exported(where: str, expression: str, exported: Mapping[str, set[str]]) -> None:
    assert faults(expression, exported) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "sum(rate(nextwise_nothing_total[5m]))",
        "sum(rate(nextwise_requests_total[5m])",
        'sum(nextwise_waiting{route="/v1/rank"})',
        "sum by (arm) (nextwise_waiting)",
        "mean(nextwise_workers)",
        'rate(nextwise_requests_total{status=~"5.."[5m])',
        "nextwise:nothing_missed:ratio_1h > 1",
        "rate(nextwise_request_seconds[5m])",
    ],
)
def test_a_wrong_query_is_found(wrong: str, exported: Mapping[str, set[str]]) -> None:
    assert faults(wrong, exported)


def test_every_metric_is_shown_or_watched_and_explained(exported: Mapping[str, set[str]]) -> None:
    asked = {name for _, expression in QUERIES for name, _ in selected(expression)}
    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in exported}
    assert families == {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked if name in exported}
    explained = set(re.findall(r"^\| `(nextwise_\w+?)(?:_total)?`", (DOCS / "watch.md").read_text("utf-8"), re.MULTILINE))
    assert families == explained


def test_what_is_recorded_is_used() -> None:
    used = {name for where, expression in QUERIES if where not in RECORDED for name in RECORDED if name in expression}
    assert used == RECORDED


def test_values_that_queries_name_are_values_that_are_counted() -> None:
    asked = " ".join(expression for _, expression in QUERIES)
    assert {Limit.HISTORY_UNAVAILABLE.value} == set(re.findall(r'withheld="((?!no")\w+)"', asked))
    assert "fallback" in Decision.model_fields


def test_boundaries_that_queries_name_are_boundaries_of_their_histogram(tmp_path: Path) -> None:
    metrics = Metrics(Bundles(tmp_path), tmp_path)
    metrics.answered("/v1/rank", 200, 0.01)
    metrics.known.observe(0.01)
    there = metrics.render().decode()
    for _, expression in QUERIES:
        for name, boundary in re.findall(r'(\w+_bucket)\{[^}]*le="([^"]*)"', expression):
            assert re.search(rf'{name}\{{[^}}]*le="{re.escape(boundary)}"', there), (name, boundary)


def test_every_alert_has_a_section_of_the_runbook_with_four_answers() -> None:
    text = (DOCS / "runbook.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert {rule["alert"] for rule in alerts()} == {name for name in sections if name.startswith("Nextwise")}
    for name in (rule["alert"] for rule in alerts()):
        asked = re.findall(r"^- \*\*(.*?)\*\*", sections[name], re.MULTILINE)
        assert asked == ["It means.", "Look at.", "Do.", "It is over"], name


def test_every_alert_says_how_loud_it_is_and_where_to_read_on() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert re.fullmatch(r"\d+[mh]", rule["for"])


def test_the_objectives_are_those_of_the_rules() -> None:
    """A row of the table, an allowance in the rules, two speeds of burning."""
    rows = re.findall(r"^\| (\w[\w ]*) \| ([\d.]+) % \|", (DOCS / "watch.md").read_text("utf-8"), re.MULTILINE)
    allowed = {name.lower().replace(" ", "_"): round(1 - float(share) / 100, 6) for name, share in rows}
    burning = [rule["expr"] for rule in alerts() if "_missed:" in rule["expr"]]
    found = {
        (name, float(times), float(of))
        for one in burning
        for name, times, of in re.findall(r"(\w+)_missed:\w+ > ([\d.]+) \* ([\d.]+)", one)
    }
    assert found == {(name, times, of) for name, of in allowed.items() for times in (14.4, 6.0)}
    assert {name.partition(":")[2].partition("_missed")[0] for name in RECORDED} == set(allowed)


def test_the_threat_model_links_tests_that_exist() -> None:
    text = (DOCS / "threat-model.md").read_text("utf-8")
    named = re.findall(r"\((\.\./tests/[^)#]+)\)", text)
    assert len(named) >= 8
    assert [name for name in named if not (DOCS / name).exists()] == []
