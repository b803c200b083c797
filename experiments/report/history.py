"""The page's sections about time: how the result came about, and whether the effect wears off."""

from html import escape

from experiments.analysis import Fading, Look, Reading
from experiments.inference.estimates import Estimate
from experiments.report.charts import band, points
from experiments.words import amount, difference, registered


def trajectory(reading: Reading) -> str:
    """The primary as it was known day by day, with the band that is right at all looks."""
    arms = list(dict.fromkeys(look.arm for look in reading.looks))
    drawn = "".join(_way(arm, [look for look in reading.looks if look.arm == arm], reading) for arm in arms)
    if not drawn:
        return ""
    return (
        "<section><h2>How it went</h2><p>The line is the difference as it was known at the end of each day. The band is right "
        f"at all looks together: it may be watched. While it holds zero, nothing is shown.</p>{drawn}</section>"
    )


def _way(arm: str, looks: list[Look], reading: Reading) -> str:
    if len(looks) < 2:
        return ""
    shown, last = reading.of("primary")[0].measure, looks[-1].found
    told = (
        f"{arm}, {looks[0].day} to {looks[-1].day}: at the end {amount(last.value, shown)}, band {amount(last.low, shown)} to "
    )
    drawn = band(
        [look.found.low for look in looks],
        [look.found.value for look in looks],
        [look.found.high for look in looks],
        lambda value: registered(value, relative=shown.relative),
        ends=(str(looks[0].day), str(looks[-1].day)),
        told=told + amount(last.high, shown),
        mark=None if shown.bar is None else shown.signed(shown.bar),
    )
    return f"<div class=card><h3>{escape(arm)}</h3>{drawn}</div>"


def fading(reading: Reading) -> str:
    """The effect by day since assignment."""
    drawn = "".join(_fading(one) for one in reading.fading)
    if not drawn:
        return ""
    return (
        "<section><h2>Does it wear off?</h2><p>The difference on each day after a unit was assigned, for units that were "
        f"followed through all of these days. A new thing often works only while it is new.</p>{drawn}</section>"
    )


def _fading(one: Fading) -> str:
    days = [day for day in one.days if isinstance(day, Estimate)]
    if len(days) < 2:
        return ""
    drawn = points(
        [day.low for day in days],
        [day.value for day in days],
        [day.high for day in days],
        lambda value: registered(value, relative=False),
        ends=("first day", f"day {len(one.days)}"),
        told=f"{one.arm}, by day since assignment. {_change(one)}",
    )
    return f"<div class=card><h3>{escape(one.arm)}</h3>{drawn}<p>{escape(_change(one))}</p></div>"


def _change(one: Fading) -> str:
    if not isinstance(one.later, Estimate):
        return f"Whether it changes cannot be told: {one.later.reason}."
    value, low, high = (difference(number, relative=False) for number in (one.later.value, one.later.low, one.later.high))
    told = f"From the earlier to the later half it changes by {value} a day (95 % interval {low} to {high})"
    return f"{told}." if one.later.excludes(0) else f"{told}: no sign that it wears off or grows."
