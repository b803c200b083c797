"""Items that nobody took up before the fit, ranked in the full catalogue, against content alone and a random order.

python -m benchmarks.cold_items                      every log; writes benchmarks/results/cold_items.json
python -m benchmarks.cold_items --only mars          one of them; the figures of the others stay as they are
python -m benchmarks.cold_items --data DIR           where mars/ and amazon-beauty/ are (or the variable NEXTWISE_DATA)

Exit 1 where an interval of what it should exceed is not above 0.
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.leaderboard_data import SOURCES, TENANT
from benchmarks.machine import machine
from training import lineup
from training.cold import ColdFigures, measure_cold
from training.leaderboard import side_information

ROOT = Path(__file__).parents[1]
RESULT, PAGE = ROOT / "benchmarks" / "results" / "cold_items.json", ROOT / "docs" / "cold-start.md"
BEGIN, END = "<!-- cold items -->", "<!-- /cold items -->"
OURS, AGAINST = ("similarity", lineup.BLEND, lineup.RANKER), ("content", "random")
MODELS = {
    "mars": ("random", "popularity", "content", "linear", "similarity", lineup.BLEND, lineup.RANKER),
    TENANT: ("random", "popularity", "content", "linear", "similarity", lineup.BLEND, lineup.RANKER),
    "beauty-attributes": ("random", "popularity", "content", "similarity", lineup.RANKER),
}
"""By log. The ranker of Beauty takes a quarter of an hour, and its blend alone not much less."""


def main(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, envvar="NEXTWISE_DATA")] = ROOT.parent / "shared" / "data",
    only: Annotated[str, typer.Option(help=f"One of {', '.join(MODELS)}; all unless given.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Draws the relabelling, the models and the intervals.")] = 0,
) -> None:
    """Measure, show and write."""
    if only and only not in MODELS:
        raise typer.BadParameter(f"unknown log {only!r}; known: {', '.join(MODELS)}", param_hint="--only")
    console, found = Console(), _before() if only else {}
    for name in [only] if only else MODELS:
        if not SOURCES[name].available(data):
            console.print(f"{name}: skipped, {data / SOURCES[name].file} is not there")
            continue
        figures = _measure(name, data, seed, console)
        found[name] = {**figures.rows(OURS, AGAINST, seed=seed), "seed": seed, "machine": machine()}
        console.print(_shown(SOURCES[name].title, found[name]))
        RESULT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        before, after = PAGE.read_text("utf-8").split(BEGIN)[0], PAGE.read_text("utf-8").split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{tables(found)}\n{END}{after}", "utf-8")
    raise typer.Exit(int(not all(map(_above, found.values()))))


def _before() -> dict[str, Any]:
    """The figures measured earlier."""
    return dict(json.loads(RESULT.read_text("utf-8"))) if RESULT.exists() else {}


def _measure(name: str, data: Path, seed: int, console: Console) -> ColdFigures:
    with tempfile.TemporaryDirectory() as scratch, console.status(f"Read {name}") as status:
        dataset = SOURCES[name].load(data, Path(scratch))
        side = side_information(dataset, MODELS[name], Console(quiet=True))
        say = lambda model: status.update(f"{name}: fit and score {model}")  # noqa: E731
        return measure_cold(dataset.interactions, side, MODELS[name], seed=seed, step=say)


def _above(rows: dict[str, Any]) -> bool:
    """Whether what is served of a log (the last of ours that was measured) is above what it should be."""
    served = [name for name in OURS if name in rows["models"]][-1]
    pairs = [own["ndcg"] for own in rows["models"][served]["minus"].values()]
    return all(pair and pair[1] > 0 for pair in pairs)


def _shown(title: str, rows: dict[str, Any]) -> Table:
    asked = (
        f"{rows['targets']} targets of {rows['learners']} learners, {rows['items_hidden']} items hidden ({rows['newest_by']})"
    )
    table = Table(title=f"{title}: {asked}", title_justify="left")
    for column in ("model", "R@10", "NDCG@10", *(f"NDCG over {other} (95 %)" for other in AGAINST)):
        table.add_column(column)
    for name, row in sorted(rows["models"].items(), key=lambda one: -one[1]["ndcg"]):
        added = [row.get("minus", {}).get(other, {}).get("ndcg", []) for other in AGAINST]
        table.add_row(name, f"{row['recall']:.4f}", f"{row['ndcg']:.4f}", *map(_words, added))
    return table


def tables(found: dict[str, Any]) -> str:
    """Each log as a table in Markdown, the best NDCG first."""
    return "\n".join(_table(SOURCES[name].title, rows) for name, rows in found.items())


def _table(title: str, rows: dict[str, Any]) -> str:
    asked = f"{rows['targets']:,} take-ups by {rows['learners']:,} learners, {rows['items_hidden']:,} items hidden"
    head = ("model", "Recall@10", "NDCG@10", "NDCG over content, 95 %", "Recall over content, 95 %")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, row in sorted(rows["models"].items(), key=lambda one: -one[1]["ndcg"]):
        added = row.get("minus", {}).get("content", {})
        cells = (
            name,
            f"{row['recall']:.4f}",
            f"{row['ndcg']:.4f}",
            *(_words(added.get(one, [])) for one in ("ndcg", "recall")),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([f"{title}: {asked} (newest by {rows['newest_by']}).", "", *lines, ""])


def _words(interval: list[float]) -> str:
    return "{:+.4f} ({:+.4f} to {:+.4f})".format(*interval) if interval else "-"


if __name__ == "__main__":
    typer.run(main)
