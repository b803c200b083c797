"""A nudge as it is to be said: one value from which every platform's card is made, and what it says in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from features.nudges import Arm
from serving.cards.links import Action
from serving.cards.words import Value, Words, language_of
from serving.nudging.limits import zone_of

_LED_BY: Final[Mapping[Arm, tuple[str, ...]]] = {
    Arm.QUEST: ("title", "skill"),
    Arm.DEADLINE: ("title", "skill"),
    Arm.REFRESH: ("skill", "title"),
    Arm.APPLY: ("skill", "title"),
    Arm.TEACH: ("skill", "title"),
}


class Reason(NamedTuple):
    """Why it is said: a sentence of the part `why` and what stands in it."""

    sentence: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Message:
    """`languages`: of the learner, the preferred one first. `title`, `minutes`: of the item; `skill`: its name. `url`: where
    the item is. `links`: the signed address of each action, in the order in which they are offered; none without a secret.

    ValueError: there is nothing to say, or nothing that it is about.
    """

    arm: Arm
    decision_id: str
    languages: tuple[str, ...] = ()
    zone: str = "UTC"
    item_id: str | None = None
    title: str | None = None
    url: str | None = None
    minutes: float | None = None
    skill: str | None = None
    due: datetime | None = None
    reasons: tuple[Reason, ...] = ()
    links: Mapping[Action, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.arm is Arm.NOTHING:
            raise ValueError("arm: of `nothing` there is no card")
        if self.title is None and self.skill is None:
            raise ValueError("title: a card is about an item or a skill")

    @property
    def words(self) -> Words:
        """The learner's language and time zone."""
        return words_of(self.languages, self.zone)


class Button(NamedTuple):
    """A link that does something."""

    action: Action
    label: str
    url: str


class Told(NamedTuple):
    """A message in words. `lines`: one sentence each."""

    language: str
    headline: str
    lines: tuple[str, ...]
    buttons: tuple[Button, ...]

    @property
    def main(self) -> Button | None:
        """The first button, where it leads on: not to hear of it is never what a card asks for."""
        first = self.buttons[0] if self.buttons else None
        return first if first is not None and first.action in (Action.OPEN, Action.HELPED) else None


def words_of(languages: Iterable[str], zone: str) -> Words:
    """Those of a learner; where their zone is not known, in UTC."""
    return Words(language_of(languages), zone_of(zone) or UTC)


def told(message: Message) -> Told:
    """What a message says in the learner's language, in plain text."""
    words = message.words
    names = {"title": message.title, "skill": message.skill}
    led, subject = next((key, name) for key in _LED_BY[message.arm] if (name := names[key]) is not None)
    lines = [words.say("why", reason.sentence, **reason.values) for reason in message.reasons]
    if message.title is not None and led == "skill" and message.arm is Arm.REFRESH:
        lines.append(words.say("line", "suggested", title=message.title))
    if message.minutes is not None and message.arm is not Arm.APPLY:
        lines.append(words.say("line", "minutes", minutes=max(round(message.minutes), 1)))
    return Told(
        words.language,
        words.say("headline", message.arm, subject=subject),
        tuple(lines),
        tuple(Button(action, words.say("button", action), url) for action, url in message.links.items()),
    )
