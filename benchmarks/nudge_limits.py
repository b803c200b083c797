"""Whether a nudge ever crosses a limit: random moments in random lives, held against a second reading of the rules.

python -m benchmarks.nudge_limits [--points N]     target: crossed 0 times; writes benchmarks/results/nudge_limits.json

A life is a learner in some zone whose row, choices and past change while decisions are made by `serving.nudging.decide`, an
urgent deadline always at hand. Half of the lives lie about the days when clocks change, a third of the moments on a full
quarter of an hour or a second beside it.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.machine import machine
from benchmarks.nudge_limits_slow import forbidden
from features.catalogue import Learner, Spell
from features.decisions import Decision
from features.nudges import Arm, Channel, Choice, NudgeChoice
from serving.nudging.arms import LONG_REST, Known, Option
from serving.nudging.decide import Ask, decide
from serving.nudging.settings import WEEKDAYS, NudgeSettings, WorkCalendar
from serving.prepared import Prepared

RESULT = Path(__file__).parent / "results" / "nudge_limits.json"
POINTS, MOMENTS, POLICIES = 1_000_000, 50, 40
ZONES = (
    *("Europe/Berlin", "Europe/London", "Europe/Dublin", "Europe/Athens", "Africa/Casablanca", "Africa/Cairo", "UTC"),
    *("America/New_York", "America/Los_Angeles", "America/St_Johns", "America/Sao_Paulo", "America/Santiago", "America/Havana"),
    *("Asia/Tehran", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Beirut", "Asia/Gaza", "Asia/Tokyo", "Antarctica/Troll"),
    *("Australia/Lord_Howe", "Australia/Sydney", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Apia", "Pacific/Kiritimati"),
)
"""Some whole, half and quarter hours from UTC, a half hour of summer time (Lord Howe), two hours of it (Troll)."""
BEGIN, QUARTER = datetime(2025, 1, 1, tzinfo=UTC), timedelta(minutes=15)
STOCK = cast(Prepared, SimpleNamespace(bundle=SimpleNamespace(name="b", manifest=SimpleNamespace(catalogue_digest="c" * 64))))
DUE = {Arm.DEADLINE: [Option(Arm.DEADLINE, "is due", item_id="safety", assignment_id=f"duty-{n}") for n in range(12)]}


@dataclass
class Life:
    """One learner, as they stand; `said` and `choices` grow."""

    rng: random.Random
    settings: NudgeSettings
    learner: Learner | None
    choices: list[NudgeChoice]
    said: list[Decision]


def main() -> int:
    """Exit 1 where a limit was crossed, or a nudge withheld without one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    began, rng = time.perf_counter(), random.Random(given.seed)
    settings = [_settings(rng) for _ in range(POLICIES)]
    names, wrong = Counter[str](), Counter[str]()
    for number in range(-(-given.points // MOMENTS)):
        for expected, promised, made in live(rng, rng.choice(settings), number):
            withheld = None if made.nudge is None or made.nudge.withheld is None else made.nudge.withheld.value
            spoke = made.nudge is not None and made.nudge.spoke
            names[withheld or ("spoke" if spoke else "silent by chance")] += 1
            wrong["crossed"] += spoke and expected is not None
            wrong["withheld without a limit"] += withheld is not None and expected is None
            wrong["named otherwise"] += withheld != expected
            wrong["promised wrongly"] += promised is not None
    found = {
        "points": sum(names.values()),
        "crossed": wrong["crossed"],
        "withheld_without_a_limit": wrong["withheld without a limit"],
        "named_otherwise": wrong["named otherwise"],
        "next_moment_not_allowed": wrong["promised wrongly"],
        "decisions": dict(names.most_common()),
        "zones": len(ZONES),
        "seed": given.seed,
        "seconds": round(time.perf_counter() - began, 1),
    }
    print(json.dumps(found, indent=1))
    if given.points == POINTS:
        RESULT.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    return int(any(wrong.values()))


def live(rng: random.Random, settings: NudgeSettings, number: int) -> Iterator[tuple[str | None, str | None, Decision]]:
    """The decisions of one life. Before each, by the second reading: the limit that forbids to speak at its moment, and the
    one that would forbid it still at the next moment that it tells.
    """
    life, at = Life(rng, settings, _learner(rng, number), [], []), _beginning(rng)
    for step in range(MOMENTS):
        at = _moment(rng, at)
        _change(life, at, step)
        ask = Ask(f"{number}-{step}", "acme", Channel.PUSH, at, at)
        known = Known(STOCK, "somebody", at, life.learner)
        life.said = [one for one in life.said if one.decided_at > at - LONG_REST]
        sent = [one.decided_at for one in life.said]
        made = decide(settings, known, DUE, ask, life.choices, life.said)
        later = None if made.nudge is None else made.nudge.next_allowed_at
        expected, promised = (
            None if moment is None else forbidden(settings, "acme", life.learner, moment, life.choices, sent)
            for moment in (at, later)
        )
        if made.nudge is not None and made.nudge.spoke:
            life.said.append(made)
        yield expected, promised, made


def _settings(rng: random.Random) -> NudgeSettings:
    return NudgeSettings(
        calendar=_calendar(rng),
        calendars={name: _calendar(rng) for name in ("nights", "office")},
        weekly_budget=rng.choice((1, 2, 3, 3, 5, 10, 0) if rng.random() < 0.2 else (2, 3, 3, 5)),
        least_hours_between=rng.choice((0, 0.5, 4, 4, 24, 72)),
        holdout=rng.choice((0, 0.05, 0.05, 0.5)),
        holdout_seed=f"seed {rng.random()}",
        floor=rng.choice((0.01, 0.05, 0.1)),
        killed=rng.random() < 0.02,
        killed_tenants=rng.choices(((), ("other",), ("acme", "other")), (20, 5, 1))[0],
    )


def _calendar(rng: random.Random) -> WorkCalendar:
    clocks = [clock_time(hour, minute) for hour in (0, 1, 2, 3, 6, 8, 12, 18, 20, 22, 23) for minute in (0, 30)]
    return WorkCalendar(
        days=tuple(rng.sample(WEEKDAYS, rng.choice((1, 5, 5, 6, 7)))),
        holidays=tuple(date(rng.randrange(2025, 2030), rng.randrange(1, 13), rng.randrange(1, 29)) for _ in range(20)),
        quiet_from=rng.choice(clocks),
        quiet_until=rng.choice(clocks),
    )


def _learner(rng: random.Random, number: int) -> Learner | None:
    if rng.random() < 0.02:
        return None
    return Learner(
        id=f"learner-{number}",
        timezone="Mars/Olympus" if rng.random() < 0.02 else rng.choice(ZONES),
        work_calendar=rng.choice((None, None, "nights", "office", "unheard of")) if rng.random() < 0.5 else None,
    )


def _beginning(rng: random.Random) -> datetime:
    """Any day in five years, or one of the fortnight about the Sundays on which clocks change somewhere."""
    if rng.random() < 0.5:
        return BEGIN + timedelta(days=rng.randrange(5 * 365), seconds=rng.randrange(86_400))
    month, day = rng.choice(((3, 8), (3, 29), (4, 4), (9, 6), (9, 26), (10, 4), (10, 29), (11, 1)))
    return datetime(rng.randrange(2025, 2030), month, day, tzinfo=UTC) - timedelta(seconds=rng.randrange(7 * 86_400))


def _moment(rng: random.Random, last: datetime) -> datetime:
    at = last + timedelta(seconds=rng.expovariate(1 / 21_600))
    if rng.random() < 1 / 3:
        since = (at - BEGIN) // QUARTER
        at = BEGIN + (since + 1) * QUARTER + timedelta(seconds=rng.choice((-1, 0, 0, 1)))
    return at if rng.random() < 0.98 else at - timedelta(minutes=rng.randrange(5))  # a clock that goes back a little


def _change(life: Life, at: datetime, step: int) -> None:
    """Now and then the learner goes on leave, comes back, leaves for good, or chooses something."""
    rng = life.rng
    if life.learner is not None and rng.random() < 0.06:
        status = rng.choices(("active", "leave", "ended"), (12, 2, 1))[0]
        spells = rng.choice(((), (), (), _spells(rng, at)))
        life.learner = life.learner.model_copy(update={"status": status, "spells": spells})
    if rng.random() < 0.06:
        choice = rng.choices(list(Choice), (4, 1, 5))[0]
        until = at + timedelta(hours=rng.choice((1, 24, 24 * 7))) if choice is Choice.SNOOZE else None
        times: dict[str, Any] = {"occurred_at": at, "recorded_at": at}
        life.choices.append(NudgeChoice(action_id=f"a{step}", learner_id="somebody", choice=choice, until=until, **times))
        life.choices.sort(key=lambda one: one.occurred_at)


def _spells(rng: random.Random, at: datetime) -> tuple[Spell, ...]:
    """One that ended, or one that is still open; the edge may be this very moment."""
    away = timedelta(hours=rng.choice((0, 0, 12, 100)))
    return rng.choice(((Spell(since=at - timedelta(days=90), until=at + away),), (Spell(since=at + away),)))


if __name__ == "__main__":
    sys.exit(main())
