"""What a message says, whatever it is shown on."""

import pytest
from messages import message

from features.nudges import Arm
from serving.cards.links import Action
from serving.cards.message import Reason, told


def test_a_deadline_says_what_until_when_and_how_long() -> None:
    said = told(message(zone="Asia/Tokyo"))
    assert said.headline == "To do: Fire safety"
    assert said.lines == ("Due Sunday 1 March 2026, 18:30.", "About 15 min.")
    assert [button.action for button in said.buttons] == list(Action)


def test_a_refresh_is_about_the_skill_and_suggests_the_item() -> None:
    said = told(message(arm=Arm.REFRESH, skill="Fire drills", reasons=(Reason("fades", {"skill": "Fire drills"}),)))
    assert said.headline == "Worth a refresh: Fire drills"
    assert said.lines[1:] == ("Suggested: Fire safety", "About 15 min.")


def test_what_was_learnt_is_not_taken_again() -> None:
    said = told(message(arm=Arm.APPLY, skill="Fire drills", reasons=(Reason("finished", {"title": "Fire safety"}),)))
    assert said.lines == ("You finished Fire safety. Pick one task this week where it helps.",)


def test_a_zone_that_nobody_knows_is_utc() -> None:
    assert told(message(zone="Mars/Base")).lines[0] == "Due Sunday 1 March 2026, 09:30."


@pytest.mark.parametrize(("minutes", "said"), [(0.2, "About 1 min."), (14.6, "About 15 min."), (90.0, "About 90 min.")])
def test_minutes_are_whole(minutes: float, said: str) -> None:
    assert told(message(minutes=minutes)).lines[-1] == said


def test_nothing_has_no_card_and_a_card_is_about_something() -> None:
    with pytest.raises(ValueError, match="there is no card"):
        message(arm=Arm.NOTHING)
    with pytest.raises(ValueError, match="about an item or a skill"):
        message(title=None)


def test_not_to_hear_of_it_is_never_the_main_button() -> None:
    links = {Action.LATER: "https://l.example", Action.STOP: "https://s.example"}
    assert told(message(links=links)).main is None
    assert told(message(links={})).main is None
    main = told(message(links={Action.OPEN: "https://o.example", **links})).main
    assert main is not None
    assert main.action is Action.OPEN
