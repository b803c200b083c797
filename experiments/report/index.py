"""One page over all experiments of a tenant: what each came to, and a link to its report."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from experiments.assignment.phases import Record
from experiments.report.style import STYLE


def index(tenant: str, records: Sequence[Record], out: Path) -> str:
    """The page for a folder of reports: what runs first, then by name. Reads the JSON of each report there."""
    rows = "".join(_row(one, out) for one in sorted(records, key=lambda one: (one.running is None, one.name)))
    name = escape(tenant)
    head = "".join(f"<th scope=col>{one}</th>" for one in ("Experiment", "Verdict", "State", "Since", "Read"))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Experiments of {name}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}'
        "th,td{text-align:left;vertical-align:top}td:first-of-type{min-width:14rem}</style></head><body><main>"
        f"<header><p class=over>Experiments</p><h1>{name}</h1></header>"
        '<div class=scroll tabindex=0 role=region aria-label="Experiments"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></main></body></html>"
    )


def _row(record: Record, out: Path) -> str:
    phase, said = record.phases[-1], _said(out / f"{record.name}.json")
    name = escape(record.name)
    linked = f'<a href="{name}.html">{name}</a>' if said else name
    state = "runs" if phase.stopped_at is None else f"stopped {phase.stopped_at:%Y-%m-%d}"
    verdict = said.get("sentence", "Not read yet.")
    if said and said.get("design") != phase.digest:
        verdict = f"Of an earlier phase: {verdict}"
    cells = (str(verdict), state, f"{phase.started_at:%Y-%m-%d}", str(said.get("read_at", "–"))[:10])
    return f"<tr><th scope=row>{linked}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _said(path: Path) -> dict[str, Any]:
    """What a report says; nothing where there is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
