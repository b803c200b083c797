"""What each arm is about, on a company of six items, and that an import alone is no reason to speak."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from acme import LEARNERS, NOW, event

from features.catalogue import Assignment, Learner
from features.duties import Duty, Leave
from features.events import Event, Verb
from features.nudges import Arm, Channel, Nudge
from serving.nudging.arms import Known, Option, Options, fresh, options
from serving.prepared import Prepared

DAY = timedelta(days=1)
ANA = LEARNERS[0]


def known(stock: Prepared, *events: Event, learner: Learner | None = ANA, **more: Any) -> Options:
    given = sorted(events, key=lambda one: one.occurred_at)
    return options(Known(stock, "ana", NOW, learner, given, **more))


def about(found: Options, arm: Arm) -> list[tuple[str | None, str | None]]:
    return [(one.item_id, one.skill_id) for one in found.get(arm, ())]


def did(verb: Verb, thing: str, days: float, **more: Any) -> Event:
    return event("ana", verb, thing, at=NOW - days * DAY, **more)


def duty(name: str, item: str, days: float | None, **more: Any) -> Duty:
    due = None if days is None else NOW + days * DAY
    return Duty(Assignment(id=name, item_id=item, learner_id="ana", due_at=due, **more), NOW - 300 * DAY)


def test_nothing_is_said_of_somebody_of_whom_nothing_is_known(stock: Prepared) -> None:
    assert known(stock) == known(stock, learner=None) == {}


def test_a_quest_goes_on_with_what_was_begun_else_with_what_closes_the_largest_gap(stock: Prepared) -> None:
    found = known(stock, did(Verb.STARTED, "safe", 3))
    assert about(found, Arm.QUEST) == [("calm", "listening"), ("data", "analysis")]
    assert found[Arm.QUEST][0].reason == "Your role expects Listening at level 3; your record shows 0"
    begun = known(stock, did(Verb.STARTED, "calm", 3))[Arm.QUEST][0]
    assert begun.item_id == "calm"
    assert begun.reason.endswith("your record shows 0, and Calm calls is begun")
    assert about(known(stock, did(Verb.SHOWN, "safe", 3)), Arm.QUEST) == []


def test_a_skill_is_refreshed_about_when_it_falls_below_what_the_role_expects(stock: Prepared) -> None:
    # 4 after `more`, with a half-life of a year: below the expected 2 after 365 days.
    finished = [did(Verb.COMPLETED, "more", days) for days in (352, 365, 378, 350, 380)]
    assert [about(known(stock, one), Arm.REFRESH) for one in finished] == [
        *[[("more", "analysis")]] * 3,
        [],
        [],
    ]
    (option,) = known(stock, did(Verb.COMPLETED, "more", 360))[Arm.REFRESH]
    assert option.reason == "Your record showed Analysis at level 4; it will fall below 2 on 2026-06-06"


def test_a_skill_that_no_role_expects_is_refreshed_before_a_quarter_is_gone(stock: Prepared) -> None:
    nobody = ANA.model_copy(update={"role_id": None})
    found = [known(stock, did(Verb.COMPLETED, "more", days), learner=nobody) for days in (130, 150)]
    assert [about(one, Arm.REFRESH) for one in found] == [[], [("more", "analysis")]]


def test_what_was_just_finished_is_to_be_used_until_it_was(stock: Prepared) -> None:
    finished = did(Verb.COMPLETED, "calm", 2)
    found = known(stock, finished)
    assert about(found, Arm.APPLY) == [("calm", "listening")]
    assert found[Arm.APPLY][0].reason == "You finished Calm calls on 2026-05-30: use it this week, while it is fresh"
    for thing in ("calm", "skill:listening"):
        assert Arm.APPLY not in known(stock, finished, did(Verb.APPLIED, thing, 1))
    assert Arm.APPLY in known(stock, finished, did(Verb.APPLIED, "skill:analysis", 1))
    assert Arm.APPLY not in known(stock, did(Verb.COMPLETED, "calm", 8))
    assert Arm.APPLY not in known(stock, did(Verb.COMPLETED, "safe", 2))  # it teaches no skill
    assert Arm.APPLY not in known(stock, finished, did(Verb.REVOKED, "calm", 1))


def test_somebody_can_teach_what_others_have_seen_at_a_high_level(stock: Prepared) -> None:
    shown = {"context": {"level": 5.0}}
    found = known(stock, did(Verb.ATTESTED, "skill:listening", 5, **shown))
    assert about(found, Arm.TEACH) == [(None, "listening")]
    assert Arm.TEACH not in known(stock, did(Verb.COMPLETED, "more", 5))  # level 4, but nobody has seen it
    assert Arm.TEACH not in known(stock, did(Verb.ATTESTED, "skill:listening", 5, context={"level": 3.9}))


def test_deadlines_are_those_of_the_next_week_and_past_ones_until_they_are_kept(stock: Prepared) -> None:
    duties = duty("soon", "safe", 6), duty("late", "data", -3), duty("far", "calm", 8), duty("open", "more", None)
    found = known(stock, duties=duties)[Arm.DEADLINE]
    assert [one.assignment_id for one in found] == ["late", "soon"]
    assert found[0].reason == "Reading data was due on 2026-05-29"
    assert (found[1].reason, found[1].due_at) == ("Fire safety is due on 2026-06-07", NOW + 6 * DAY)
    urgent = duty("soon", "safe", 6, urgent=True), duties[1]
    assert [one.assignment_id for one in known(stock, duties=urgent)[Arm.DEADLINE]] == ["soon", "late"]
    kept = known(stock, did(Verb.COMPLETED, "data", 4), duties=duties)[Arm.DEADLINE]
    assert [one.assignment_id for one in kept] == ["soon"]
    away = Leave(NOW - 10 * DAY, None)
    assert Arm.DEADLINE not in known(stock, duties=[duty("soon", "safe", 6)], leaves=[away])


def test_dates_are_those_of_the_learners_own_calendar(stock: Prepared) -> None:
    due = duty("soon", "safe", 0.3)  # a quarter past seven in the evening by UTC
    auckland = ANA.model_copy(update={"timezone": "Pacific/Auckland"})
    assert known(stock, learner=auckland, duties=[due])[Arm.DEADLINE][0].reason.endswith("2026-06-02")


def test_with_personalisation_off_only_what_is_due_is_spoken_of(stock: Prepared) -> None:
    off = ANA.model_copy(update={"personalisation": False})
    events = did(Verb.COMPLETED, "calm", 2), did(Verb.STARTED, "data", 1)
    assert set(known(stock, *events, learner=off, duties=[duty("soon", "safe", 6)])) == {Arm.DEADLINE}


def years(days: Sequence[float]) -> list[Event]:
    things = [(Verb.COMPLETED, "calm"), (Verb.COMPLETED, "more"), (Verb.PASSED, "data"), (Verb.STARTED, "safe")]
    things += [(Verb.ATTESTED, "skill:listening"), (Verb.COMPLETED, "safe")]
    more: dict[str, Any] = {"recorded_at": NOW, "backfill": True, "context": {"level": 5.0}}
    return [did(verb, thing, ago, **more) for ago in days for verb, thing in things]


def test_an_import_of_three_years_is_no_reason_to_speak(stock: Prepared) -> None:
    history = years([1, 5, 150, 360, 366, 530, 800, 1_095])
    renewed = duty("renew", "safe", None)  # its certificate of a year ran out, as the import says
    assert known(stock, *history, duties=[renewed]) == known(stock, *history[::-1], duties=[renewed]) == {}
    old = years([370])
    assert known(stock, *old, duties=[renewed]) == {}
    live = [one.model_copy(update={"backfill": False, "recorded_at": one.occurred_at}) for one in history]
    assert set(known(stock, *live)) >= {Arm.APPLY, Arm.TEACH}
    assert known(stock, *old, duties=[duty("soon", "safe", 3)])[Arm.DEADLINE][0].assignment_id == "soon"


def test_an_import_still_says_what_is_done(stock: Prepared) -> None:
    done = did(Verb.COMPLETED, "safe", 30, backfill=True, recorded_at=NOW)
    assert known(stock, done, duties=[duty("soon", "safe", 3)]) == {}


def test_the_same_is_not_said_again_for_a_while(stock: Prepared) -> None:
    def said(option: Option, ago: float) -> tuple[datetime, Nudge]:
        nudge = Nudge(
            arm=option.arm,
            channel=Channel.PUSH,
            propensity=1,
            offered={option.arm: 1},
            item_id=option.item_id,
            skill_id=option.skill_id,
            assignment_id=option.assignment_id,
            reason="",
        )
        return NOW - ago * DAY, nudge

    found = known(stock, did(Verb.STARTED, "safe", 3), duties=[duty("soon", "safe", 3)])
    first, second = found[Arm.QUEST]
    due = found[Arm.DEADLINE][0]
    assert fresh(found, [], NOW) == {Arm.DEADLINE: due, Arm.QUEST: first}
    assert fresh(found, [said(first, 27), said(due, 1)], NOW) == {Arm.QUEST: second}
    assert fresh(found, [said(first, 28), said(due, 2)], NOW) == {Arm.DEADLINE: due, Arm.QUEST: first}
    assert fresh(found, [said(first, 1), said(second, 1), said(due, 1)], NOW) == {}
