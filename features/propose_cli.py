"""The commands `propose` and `accept`: skills for items that name none, to the lake and a person, and from that person back."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from features.catalogue import Catalogue, Item
from features.proposals import write_proposals
from features.propose import AT_MOST, CANDIDATES, FLOOR, Findings, propose
from features.terminal import DEFAULT_STORE, StoreOption, TenantOption, fail, progress, session
from features.text import PACKAGED, TextModelError, encode

COLUMNS = ("item", "title", "skill", "name", "level", "confidence")
SHOWN = 10


def propose_command(
    tenant: TenantOption,
    lake: Annotated[Path, typer.Option(help="Folder of the lake.")] = Path("var/lake"),
    at_most: Annotated[int, typer.Option(min=1, max=CANDIDATES, help="Skills an item.")] = AT_MOST,
    floor: Annotated[float, typer.Option(min=0.01, max=1, help="Below this confidence nothing is proposed.")] = FLOOR,
    encoder: Annotated[str, typer.Option(help="Text model: the packaged one, a folder, or a local name.")] = PACKAGED,
    as_csv: Annotated[bool, typer.Option("--csv", help="All proposals as CSV, to review and give to `accept`.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All proposals as JSON.")] = False,
) -> None:
    """Propose skills for the items that name none, from their texts; the next fit takes them into the bundle.

    Nothing is written into the catalogue: that is for a person to do (`accept`).
    """
    from features.lake import catalogue as read_catalogue  # pyarrow is needed here only

    if as_csv and as_json:
        fail("--csv and --json exclude one another: give one", code=2)
    try:
        catalogue = read_catalogue(lake, tenant)
        with progress("Reading texts") as advance:
            found = propose(
                catalogue,
                lambda texts: encode(texts, model=encoder, cache=lake / "vectors" / tenant, progress=_advancing(advance)),
                at_most=at_most,
                floor=floor,
            )
        path = write_proposals(lake, tenant, found.proposals)
    except (ValueError, OSError, TextModelError) as error:
        fail(str(error))
    rows = list(_rows(found, catalogue))
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    elif as_csv:
        typer.echo(_csv(rows), nl=False)
    else:
        _say(found, catalogue, rows, path)


def accept_command(
    reviewed: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV with the columns item, skill, level.")],
    tenant: TenantOption,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Put reviewed proposals into the catalogue: each line of the file becomes a skill of its item."""
    with session(store, tenant) as opened:
        try:
            put = opened.put(accepted(reviewed, opened.catalogue()), at=datetime.now(UTC))
        except ValueError as error:
            fail(str(error))
    typer.echo(
        f"{put.changed:,} items changed, {put.unchanged:,} unchanged. Next: python -m features materialize --tenant {tenant}"
    )


def accepted(reviewed: Path, catalogue: Catalogue) -> list[Item]:
    """The items with the skills of a reviewed file. ValueError naming file, line and field; nothing is taken in part."""
    levels: dict[str, dict[str, Any]] = {}
    with reviewed.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = {"item", "skill", "level"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{reviewed}:1: no column {', '.join(sorted(missing))}; `propose --csv` writes them all")
        for row in reader:
            where = f"{reviewed}:{reader.line_num}"
            item, skill = row["item"], row["skill"]
            _check(where, "item", item, catalogue.items)
            _check(where, "skill", skill, catalogue.skills)
            levels.setdefault(item, dict(catalogue.items[item].skills))[skill] = _level(where, row["level"])
    return [catalogue.items[item].model_copy(update={"skills": own}) for item, own in levels.items()]


def _check(where: str, field: str, value: str, known: Mapping[str, object]) -> None:
    if value not in known:
        raise ValueError(f"{where}: field {field}: {value!r} is not in the catalogue")


def _level(where: str, text: str) -> float:
    try:
        level = float(text)
    except (TypeError, ValueError):
        level = -1.0
    if not 0 < level <= 5:
        raise ValueError(f"{where}: field level: {text!r} is not a level above 0 and up to 5")
    return level


def _advancing(advance: Any) -> Any:
    """`encode` tells how many are done, the terminal wants to hear how many more."""
    before = [0]

    def told(done: int, of: int) -> None:
        advance(done - before[0])
        before[0] = done

    return told


def _rows(found: Findings, catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """The most confident first."""
    flat = [(item, skill, one) for item, own in found.proposals.items() for skill, one in own.items()]
    for item, skill, one in sorted(flat, key=lambda row: (-row[2].confidence, row[0], row[1])):
        names = (item, catalogue.items[item].title, skill, catalogue.skills[skill].name)
        yield dict(zip(COLUMNS, (*names, one.level, one.confidence), strict=True))


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _say(found: Findings, catalogue: Catalogue, rows: list[dict[str, Any]], path: Path) -> None:
    bare = sum(not item.skills for item in catalogue.items.values())
    typer.echo(f"{len(found.proposals):,} of {bare:,} items without skills have proposals ({len(rows):,} in all), in {path}")
    weights = ", ".join(f"{weight:.2f}" for weight in found.weights)
    typer.echo(f"confidence: weights {weights}, fitted to {found.fitted_to:,} items that have skills")
    for row in rows[:SHOWN]:
        typer.echo(f"  {row['confidence']:.2f}  {row['title']}: {row['name']} {row['level']:g}")
    typer.echo("review: --csv > reviewed.csv, delete the wrong lines, then python -m features accept reviewed.csv")
