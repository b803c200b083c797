"""The page's sections that only an experiment which ran here has: how its data came about, and what each arm cost."""

from html import escape

from experiments.analysis import Reading
from experiments.prices import Price
from experiments.words import number


def notes(reading: Reading) -> str:
    """What a reader must know first."""
    if not reading.notes:
        return ""
    return f"<section><h2>What is read</h2>{''.join(f'<p>{escape(one)}</p>' for one in reading.notes)}</section>"


def prices(reading: Reading) -> str:
    """Messages and milliseconds of each arm."""
    if not reading.prices:
        return ""
    heads = ("Arm", "Learners", "Decisions", "Nudges sent", "Nudges a learner", "Ranking, median", "Ranking, 95th of 100")
    head = "".join(f"<th scope=col>{one}</th>" for one in heads)
    rows = "".join(map(_row, reading.prices))
    return (
        "<section><h2>What it costs</h2><p>Messages to the learners of an arm from their first exposure on, while it ran, "
        "whatever they were about, and the milliseconds that a ranking in the arm takes the service.</p>"
        '<div class=scroll tabindex=0 role=region aria-label="What it costs"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _row(one: Price) -> str:
    cells = (
        f"{one.learners:,}",
        f"{one.decisions:,}",
        f"{one.nudges:,}",
        number(one.nudges_per_learner),
        _ms(one.ranking_ms_p50),
        _ms(one.ranking_ms_p95),
    )
    return f"<tr><th scope=row>{escape(one.arm)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{number(value)}\u00a0ms"
