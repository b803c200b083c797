"""The page's sections about time: how the result came about, and whether the effect wears off."""

from html import escape

from experiments.analysis import Fading, Look, Reading
from experiments.inference.estimates import Estimate
from experiments.report.charts import DASH, KEY, PALE, band, points
from experiments.words import amount, difference, registered


def trajectory(reading: Reading) -> str:
    """The primary as it was known day by day, with the band that is right at all looks."""
    arms = list(dict.fromkeys(look.arm for look in reading.looks))
    drawn = "".join(_way(arm, [look for look in reading.looks if look.arm == arm], reading) for arm in arms)
    if not drawn:
        return ""
    shown, control = reading.of("primary")[0].measure, escape(reading.design.control)
    scale = "as a share of its mean" if shown.relative else "in the metric's own units"
    return (
        f"<section><h2>How it went</h2><p>From left to right: the days. {KEY} The difference to {control}, {scale}, as it was "
        f"known at the end of each day. {PALE} Its 95 % band, right at all looks together: it may be watched. While it holds "
        f"zero, nothing is shown.{_worth(reading)}</p>{drawn}</section>"
    )


def _worth(reading: Reading) -> str:
    return "" if reading.design.primary.minimum_effect is None else f" {DASH} The least effect that is worth it."


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
    drawn = "".join(_fading(one, reading) for one in reading.fading)
    if not drawn:
        return ""
    return (
        "<section><h2>Does it wear off?</h2><p>A new thing often works only while it is new. From left to right: the days "
        "since a unit was assigned. Dot: the difference a unit makes on that day, in the metric's own units; line: its 95 % "
        f"interval. Counted are units that were followed through all of these days.</p>{drawn}</section>"
    )


def _fading(one: Fading, reading: Reading) -> str:
    days = [day for day in one.days if isinstance(day, Estimate)]
    if len(days) < 2:
        return ""
    change = _change(one, reading)
    drawn = points(
        [day.low for day in days],
        [day.value for day in days],
        [day.high for day in days],
        lambda value: registered(value, relative=False),
        ends=("first day", f"day {len(one.days)}"),
        told=f"{one.arm}, by day since assignment. {change}",
    )
    return f"<div class=card><h3>{escape(one.arm)}</h3>{drawn}<p>{escape(change)}</p></div>"


def _change(one: Fading, reading: Reading) -> str:
    if not isinstance(one.later, Estimate):
        return f"Whether it changes cannot be told: {one.later.reason}."
    value, low, high = (difference(number, relative=False) for number in (one.later.value, one.later.low, one.later.high))
    told = f"From the earlier to the later half it changes by {value} a day (95 % interval {low} to {high})"
    if not one.later.excludes(0):
        return f"No sign that it wears off or grows. {told}."
    worse = reading.of("primary")[0].measure.signed(one.later.value) < 0
    return f"It gets {'worse' if worse else 'better'} with time. {told}."
