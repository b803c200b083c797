"""`python -m experiments analyze`: an experiment that ran elsewhere, from two CSV files to a page."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from experiments.design import DesignError, load_design
from features.terminal import fail


def analyze_command(
    assignments: Annotated[Path, typer.Option(help="CSV: unit,arm[,assigned_at][,exposed_at][,cluster], and segments.")],
    outcomes: Annotated[Path, typer.Option(help="CSV: unit,metric,value[,at].")],
    design: Annotated[Path, typer.Option(help="TOML: name, unit, [allocation], [primary] at least.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers as JSON too.")] = None,
) -> None:
    """Read an experiment from CSV and write one page with the verdict.

    Exit code 1 where the data must be mended before anything can be said, 2 where a file or the design cannot be read.
    """
    from experiments.analysis import analyse  # duckdb and pandas are needed here only
    from experiments.outcomes.files import read_files
    from experiments.outcomes.head import FileError
    from experiments.report.numbers import as_json
    from experiments.report.page import page

    try:
        plan = load_design(design)
        reading = analyse(read_files(assignments, outcomes, plan), plan, now=datetime.now(UTC))
    except (DesignError, FileError) as error:
        fail(str(error), code=2)
    _write(out, page(reading))
    if json_file is not None:
        _write(json_file, json.dumps(as_json(reading), indent=2, allow_nan=False) + "\n")
    typer.echo(reading.verdict.sentence)
    if reading.verdict.kind == "broken" and (not reading.health.failed or any(one.of_data for one in reading.health.failed)):
        raise typer.Exit(1)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}; name a file in a folder that exists", code=2)
