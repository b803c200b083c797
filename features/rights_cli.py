"""Commands for people's rights: erase a learner, export all that is stored of one."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from features.audit import Act
from features.terminal import DEFAULT_STORE, JsonOption, StoreOption, TenantOption, fail, session

_Learner = Annotated[str, typer.Argument(help="Id or alias of the learner.")]


def erase_command(
    learner: _Learner, tenant: TenantOption, store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False
) -> None:
    """Erase a learner: every row of theirs under every name. Materialize afterwards, or the lake still holds them."""
    with session(store, tenant) as opened:
        done = asdict(opened.erase(learner, at=datetime.now(UTC)))
    rows = ", ".join(f"{number:,} {name}" for name, number in done.items())
    typer.echo(json.dumps(done) if as_json else f"Erased: {rows}. Run `python -m features materialize --tenant {tenant}` next.")


def export_command(learner: _Learner, tenant: TenantOption, store: StoreOption = DEFAULT_STORE) -> None:
    """Print all that is stored of a learner, as one JSON document."""
    with session(store, tenant) as opened:
        found = opened.export(learner)
        outcome = "nothing stored" if found is None else "done"
        opened.tell(Act.LEARNER_EXPORTED, learner, outcome=outcome)
    if found is None:
        fail(f"nothing is stored of {learner!r} in tenant {tenant}")
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
