"""`/preview/{learner_id}` as one page of HTML: what a learner would be shown now, why, and why not. No script, no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import quote

from features.catalogue import Item, Learner
from features.decisions import Decision, Row, SlateItem
from serving.nudging.considered import NudgeNow
from serving.payloads import Gap, GapsAnswer, LearnerSkill, SkillsAnswer
from serving.prepared import Prepared
from serving.progress.payloads import ProgressAnswer
from serving.questions.payloads import Compared, ItemExplained
from serving.questions.progress import nudge_part, progress_part
from serving.questions.style import STYLE

HIGHEST: Final = 5
"""The highest level of a skill."""
_SKILLS: Final = 12
_OUTCOMES: Final = {
    "shown": "Shown",
    "removed": "Not shown",
    "scored_less": "Not shown",
    "unknown_item": "Unknown",
    "not_recorded": "Not shown",
}
_FALLBACKS: Final = {
    "personalisation_off": "Personalisation is off: what this learner did is not used or shown, but leaves out what is done.",
    "model_failed": "The model failed: popularity ranks.",
    "experiment_bundle_unavailable": "The bundle of this learner's arm of an experiment cannot be loaded: the champion ranks.",
}


@dataclass(frozen=True)
class Preview:
    """What the page shows. `learner`: None where the catalogue does not know them. `why`: of the item that was asked about."""

    learner_id: str
    learner: Learner | None
    stock: Prepared
    decision: Decision
    why: ItemExplained | None
    near: Sequence[ItemExplained]
    skills: SkillsAnswer
    gaps: GapsAnswer
    nudge: NudgeNow
    progress: ProgressAnswer


def page(shown: Preview) -> str:
    """The whole page. Everything that is not written here is escaped."""
    name = escape(shown.learner_id)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Preview: {name}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body><main>'
        f"<header><p class=over>Preview</p><h1>{name}</h1>{_about(shown)}"
        "<p class=note>What this learner would be shown now, in the words they would read. Nothing is recorded as shown, and "
        f"nothing is left to chance.</p>{_fallback(shown.decision.fallback)}</header>"
        f"{_rows(shown)}{_asked(shown)}{_near(shown)}{_gaps(shown.gaps)}{_skills(shown.skills)}"
        f"{progress_part(shown.progress)}{nudge_part(shown.nudge)}"
        f"<footer>{shown.decision.decided_at:%Y-%m-%d %H:%M} UTC · bundle <code>{escape(shown.decision.bundle)}</code></footer>"
        "</main></body></html>"
    )


def _about(shown: Preview) -> str:
    learner = shown.learner
    if learner is None:
        return "<p>The catalogue does not know this learner.</p>"
    role = shown.stock.bundle.catalogue.roles.get(learner.role_id or "") if learner.personalisation else None
    facts = {
        "Role": None if role is None else role.name,
        "Unit": learner.org_unit,
        "Audiences": ", ".join(learner.audiences),
        "Languages": ", ".join(learner.languages),
        "Status": None if learner.status == "active" else learner.status,
    }
    told = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items() if text)
    return f"<dl>{told}</dl>" if told else ""


def _fallback(fallback: str | None) -> str:
    return "" if fallback is None else f"<p class=alert>{escape(_FALLBACKS.get(fallback, fallback))}</p>"


def _rows(shown: Preview) -> str:
    rows = "".join(_row(shown.stock, row) for row in shown.decision.rows)
    return rows or "<section><h2>Nothing to show</h2><p>No item is left for this learner; ask below why.</p></section>"


def _row(stock: Prepared, row: Row) -> str:
    start = row.items[0].position + 1
    items = "".join(_item(stock, item) for item in row.items)
    return f'<section><h2>{escape(row.title)}</h2><ol class=cards start="{start}">{items}</ol></section>'


def _item(stock: Prepared, item: SlateItem) -> str:
    known = stock.names.get(item.item_id)
    title = item.item_id if known is None else known.title
    first, *more = item.reasons or ("",)
    others = f"<ul class=more>{''.join(f'<li>{escape(one)}</li>' for one in more)}</ul>" if more else ""
    return (
        f"<li>{_heading(known, item.item_id)}<p class=meta>{_meta(known)}</p><p class=reason>{escape(first)}</p>{others}"
        f"<p class=ask>{_link(item.item_id, 'Why this?', title)}</p></li>"
    )


def _heading(item: Item | None, item_id: str) -> str:
    """Its title, marked as being in its language, where it is in one."""
    if item is None:
        return f"<h3>{escape(item_id)}</h3>"
    lang = f' lang="{escape(item.languages[0])}"' if len(item.languages) == 1 else ""
    return f"<h3{lang}>{escape(item.title)}</h3>"


def _meta(item: Item | None) -> str:
    if item is None:
        return ""
    minutes = None if item.duration_s is None else f"{item.duration_s / 60:.0f} min"
    told = (item.type.replace("_", " "), minutes, ", ".join(item.languages))
    return escape(" · ".join(one for one in told if one))


def _link(item_id: str, text: str, about: str) -> str:
    """To the same page with the question; its text tells a screen reader of which item."""
    return f'<a href="?why={quote(item_id, safe="")}#answer">{text}<span class=hidden> {escape(about)}</span></a>'


def _asked(shown: Preview) -> str:
    value = "" if shown.why is None else escape(shown.why.item_id, quote=True)
    answer = "" if shown.why is None else _answer(shown.stock, shown.why)
    return (
        '<section id=answer><h2>Why, or why not?</h2><form method=get action="#answer">'
        f'<label for=why>Id of an item</label><div class=line><input id=why name=why value="{value}" maxlength=256 required '
        f"autocomplete=off><button>Ask</button></div></form>{answer}</section>"
    )


def _answer(stock: Prepared, told: ItemExplained) -> str:
    change = f"<p><strong>What would have to change:</strong> {escape(told.change)}</p>" if told.change else ""
    also = f"<p class=meta>Would remove it as well: {escape(', '.join(told.also))}</p>" if told.also else ""
    return (
        f"<div class=answer role=status>{_named(stock, told)}<p class=meta>{_outcome(told)}</p>"
        f"<p>{escape(told.why)}</p>{change}{also}{_parts(told)}</div>"
    )


def _named(stock: Prepared, told: ItemExplained) -> str:
    """The heading of an answer: an item that must not be named has no title there."""
    return _heading(None if told.title is None else stock.names.get(told.item_id), told.item_id)


def _outcome(told: ItemExplained) -> str:
    by = f" · {escape(told.stage)}: <code>{escape(told.rule)}</code>" if told.rule and told.stage else ""
    return f"<b>{_OUTCOMES[told.outcome]}</b> · <code>{escape(told.item_id)}</code>{by}"


def _parts(told: ItemExplained) -> str:
    if told.compared is not None:
        return _compared(told.compared)
    if told.shown is None:
        return ""
    parts = {**told.shown.parts, "Score": told.shown.score}
    rows = "".join(f"<tr><th scope=row>{escape(name)}</th><td>{part:+.3f}</td></tr>" for name, part in parts.items())
    return f"<table><caption>Parts of its score</caption>{rows}</table>"


def _compared(told: Compared) -> str:
    last, parts = told.last, {**told.parts, "Score": told.score}
    theirs = {} if last is None else {**last.parts, "Score": last.score}
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{part:+.3f}</td>"
        + (f"<td>{theirs[name]:+.3f}</td><td>{part - theirs[name]:+.3f}</td>" if theirs else "")
        + "</tr>"
        for name, part in parts.items()
    )
    head = "<th scope=col>Last shown</th><th scope=col>Difference</th>" if theirs else ""
    return (
        "<table><caption>Parts of its score, beside the last one shown</caption>"
        f"<tr><th scope=col>Part</th><th scope=col>This</th>{head}</tr>{rows}</table>"
    )


def _near(shown: Preview) -> str:
    items = "".join(
        f"<li>{_named(shown.stock, one)}<p class=reason>{escape(one.why)}</p>"
        f"<p class=ask>{_link(one.item_id, 'Why not this?', one.title or one.item_id)}</p></li>"
        for one in shown.near
    )
    return f"<section><h2>Close, but not shown</h2><ul class=cards>{items}</ul></section>" if items else ""


def _gaps(told: GapsAnswer) -> str:
    if not told.gaps:
        return ""
    items = "".join(_gap(one) for one in told.gaps)
    return f"<section><h2>Gaps to the role</h2><ul class=levels>{items}</ul></section>"


def _gap(gap: Gap) -> str:
    best = f"<p class=meta>Closes most of it: {escape(gap.items[0].title)}</p>" if gap.items else ""
    return (
        f"<li><h3>{escape(gap.name)}</h3><p class=meta>level {gap.present:.1f} of {gap.expected:.1f} expected</p>"
        f"{_bar(gap.present, gap.expected)}{best}</li>"
    )


def _skills(told: SkillsAnswer) -> str:
    if not told.skills:
        return ""
    items = "".join(_skill(one) for one in told.skills[:_SKILLS])
    left = len(told.skills) - _SKILLS
    more = f"<p class=meta>And {left} more.</p>" if left > 0 else ""
    return f"<section><h2>Skills</h2><ul class=levels>{items}</ul>{more}</section>"


def _skill(skill: LearnerSkill) -> str:
    expected = "" if skill.expected is None else f" of {skill.expected:.1f} expected"
    return (
        f"<li><h3>{escape(skill.name)}</h3><p class=meta>level {skill.level:.1f}{expected}, {escape(skill.evidence)}</p>"
        f"{_bar(skill.level, skill.expected)}</li>"
    )


def _bar(level: float, expected: float | None) -> str:
    """The level as a bar, and where the expectation stands; the text above says the same."""
    mark = "" if expected is None else f'<i style="left:{_percent(expected)}%"></i>'
    return f'<div class=bar aria-hidden=true><b style="width:{_percent(level)}%"></b>{mark}</div>'


def _percent(level: float) -> int:
    return round(100 * min(max(level / HIGHEST, 0.0), 1.0))
