"""The command `star`: a tenant's data for business reports."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from features.lock import LockedError, held
from features.terminal import DEFAULT_STORE, JsonOption, StoreOption, TenantOption, fail, progress, session


def star_command(
    tenant: TenantOption,
    out: Annotated[Path, typer.Option(help="Folder that is given away; the tenant's lies in it under its name.")],
    store: StoreOption = DEFAULT_STORE,
    lake: Annotated[Path, typer.Option(help="Folder of the lake, which is brought up to date first.")] = Path("var/lake"),
    key: Annotated[
        Path | None,
        typer.Option(help="File with the key of the pseudonyms, made if missing.", show_default="var/pseudonyms/TENANT.key"),
    ] = None,
    identified: Annotated[bool, typer.Option("--identified", help="With the ids of learners beside their pseudonyms.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the tenant's star schema as Parquet, with SQL views and dbt sources; a second run writes only what changed."""
    from features.star.key import key_of  # pyarrow and DuckDB are needed here only
    from features.star.write import write_star

    started = time.perf_counter()
    with session(store, tenant) as opened, progress("Writing the star") as _:
        try:
            secret = key_of(key or Path("var", "pseudonyms", f"{tenant}.key"), out)
            with held(lake, tenant, store, work="star"):
                report = write_star(opened, lake, out, secret, identified=identified, now=datetime.now(UTC))
        except LockedError as error:
            fail(str(error), code=75)  # EX_TEMPFAIL, as `materialize` has it
        except (ValueError, OSError) as error:
            fail(str(error))
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=1))
        return
    for name, rows in report.rows.items():
        typer.echo(f"{name:<14} {rows:>12,} rows")
    seconds = time.perf_counter() - started
    typer.echo(
        f"{report.written} of {report.files} files written under {out / tenant}, as of {report.as_of}, in {seconds:.1f} s"
    )
