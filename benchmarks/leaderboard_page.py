"""The boards as a file and as a chart of accuracy against cost."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from benchmarks.leaderboard_board import Board, Budget, Row
from benchmarks.machine import machine

OURS, PEER = "Nextwise", "peer"
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
    """NDCG@10 against fit seconds, a panel for each board, ours and peers in two colours."""
    titles = list(dict.fromkeys(row["board"] for row in rows))
    panels = [_panel(title, [row for row in rows if row["board"] == title]) for title in titles]
    found = alt.concat(*panels, columns=2, spacing=30).configure_view(stroke="#ddd").configure_axis(grid=False)
    return found.configure_legend(orient="top", title=None)


def _panel(title: str, rows: Sequence[Row]) -> Any:
    data = [
        {
            "model": row["model"],
            "seconds": max(row["fit_seconds"], 0.01),
            "ndcg": row["ndcg_at_10"],
            "whose": PEER if row.get("peer") else OURS,
        }
        for row in rows
    ]
    scale = alt.Scale(domain=[OURS, PEER], range=["#d1495b", "#30638e"])
    values: Any = alt.Data(values=data)  # type: ignore[no-untyped-call]
    base = alt.Chart(values).encode(
        x=alt.X("seconds:Q", scale=alt.Scale(type="log", padding=40), title="seconds to choose settings and fit"),
        y=alt.Y("ndcg:Q", scale=alt.Scale(zero=True), title="NDCG@10"),
        color=alt.Color("whose:N", scale=scale),
    )
    text = base.mark_text(dx=7, align="left", fontSize=9).encode(text="model:N")
    return (base.mark_point(filled=True, size=60) + text).properties(title=title, width=400, height=300)
