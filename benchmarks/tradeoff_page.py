"""The plot of accuracy against diversity and the tables of `docs/diversity-and-calibration.md`, from the results alone."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

Row = Mapping[str, Any]
_BETWEEN = r"(?<=<!-- {0} -->\n).*?(?=<!-- /{0} -->)"
_COLUMNS = {
    "unlike": "unlike",
    "coverage": "coverage",
    "provider_entropy": "providers, bits",
    "type_entropy": "types, bits",
}


def write_page(result: Mapping[str, Any], docs: Path) -> None:
    """Write tradeoff.svg, and the figures between the marks of diversity-and-calibration.md."""
    _plot([row for row in result["rows"] if row["part"] == "test"]).save(str(docs / "tradeoff.svg"))
    page = docs / "diversity-and-calibration.md"
    text = page.read_text("utf-8")
    for mark, table in (("tradeoff", _tradeoff(result["rows"])), ("reliability", _reliability(result["reliability"]))):
        text = re.sub(_BETWEEN.format(mark), lambda _, found=table: f"{found}\n", text, flags=re.DOTALL)  # type: ignore[misc]
    page.write_text(text, "utf-8")


def _tradeoff(rows: Sequence[Row]) -> str:
    known = {key: title for key, title in _COLUMNS.items() if any(key in row for row in rows)}
    head = f"| log | diversity | NDCG@10 validation | test | change on test, 95 % | {' | '.join(known.values())} |"
    lines = [head, "|---" * (5 + len(known)) + "|"]
    validation = {(row["log"], row["diversity"]): row["ndcg"] for row in rows if row["part"] == "validation"}
    for row in (row for row in rows if row["part"] == "test"):
        own = [f"{row[key]:.3f}" if key in row else "-" for key in known]
        change = f"{row['change']:+.4f} ({row['change_low']:+.4f} to {row['change_high']:+.4f})" if row["diversity"] else "-"
        before = f"{validation[row['log'], row['diversity']]:.4f}"
        lines.append(f"| {row['log']} | {row['diversity']:g} | {before} | {row['ndcg']:.4f} | {change} | {' | '.join(own)} |")
    return "\n".join(lines)


def _reliability(found: Mapping[str, Any]) -> str:
    lines = ["| predicted | taken up | 95 % | pairs |", "|---|---|---|---|"]
    for one in found["bins"]:
        low, high = f"{one['low']:.2%}", f"{one['high']:.2%}"
        lines.append(f"| {one['predicted']:.2%} | {one['observed']:.2%} | {low} to {high} | {one['pairs']:,} |")
    names = {"error": "Expected calibration error", "brier": "Brier score", "better": "better than one probability for all by"}
    said = [f"{names[name]} {_estimate(found[name])}" for name in names]
    return "\n".join([*lines, "", f"{', '.join(said)}; {found['questions']:,} questions."])


def _estimate(found: Mapping[str, Any]) -> str:
    return f"{found['value']:.4f} ({found['low']:.4f} to {found['high']:.4f})" if "value" in found else found["reason"]


def _plot(rows: Sequence[Row]) -> Any:
    base = alt.Chart(alt.InlineData(values=list(rows))).encode(
        x=alt.X("unlike:Q", scale=alt.Scale(zero=False), title="how unlike the items of a slate are (1 - mean cosine)"),
        y=alt.Y("ndcg:Q", scale=alt.Scale(zero=True), title="NDCG@10"),
        color=alt.Color("log:N", title=None),
        order="diversity:Q",
    )
    named = base.mark_text(dy=-9, fontSize=9).encode(text=alt.Text("diversity:Q", format=".2~f"))
    return (base.mark_line(point=True) + named).properties(
        title="Accuracy as diversity goes from 0 to 1", width=460, height=280
    )
