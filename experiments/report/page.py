"""A reading as one page of HTML: no script, no network, drawn by itself."""

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Final

from experiments.analysis import Reading
from experiments.comparisons import Comparison
from experiments.health import Check
from experiments.inference.estimates import Estimate, Inconclusive
from experiments.report.charts import Bar, intervals
from experiments.report.history import fading, trajectory
from experiments.report.method import expected, method
from experiments.report.parts import segments
from experiments.report.prices import notes, prices
from experiments.report.style import STYLE
from experiments.verdict import standing
from experiments.words import amount, chance, difference, interval, number, registered

_CLASSES: Final = {"ship": "ship", "do not ship": "stop", "broken": "stop", "keep running": "wait"}
_STANDINGS: Final = {
    "within": ("within", "✓ within its margin"),
    "worse": ("worse", "✗ worse than its margin"),
    "not shown": ("unknown", "? not shown to be within its margin"),
}
_NEXT: Final = {
    "ship": "What to do: give it to everybody. What is below says how far to trust that.",
    "do not ship": "What to do: keep what you have. What is below says how far to trust that.",
    "keep running": "What to do: wait, and do not stop because a number looks good.",
    "broken": "What to do: mend what Health names and run it again. There is no number to argue about.",
}


def page(reading: Reading) -> str:
    """The whole page. Everything that is not written here is escaped."""
    name = escape(reading.design.name)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}: {escape(reading.verdict.short)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body><main>'
        f"<header><p class=over>Experiment report</p><h1>{name}</h1>{_verdict(reading)}{_facts(reading)}</header>"
        f"{expected(reading)}{notes(reading)}{_health(reading)}{_primary(reading)}{_guardrails(reading)}{_goals(reading)}"
        f"{trajectory(reading)}{fading(reading)}{segments(reading)}{prices(reading)}{_otherwise(reading)}{method(reading)}"
        f"<footer>Design <code>{reading.design.digest}</code></footer></main></body></html>"
    )


def _verdict(reading: Reading) -> str:
    short = reading.verdict.short
    arm = f" {reading.verdict.arm}" if reading.verdict.kind == "ship" else ""
    reason = reading.verdict.reason
    return (
        f'<div class="verdict {_CLASSES[reading.verdict.kind]}"><b>{escape(short[0].upper() + short[1:] + arm)}</b>'
        f"<p>{escape(reason[0].upper() + reason[1:])}.</p><p class=note>{_NEXT[reading.verdict.kind]}</p></div>"
    )


def _facts(reading: Reading) -> str:
    arms = ", ".join(f"{arm} {count:,}" for arm, count in reading.health.units.items())
    days = "" if reading.began is None else f"{reading.began} to {reading.ended}"
    told = {
        "Data": days,
        "Horizon": "" if reading.horizon is None else str(reading.horizon),
        "Unit": reading.design.unit,
        "Units": arms,
        "Health": f"all {len(reading.health.checks)} checks passed" if not reading.health.failed else "",
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in told.items() if text)
    return f"<dl>{items}</dl>"


def _health(reading: Reading) -> str:
    failed = len(reading.health.failed)
    note = (
        "All checks passed: the data can carry a result."
        if not failed
        else "A failed check withholds the result: it could only mislead."
    )
    return f"<section><h2>Health</h2><p>{note}</p><ul class=checks>{''.join(map(_check, reading.health.checks))}</ul></section>"


def _check(one: Check) -> str:
    kind, sign, told = ("", "✓", "passed") if one.passed else (" class=failed", "✗", "failed")
    return f"<li{kind}><i role=img aria-label={told}>{sign}</i><b>{escape(one.title)}</b><span>{escape(one.found)}</span></li>"


def _primary(reading: Reading) -> str:
    found = reading.of("primary")
    if not found:
        return ""
    shown = found[0].measure
    mark = None if shown.bar is None else shown.signed(shown.bar)
    note = (
        ""
        if mark is None
        else f"<p class=note>Dashed: the least effect that is worth it, {registered(mark, relative=shown.relative)}.</p>"
    )
    winning = "".join(map(_winning, found)) if reading.design.peeking == "fixed" else ""  # a chance knows nothing of peeking
    scale = "as a share of the control's mean" if shown.relative else "in the metric's own units"
    return (
        f"<section><h2>{escape(shown.name)}, which decides</h2><p>Difference to {escape(reading.design.control)}, {scale}. "
        f"Dot: the estimate. Line: its 95 % interval; where it crosses zero, chance alone can explain it.</p>"
        f"<div class=card>{_chart(found, mark)}{note}</div>{_table(found, reading, shown.name)}{winning}</section>"
    )


def _winning(one: Comparison) -> str:
    if one.winning is None:
        return ""
    return (
        f"<p>If nothing was known before, the chance that {escape(one.arm)} is better than the control is "
        f"<b>{_percent(one.winning)}</b>. The verdict does not rest on it.</p>"
    )


def _percent(share: float) -> str:
    return "above 99.9 %" if share > 0.999 else "below 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")


