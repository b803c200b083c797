"""What counts as new, on versions that are told by their tags alone."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from training.news import FINGERPRINT, FITTED_AT, due, judged, overdue, unfinished
from training.tracking import CHAMPION, Registry, Version

NOW = datetime(2026, 3, 1, tzinfo=UTC)
VERDICT = {"gate.verdict": "promoted", "gate.reason": "better", "gate.compared_with": "b0"}


@dataclass(frozen=True)
class Held:
    """A registry of given versions, the last one champion."""

    given: tuple[Version, ...] = field()

    def versions(self) -> list[Version]:
        return list(reversed(self.given))

    def aliased(self, alias: str) -> Version | None:
        return self.given[-1] if alias == CHAMPION else None


def held(*given: dict[str, str]) -> Registry:
    """Version n of run `rn` and bundle `bn` with these tags, from 1 on."""
    numbered = [Version(n, f"r{n}", {"bundle": f"b{n}", **tags}) for n, tags in enumerate(given, start=1)]
    return cast(Registry, Held(tuple(numbered)))


def test_the_version_judged_last_decides() -> None:
    monday, tuesday = {FINGERPRINT: "monday", **VERDICT}, {FINGERPRINT: "tuesday", **VERDICT}
    found = judged(held(monday, tuesday, {}), "tuesday")
    assert found is not None
    assert found.number == 2
    assert judged(held(monday, tuesday), "monday") is None
    assert judged(held({FINGERPRINT: "monday"}), "monday") is None  # nobody judged it


@pytest.mark.parametrize(("day", "is_due"), [("2026-03-05", False), ("2026-03-04", True), ("2026-01-01", True), (None, False)])
def test_a_champion_is_due_some_nights_before_its_deadline(day: str | None, is_due: bool) -> None:
    champion = Version(1, "r1", {} if day is None else {"bundle.retrain_by": day})
    assert (due(champion, NOW) is not None) == is_due
    assert due(None, NOW) is None


def test_a_fit_that_began_is_unfinished_until_it_is_judged() -> None:
    hint = {"fingerprint": "monday", "run_id": "r2"}
    first = {FINGERPRINT: "monday", **VERDICT}
    assert unfinished(held(first), "monday", hint)  # killed before it was registered
    assert unfinished(held(first, {FINGERPRINT: "monday"}), "monday", hint)
    assert not unfinished(held(first, first), "monday", hint)
    assert not unfinished(held(first), "tuesday", hint)
    assert not unfinished(held(first), "monday", {})


@pytest.mark.parametrize(
    ("at", "late"),
    [
        (NOW.isoformat(), False),
        ((NOW - timedelta(days=29)).isoformat(), False),
        ((NOW - timedelta(days=31)).isoformat(), True),
        ((NOW + timedelta(hours=2)).isoformat(), False),
        ((NOW + timedelta(days=400)).isoformat(), True),
        ("2026-02-27T09:00:00", False),
        ("yesterday", True),
    ],
    ids=["now", "young", "old", "a clock that is a little ahead", "a clock that was years ahead", "no zone", "no time"],
)
def test_a_fit_is_overdue_when_it_is_old_or_its_time_cannot_be_believed(at: str, late: bool) -> None:
    assert overdue(Version(1, "r1", {FITTED_AT: at}), 30, NOW) == late
