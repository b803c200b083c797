"""The part of `ingest` that is about rows of work systems: the map, a dry run, and names that nobody knows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import typer

from features.readers import work
from features.readers.base import Import, Reading, Refusal
from features.readers.csv_map import MapError
from features.readers.work_map import TEXT, read_work_map
from features.store import TenantSession
from features.terminal import fail

_SHOWN: Final = 5


def work_reading(path: Path, mapping: Path | None, flags: Mapping[str, Any], given: Import) -> tuple[Reading, work.Tally]:
    """The reading of a file by the rules of a map. A map that is missing or wrong ends the command, as does a wrong flag."""
    if mapping is None:
        fail("--format work needs --mapping FILE.toml with the rules: docs/work-rows.md", code=2)
    other = [name.replace("_", "-") for name, value in flags.items() if value and name not in TEXT]
    if other:
        fail(f"--{other[0]} is for --format csv, not for work: the file of rules says it", code=2)
    try:
        return work.read(path, given, read_work_map(mapping, flags))
    except MapError as error:
        fail(str(error), code=2)


def dry_run(reading: Reading, tally: work.Tally, session: TenantSession) -> None:
    """Shows how the rows would be understood, and stores nothing; exit code 1 where one is wrong."""
    wrong = [row for row in reading.events if isinstance(row, Refusal)]
    for line in (*work.explained(tally), *strangers(tally, session)):
        typer.echo(line)
    for refusal in wrong[:_SHOWN]:
        typer.echo(str(refusal), err=True)
    if len(wrong) > _SHOWN:
        typer.echo(f"... and {len(wrong) - _SHOWN:,} more", err=True)
    typer.echo(f"Nothing was stored: this was a dry run. {len(wrong):,} rows are wrong.")
    if wrong:
        raise typer.Exit(1)


def strangers(tally: work.Tally, session: TenantSession) -> list[str]:
    """Notes on skills and learners that the catalogue does not know: their evidence waits until it does."""
    skills = {one.rule.skill for one in tally.rules}
    named = {"skills": skills - session.known_names("skill", skills)}
    named["learners"] = tally.learners - session.known_names("learner", tally.learners)
    return [
        f"note: {len(names):,} {kind} are not in the catalogue: {', '.join(sorted(names)[:_SHOWN])}"
        for kind, names in named.items()
        if names
    ]