def _guardrails(reading: Reading) -> str:
    found = reading.of("guardrail")
    if not found:
        return ""
    names = list(dict.fromkeys(one.name for one in found))
    cards = "".join(_guardrail([one for one in found if one.name == name]) for name in names)
    return (
        "<section><h2>Guardrails, which must not get worse</h2><p>Each is kept where its interval lies wholly on the good side "
        f"of its margin, the dashed line.</p>{cards}</section>"
    )


def _guardrail(found: Sequence[Comparison]) -> str:
    shown = found[0].measure
    margin = shown.signed(-(shown.bar or 0.0))
    good = "more is better" if shown.up else "less is better"
    at = registered(margin, relative=shown.relative)
    states = "".join(map(_standing, found))
    return (
        f"<div class=card><h3>{escape(shown.name)}</h3><p class=note>{good}; margin {at}</p>"
        f"{_chart(found, margin)}{states}</div>"
    )


def _standing(one: Comparison) -> str:
    kind, told = _STANDINGS[standing(one)]
    return f"<p>{escape(one.arm)}: <b class={kind}>{told}</b></p>"


def _goals(reading: Reading) -> str:
    found = reading.of("goal")
    if not found:
        return ""
    return (
        "<section><h2>Other goals</h2><p>They do not decide. Their p-values are adjusted for there being several.</p>"
        f"{_table(found, reading, 'Other goals')}</section>"
    )


def _chart(found: Sequence[Comparison], mark: float | None) -> str:
    shown = found[0].measure
    drawn = [
        Bar(
            one.arm,
            f"{amount(one.found.value, shown)} ({interval(one.found, shown)})",
            one.found.low,
            one.found.value,
            one.found.high,
        )
        for one in found
        if isinstance(one.found, Estimate)
    ]
    silent = "".join(
        f"<p>{escape(one.arm)}: no estimate, {escape(one.found.reason)}.</p>"
        for one in found
        if isinstance(one.found, Inconclusive)
    )
    write = partial(registered, relative=shown.relative)
    return (intervals(drawn, write, mark=mark, up=shown.up) if drawn else "") + silent


def _table(found: Sequence[Comparison], reading: Reading, label: str) -> str:
    rows = "".join(_row(one, reading) for one in found)
    heads = "".join(
        f"<th scope=col>{name}</th>"
        for name in ("Metric", "Arm", "Control's mean", "Arm's mean", "Difference", "95 % interval", "p")
    )
    return (
        f'<div class=scroll tabindex=0 role=region aria-label="{escape(label, quote=True)}"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(one: Comparison, reading: Reading) -> str:
    means = [number(sample.mean) if sample else "–" for sample in (one.control_sample, one.arm_sample)]
    if isinstance(one.found, Inconclusive):
        last = f"<td colspan=3>{escape(one.found.reason)}</td>"
    else:
        low, high = amount(one.found.low, one.measure), amount(one.found.high, one.measure)
        p_value = (reading.adjusted_p or {}).get((one.name, one.arm), one.found.p_value)
        last = f"<td>{amount(one.found.value, one.measure)}</td><td>{low} to {high}</td><td>{chance(p_value)}</td>"
    return (
        f"<tr><th scope=row>{escape(one.name)}</th><td>{escape(one.arm)}</td><td>{means[0]}</td><td>{means[1]}</td>{last}</tr>"
    )


def _otherwise(reading: Reading) -> str:
    """The primary by the ways that were not registered: to see, not to choose from."""
    found = reading.of("primary")
    if not found:
        return ""
    rows = "".join(_ways(one) for one in found)
    return (
        "<section><h2>Read in other ways</h2><p>What was registered decides. The others are here so that nobody has to ask.</p>"
        '<div class=scroll tabindex=0 role=region aria-label="Other ways"><table><thead><tr><th scope=col>Way</th>'
        f"<th scope=col>Arm</th><th scope=col>Difference</th><th scope=col>95 % interval</th></tr></thead><tbody>{rows}</tbody>"
        "</table></div></section>"
    )


def _ways(one: Comparison) -> str:
    ways = {"At one look": (one.at_one_look, one.measure.relative), "At any look": (one.at_any_look, one.measure.relative)}
    if one.saved is not None:
        ways["Without what is known from before"] = (one.unadjusted, one.measure.relative)
    scale = "In the metric's own units" if one.measure.relative else "As a share of the control's mean"
    ways[scale] = (one.other, not one.measure.relative)
    return "".join(_way(name, one.arm, found, relative=relative) for name, (found, relative) in ways.items())


def _way(name: str, arm: str, found: Estimate | Inconclusive, *, relative: bool) -> str:
    told = (
        f"<td colspan=2>{escape(found.reason)}</td>" if isinstance(found, Inconclusive) else _numbers(found, relative=relative)
    )
    return f"<tr><th scope=row>{name}</th><td>{escape(arm)}</td>{told}</tr>"


def _numbers(found: Estimate, *, relative: bool) -> str:
    value, low, high = (difference(one, relative=relative) for one in (found.value, found.low, found.high))
    return f"<td>{value}</td><td>{low} to {high}</td>"
