"""One module per file format; `read` turns a path of any storable format into a `features.readers.base.Reading`."""

from collections.abc import Set
from datetime import UTC, datetime
from pathlib import Path

from features.readers.base import Import, Reading, zone


def read(
    format: str, path: Path, *, tenant: str, timezone: str | None, now: datetime, known: Set[str] = frozenset()
) -> Reading:
    """Reads `path` as `mars`, `events` or `xapi`. ValueError for another format, for `sequences`, for an unknown time zone.

    `known`: see `Import`; `xapi` alone asks for it.
    """
    from features.readers import events, mars, xapi  # not by a process that reads CSV: scipy takes a second and 40 MB

    given = Import(tenant, now.astimezone(UTC), zone(timezone), known)
    if format == "xapi":
        return xapi.read(path, given)
    if format == "mars":
        return mars.read(path, given)
    if format == "events":
        return events.read(path, given)
    if format == "sequences":
        raise ValueError(
            "a sequences file has order but no time, and the event store needs times: "
            "use it with `python -m training leaderboard --format sequences`"
        )
    raise ValueError(f"unknown format {format!r}; known formats: mars, events, xapi, sequences")
