"""The boards as a file and as a chart of accuracy against cost."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from benchmarks.leaderboard_board import Board, Budget, Row
from benchmarks.machine import machine

OURS, PEER = "Nextwise", "peer"
_WIDTH, _HEIGHT, _LINE = 430, 330, 10.0
_LEAST_S, _MOST_S = 0.01, 20_000.0
_BEGIN, _END = "<!-- leaderboard -->", "<!-- /leaderboard -->"
_HEAD = ("model", "Recall@10", "NDCG@10", "95 %", "debiased", "coverage", "to the champion, 95 %", "fit s", "cpu s", "MB", "ms")


def write(boards: Sequence[Board], budget: Budget, file: Path, chart: Path, page: Path) -> None:
    """The file, the chart, and the tables of the page.

    Boards of other logs stay in the file, and so do other models' rows where the questions were the same.
    """
    before = json.loads(file.read_text("utf-8"))["boards"] if file.exists() else {}
    found = before | {board.title: merged(before.get(board.title), board) for board in boards}
    stated = {
        "peers": f"at most {budget.settings} settings, published ones first, within budget_seconds of processor time",
        "ours": "the grid of each family, or the search of linear; fit_seconds hold all of it",
        "threads": 1,
    }
    file.write_text(json.dumps({"machine": machine(), "budget": stated, "boards": found}, indent=1) + "\n", "utf-8")
    text = page.read_text("utf-8")
    before_tables, after = text.split(_BEGIN)[0], text.split(_END)[1]
    page.write_text(before_tables + _BEGIN + "\n\n" + tables(found) + "\n" + _END + after, "utf-8")
    if drawn := [row | {"board": title} for title, board in found.items() for row in board["rows"]]:
        accuracy_by_cost(drawn).save(str(chart))


def tables(boards: Mapping[str, Any]) -> str:
    """Each board as a table in Markdown, best NDCG first, and its notes."""
    return "\n".join(f"### {title}\n\n{_table(board)}" for title, board in boards.items())


def _table(board: Any) -> str:
    lines = ["| " + " | ".join(_HEAD) + " |", "|---" * len(_HEAD) + "|", *(_line(row) for row in board["rows"])]
    said = [f"{row['model']}: {', '.join(row['notes'])}" for row in board["rows"] if row.get("notes")]
    return "\n".join([*lines, "", *(f"- {note}" for note in (*board["notes"], *said)), ""])


def _line(row: Row) -> str:
    gap = (row["paired"].get("champion") or {}).get("ndcg")
    cells = [
        row["model"] if row.get("peer") else f"**{row['model']}**",
        f"{row['recall_at_10']:.4f}",
        f"{row['ndcg_at_10']:.4f}",
        "-" if row["ndcg_at_10_low"] is None else f"{row['ndcg_at_10_low']:.4f} to {row['ndcg_at_10_high']:.4f}",
        f"{row['debiased_ndcg_at_10']:.4f}",
        f"{row['coverage']:.3f}",
        "" if gap is None else f"{gap[0]:+.4f} ({gap[1]:+.4f} to {gap[2]:+.4f})",
        f"{row['fit_seconds']:.0f}",
        "-" if "cpu_seconds" not in row else f"{row['cpu_seconds']:.0f}",
        f"{row['peak_mb']:,.0f}",
        f"{row['score_ms']:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def merged(before: Any, board: Board) -> dict[str, Any]:
    """Rows by NDCG, new ones in place of old ones of the same model."""
    now = {row["model"] for row in board.rows}
    digests = {row["split_digest"] for row in board.rows}
    old = [row for row in before["rows"] if row["model"] not in now and row["split_digest"] in digests] if before else []
    return {"rows": sorted([*board.rows, *old], key=lambda row: -row["ndcg_at_10"]), "notes": board.notes}


def accuracy_by_cost(rows: Sequence[Row]) -> Any:
    """NDCG@10 against processor seconds, a panel for each board, ours and peers in two colours."""
    titles = list(dict.fromkeys(row["board"] for row in rows))
    panels = [_panel(title, [row for row in rows if row["board"] == title]) for title in titles]
    found = alt.concat(*panels, columns=2, spacing=30).configure_view(stroke="#ddd").configure_axis(grid=False)
    return found.configure_legend(orient="top", title=None)


def _panel(title: str, rows: Sequence[Row]) -> Any:
    data = [
        {
            "model": row["model"],
            "seconds": max(row.get("cpu_seconds", row["fit_seconds"]), _LEAST_S),
            "ndcg": row["ndcg_at_10"],
            "whose": PEER if row.get("peer") else OURS,
        }
        for row in rows
    ]
    best = max(one["ndcg"] for one in data) * 1.08
    for one, at in zip(data, label_places([(one["model"], one["seconds"], one["ndcg"] / best) for one in data]), strict=True):
        one["label"] = at * best
    scale = alt.Scale(domain=[OURS, PEER], range=["#d1495b", "#30638e"])
    values: Any = alt.Data(values=data)  # type: ignore[no-untyped-call]
    base = alt.Chart(values).encode(
        x=alt.X(
            "seconds:Q",
            scale=alt.Scale(type="log", domain=[_LEAST_S, _MOST_S], nice=False),
            axis=alt.Axis(values=[0.01, 0.1, 1, 10, 100, 1_000, 10_000]),
            title="processor seconds to choose settings and fit",
        ),
        color=alt.Color("whose:N", scale=scale),
    )
    y = alt.Scale(domain=[0, best], nice=False)
    points = base.mark_point(filled=True, size=60).encode(y=alt.Y("ndcg:Q", scale=y, title="NDCG@10"))
    text = base.mark_text(dx=8, align="left", fontSize=9).encode(y=alt.Y("label:Q", scale=y, title="NDCG@10"), text="model:N")
    return (points + text).properties(title=title, width=_WIDTH, height=_HEIGHT)


def label_places(points: Sequence[tuple[str, float, float]]) -> list[float]:
    """Where the label of each (name, seconds, height in 0..1) stands, in 0..1: beside its point, or below labels in the way."""
    boxes: list[tuple[float, float, float]] = []  # left, right, middle in pixels from above
    found = [0.0] * len(points)
    for at in sorted(range(len(points)), key=lambda index: -points[index][2]):
        name, seconds, height = points[at]
        left = math.log(seconds / _LEAST_S) / math.log(_MOST_S / _LEAST_S) * _WIDTH
        right, y = left + 12 + 5 * len(name), (1 - height) * _HEIGHT
        while (crowd := [other for a, b, other in boxes if a < right and left < b and abs(other - y) < _LINE]) and y < _HEIGHT:
            y = max(crowd) + _LINE * 1.01
        boxes.append((left, right, y))
        found[at] = 1 - y / _HEIGHT
    return found
