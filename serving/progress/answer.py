"""`GET /v1/learners/{learner_id}/progress`: reads what is known of a learner and of who vouched for them, and works it out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final

from features.events import Event
from features.progress.applied import People
from features.progress.points import Award, Points, points, week_of
from features.progress.quests import Step
from features.progress.settings import ProgressSettings
from features.progress.streaks import Calendar, Streak, streak
from features.store import TenantSession
from serving.nudging.known import Known, more_skills
from serving.nudging.limits import zone_of
from serving.nudging.settings import NudgeSettings
from serving.prepared import Prepared
from serving.problems import later
from serving.progress.payloads import (
    DueSkill,
    KeptWeek,
    LearnerPoints,
    LearnerQuest,
    LearnerStreak,
    PendingPoints,
    ProgressAnswer,
    ProgressQuery,
    QuestItem,
    QuestStep,
    VestedPoints,
)
from serving.progress.quests import QuestNow, quests_of
from serving.progress.vouching import people_of
from serving.rules.language import Rule
from serving.runtime import NotReadyError, Runtime, StoreDownError
from serving.skills import Asked, check_id, head_of, moment_of, never_heard_of, read_query

MOST: Final = 100
"""Events, or weeks, that an answer lists."""
_ITEMS: Final = 5


async def progress(runtime: Runtime, tenant: str, learner_id: str, asked: Asked) -> ProgressAnswer:
    """The answer of `/progress`. Raises RefusedError: 400, 404 for somebody never heard of, 503."""
    check_id(learner_id)
    at = moment_of(runtime, read_query(ProgressQuery, asked).at)
    policy = runtime.policy
    try:
        stock = runtime.stock(tenant)
        rules = policy.rules_of(tenant)
        known, people = await runtime.beside(tenant, lambda session: read(session, learner_id, at, stock, rules))
    except (NotReadyError, StoreDownError) as error:
        raise later(error) from error
    if known.learner is None and not known.given:
        raise never_heard_of(learner_id, at)
    return await runtime.worked_out(len(known.given), lambda: progress_of(known, people, policy.progress, policy.nudges))


def read(
    session: TenantSession, learner_id: str, at: datetime, stock: Prepared, rules: Sequence[Rule] = ()
) -> tuple[Known, People]:
    """What the store knows at `at` of a learner, and of what passed between them and those who vouched for them."""
    events = session.history(learner_id, known_by=at)
    known = Known(
        stock,
        learner_id,
        at,
        session.learner(learner_id, at=at),
        events,
        leaves=session.leaves(learner_id, at=at),
        grants=session.grants(at=at) if stock.granted else (),
        rules=rules,
        more_skills=more_skills(session, stock, events),
    )
    return known, people_of(session, known)


def progress_of(known: Known, people: People, settings: ProgressSettings, nudges: NudgeSettings) -> ProgressAnswer:
    """The answer at `known.at`. Pure."""
    head = head_of(known.stock, known.learner_id, known.learner, known.at)
    if head["fallback"] is not None:
        return ProgressAnswer(**head, settings=settings.digest, points=None, streak=None, quests=None)
    zone = zone_of("UTC" if known.learner is None else known.learner.timezone) or UTC
    behind = {skill: why for skill, (_, why) in known.skills.items()}
    work = nudges.calendars.get((known.learner and known.learner.work_calendar) or "", nudges.calendar)
    calendar = Calendar(zone, work.works, known.leaves)
    stock = known.stock
    kept = streak(behind, known.events, stock.names, known.at, stock.bundle.proposals, known.expects, calendar)
    return ProgressAnswer(
        **head,
        settings=settings.digest,
        points=_points(known, points(behind, settings, people, known.at, zone), week_of(known.at, zone), calendar),
        streak=_streak(known, kept),
        quests=tuple(_quest(known, one) for one in quests_of(known, items=_ITEMS)[: settings.quests]),
    )


def _points(known: Known, found: Points, week: date, calendar: Calendar) -> LearnerPoints:
    this_week = (one.points for one in found.awards if week_of(one.event.occurred_at, calendar.zone) == week)
    return LearnerPoints(
        total=_rounded(found.total),
        this_week=_rounded(sum(this_week)),
        pending_total=_rounded(sum(one.points for one in found.pending)),
        events=len(found.awards),
        vested=tuple(_vested(known, one) for one in found.awards[:MOST]),
        pending=tuple(
            PendingPoints(
                event_id=one.event.event_id,
                skill=one.skill,
                name=known.skill(one.skill),
                points=_rounded(one.points),
                until=one.until,
            )
            for one in found.pending[:MOST]
        ),
    )


def _vested(known: Known, one: Award) -> VestedPoints:
    return VestedPoints(
        event_id=one.event.event_id,
        verb=one.event.verb,
        kind=one.kind,
        skill=one.skill,
        name=known.skill(one.skill),
        occurred_at=one.event.occurred_at,
        points=_rounded(one.points),
        learned=_rounded(one.learned),
        learned_by=None if one.learned_by is None else one.learned_by.event_id,
        repeats=one.repeats,
        given=one.given,
        capped=_rounded(one.capped),
    )


def _streak(known: Known, found: Streak) -> LearnerStreak:
    kept = [
        KeptWeek(week=one.week, skill=one.skill, name=known.skill(one.skill), event_id=one.event.event_id)
        for one in found.kept[:MOST]
    ]
    due = [DueSkill(skill=one.skill, name=known.skill(one.skill), falls_at=one.falls, until=one.until) for one in found.due]
    return LearnerStreak(
        weeks=found.weeks, longest=found.longest, broken_at=found.broken_at, kept=tuple(kept), due=tuple(due[:MOST])
    )


def _quest(known: Known, one: QuestNow) -> LearnerQuest:
    done: Mapping[Step, Event] = one.quest.done
    return LearnerQuest(
        skill=one.quest.skill,
        name=known.skill(one.quest.skill),
        expected=one.quest.expected,
        present=_rounded(one.present),
        gap=_rounded(one.quest.gap),
        steps=tuple(QuestStep(step=step, done_by=done[step].event_id if step in done else None) for step in Step),
        next=one.quest.next,
        items=tuple(QuestItem(item_id=item.id, title=item.title, begun=item.begun) for item in one.items),
    )


def _rounded(value: float) -> float:
    return round(value, 4)
