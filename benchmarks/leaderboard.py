"""Every model of ours and its peers on the same questions: accuracy, intervals, what it costs. `make leaderboard`.

python -m benchmarks.leaderboard                            everything: hours; goes on where it stopped
python -m benchmarks.leaderboard --only mars,organisation   some of the logs
python -m benchmarks.leaderboard --models ranker,linear --peers implicit
python -m benchmarks.leaderboard --sequences FILE --item-attributes FILE.json     a log of your own
python -m benchmarks.leaderboard --quick                    a minute, writes nothing

Writes benchmarks/results/leaderboard.json, docs/leaderboard.svg and the tables of docs/how-good.md. What was measured is kept
in var/leaderboard by what it depends on (questions, code, settings, budget) and not measured again; --fresh forgets it.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from benchmarks.leaderboard_board import Board, Budget, Hall
from benchmarks.leaderboard_data import SOURCES, Source, own_log
from benchmarks.leaderboard_page import write
from benchmarks.peers.roster import ALONE, PEERS
from features.text import TextModelError
from training import lineup
from training.leaderboard import show

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "leaderboard.json"
CHART, PAGE = ROOT / "docs" / "leaderboard.svg", ROOT / "docs" / "how-good.md"
KEPT = ROOT / "var" / "leaderboard"
QUICK = Budget(settings=1, seconds=60)
LIBRARIES = tuple(peer.package for peer in PEERS)
console = Console()


def main(
    only: Annotated[str, typer.Option(help=f"Comma-separated: {', '.join(SOURCES)}.")] = ",".join(SOURCES),
    models: Annotated[str, typer.Option(help="Ours, comma-separated; empty for none.")] = ",".join(lineup.MODELS),
    peers: Annotated[str, typer.Option(help="Libraries, comma-separated; empty for none.")] = ",".join(LIBRARIES),
    data: Annotated[Path, typer.Option(file_okay=False, envvar="NEXTWISE_DATA", help="Where mars/ and amazon-beauty/ are.")] = (
        ROOT.parent / "shared" / "data"
    ),
    sequences: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A log of your own, in order.")] = None,
    item_attributes: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Of that log: item to ids.")] = None,
    settings: Annotated[int, typer.Option(min=1, help="Settings of a peer that are tried on validation.")] = 6,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1, help="Processor seconds a peer may search in, over all rounds (default: 600, Beauty 1200)."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws the relabelling, our models and the intervals.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what is kept.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Two models and a peer on MARS; writes nothing.")] = False,
) -> None:
    """Exit 1 where nothing could be measured."""
    if item_attributes and not sequences:
        raise typer.BadParameter("whose items are these? Name the log by --sequences", param_hint="--item-attributes")
    os.environ.update(ALONE)  # ours and theirs alike
    sources = (
        [own_log(sequences, item_attributes)] if sequences else [SOURCES[name] for name in _chosen(only, SOURCES, "--only")]
    )
    ours = _chosen(models, lineup.MODELS, "--models")
    libraries = _chosen(peers, LIBRARIES, "--peers")
    if not ours and not libraries:
        raise typer.BadParameter("neither a model nor a library is named", param_hint="--models")
    if quick:
        sources, ours, libraries = [SOURCES["mars"]], ["popularity", "linear"], ["implicit"]
    hall = Hall(KEPT, QUICK if quick else Budget(settings, seconds), seed, fresh, console)
    boards = [board for source in sources for board in _boards(source, data, hall, ours, libraries, quick)]
    for board in boards:
        show(board.rows, board.notes, title=board.title, console=console)
    if not any(board.rows for board in boards):
        raise typer.Exit(1)
    if not quick and not sequences:
        write(boards, hall.budget, RESULT, CHART, PAGE)


def _boards(source: Source, data: Path, hall: Hall, ours: list[str], libraries: list[str], quick: bool) -> list[Board]:
    """Of one log; none where it is absent or cannot be read or split, which is said: the others go on."""
    if not source.available(data):
        console.print(
            escape(f"{source.title}: skipped, {data / source.file} does not exist (--data or NEXTWISE_DATA says where)")
        )
        return []
    peers = [peer for peer in PEERS if peer.package in libraries]
    protocols = source.protocols[:1] if quick else source.protocols
    try:
        with console.status(f"Reading {escape(source.title)}"):
            dataset = source.load(data, KEPT / source.name)
        return [hall.board(source, dataset, protocol, ours, peers) for protocol in protocols]
    except (ValueError, OSError, MemoryError, RuntimeError, TextModelError) as error:
        console.print(f"{source.title}: failed, {error}", style="red", highlight=False, soft_wrap=True, markup=False)
        return []


def _chosen(names: str, known: Iterable[str], option: str) -> list[str]:
    """The names of a list with commas. Errors: BadParameter for one that is not known."""
    found = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := set(found) - set(known):
        raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}", param_hint=option)
    return found


if __name__ == "__main__":
    typer.run(main)
