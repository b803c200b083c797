"""The journal of a tenant's refreshes: hints that save work, and a report of each run. Nothing here is the truth.

FOLDER/TENANT/journal.json            what was found out last; losing it costs time only
FOLDER/TENANT/reports/MOMENT.json     one report a run, the newest kept
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPORTS_KEPT = 60
"""Two months of nights."""


class Journal:
    """The journal of one tenant below `folder`."""

    def __init__(self, folder: Path, tenant: str) -> None:
        self._folder = folder / tenant
        self._path = self._folder / "journal.json"

    def read(self) -> dict[str, Any]:
        """The hints; {} where there are none or they cannot be read."""
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def hint(self, name: str) -> dict[str, str]:
        """One hint of several fields; {} where there is none."""
        found = self.read().get(name)
        return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def note(self, **hints: Any) -> None:
        """Add or replace hints, in one step."""
        _write(self._path, self.read() | hints)

    def report(self, body: Mapping[str, Any]) -> Path:
        """Write a run's report and drop the oldest ones beyond `REPORTS_KEPT`."""
        folder = self._folder / "reports"
        path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.json"
        _write(path, body)
        for old in sorted(folder.glob("*Z.json"))[:-REPORTS_KEPT]:
            old.unlink(missing_ok=True)
        return path


def _write(path: Path, body: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", "utf-8")
    os.replace(beside, path)
