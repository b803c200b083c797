"""One module per file format; `read` turns a path of any storable format into a `features.readers.base.Reading`."""

from datetime import UTC, datetime
from pathlib import Path

from features.readers.base import Import, Reading, zone


def read(format: str, path: Path, *, tenant: str, timezone: str | None, now: datetime) -> Reading:
    """Reads `path` as `mars` or `events`. ValueError for another format, for `sequences` and for an unknown time zone."""
    from features.readers import events, mars  # not by a process that reads CSV: scipy takes a second and 40 MB

    given = Import(tenant, now.astimezone(UTC), zone(timezone))
    if format == "mars":
        return mars.read(path, given)
    if format == "events":
        return events.read(path, given)
    if format == "sequences":
        raise ValueError(
            "a sequences file has order but no time, and the event store needs times: "
            "use it with `python -m training leaderboard --format sequences`"
        )
    raise ValueError(f"unknown format {format!r}; known formats: mars, events, sequences")
