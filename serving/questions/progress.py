"""The parts of the preview page about nudges and progress."""

from html import escape
from typing import Final

from serving.nudging.considered import ArmNow, NudgeNow
from serving.progress.payloads import LearnerPoints, LearnerQuest, LearnerStreak, ProgressAnswer

_AWARDS: Final = 5
"""Pieces of evidence that are listed; the answer of `/progress` has them all."""


def nudge_part(now: NudgeNow) -> str:
    """Whether a nudge would be said now, what keeps it silent, and each arm with its chance."""
    rows = "".join(_arm(one) for one in now.arms)
    return (
        f"<section><h2>Nudge</h2>{_limit(now)}<table class=wide><caption>What could be said, and how likely it is drawn "
        "where no limit holds. Nothing is said or recorded by looking.</caption>"
        "<tr><th scope=col>About</th><th scope=col>Chance</th>"
        f"<th scope=col>Why, or why not</th></tr>{rows}</table></section>"
    )


def _limit(now: NudgeNow) -> str:
    if now.withheld is None or now.words is None:
        return "<p>No limit holds: one may be said now.</p>"
    later = "" if now.next_allowed_at is None else f" One may be said from {now.next_allowed_at:%Y-%m-%d %H:%M} UTC on."
    return f"<p class=alert>{escape(now.words)} (<code>{now.withheld.value}</code>), so nothing is said.{later}</p>"


def _arm(one: ArmNow) -> str:
    chance = "-" if one.propensity is None else f"{100 * one.propensity:.0f} %"
    return f"<tr><th scope=row>{one.arm.value}</th><td>{chance}</td><td>{escape(one.why)}</td></tr>"


def progress_part(told: ProgressAnswer) -> str:
    """Points, streak and quests; nothing where there is no profile."""
    if told.points is None or told.streak is None:
        return ""
    quests = "".join(_quest(one) for one in told.quests or ())
    listed = f"<ul class=levels>{quests}</ul>" if quests else ""
    return f"<section><h2>Progress</h2>{_points(told.points)}{_streak(told.streak)}{listed}</section>"


def _points(points: LearnerPoints) -> str:
    awards = "".join(
        f"<li>{one.points:g} for {escape(one.name)}: {escape(one.kind.value.replace('_', ' '))} on {one.occurred_at:%Y-%m-%d} "
        f"(<code>{escape(one.event_id)}</code>)</li>"
        for one in points.vested[:_AWARDS]
    )
    waiting = f"; {points.pending_total:g} wait for what was learned to be applied" if points.pending else ""
    return f"<p>{points.total:g} points for skills applied{waiting}.</p>" + (f"<ul class=more>{awards}</ul>" if awards else "")


def _streak(streak: LearnerStreak) -> str:
    due = f" Due now: {escape(', '.join(one.name for one in streak.due))}." if streak.due else ""
    weeks = "1 week" if streak.weeks == 1 else f"{streak.weeks} weeks"
    return f"<p>{weeks} in which something was refreshed in time.{due}</p>"


def _quest(quest: LearnerQuest) -> str:
    steps = ", ".join(f"{one.step.value} {'done' if one.done_by else 'open'}" for one in quest.steps)
    best = f"<p class=meta>Next, {quest.next.value}: {escape(quest.items[0].title)}</p>" if quest.items else ""
    return f"<li><h3>{escape(quest.name)}</h3><p class=meta>{steps}</p>{best}</li>"
