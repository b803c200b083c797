"""The page's section about parts of the audience."""

from html import escape

from experiments.analysis import Reading
from experiments.parts import FEWEST, Segment
from experiments.report.charts import KEY, PALE, Bar, intervals
from experiments.words import amount, chance, registered


def segments(reading: Reading) -> str:
    """Each segment's effects, drawn towards the whole."""
    if not reading.segments:
        return ""
    cards = "".join(_segment(one, reading) for one in reading.segments)
    return (
        f"<section><h2>Parts of the audience</h2><p>{PALE} Pale: what a part's own data say. {KEY} Dark: the same "
        "drawn towards the whole by as much as its noise calls for, which is the better guess, and which the words give. "
        "Look here for questions, not for verdicts.</p>"
        f"{cards}</section>"
    )


def _segment(one: Segment, reading: Reading) -> str:
    shown = reading.of("primary")[0].measure
    bars = [
        Bar(
            part.value_of,
            f"{amount(part.value, shown)} ({amount(part.low, shown)} to {amount(part.high, shown)}), {part.n:,} units",
            part.low,
            part.value,
            part.high,
            (part.alone.low, part.alone.high),
        )
        for part in one.parts
    ]
    apart = "They differ by more than chance" if one.differ_p < 0.05 else "They differ no more than chance makes them"
    hidden = f" {one.hidden} small or untested parts are not shown; a part needs {FEWEST} in each arm." if one.hidden else ""
    drawn = intervals(bars, lambda value: registered(value, relative=shown.relative), up=shown.up)
    return (
        f"<div class='card tall'><h3>{escape(one.name)}: {escape(one.arm)}</h3>{drawn}"
        f"<p>{apart} (p = {chance(one.differ_p)}).{hidden}</p></div>"
    )
