"""From a decision that speaks to its card: which facts it tells, which answers it offers, and in which form."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from features.catalogue import Item, Learner
from features.decisions import Decision
from features.nudges import Arm, Nudge
from serving.cards.links import Action, links
from serving.cards.mail import mail
from serving.cards.message import Message, Reason
from serving.cards.plain import plain
from serving.cards.push import push
from serving.cards.slack import slack
from serving.cards.teams import teams
from serving.claims import Signer
from serving.prepared import Prepared

NO_LINKS: Final = (
    "the card has no links to answer it: set NEXTWISE_PUBLIC_URL (where browsers reach this) and NEXTWISE_TOKEN_SECRET"
)


class Format(StrEnum):
    """For which place a card is made."""

    SLACK = "slack"
    TEAMS = "teams"
    EMAIL = "email"
    PUSH = "push"
    PLAIN = "plain"


class Place(NamedTuple):
    """What makes links: the secrets that sign, and the address of the service."""

    signer: Signer
    public_url: str

    @property
    def note(self) -> str | None:
        """What keeps it from making links; None where nothing does."""
        return None if self.signer and self.public_url else NO_LINKS


_NONE: Final[Mapping[str, Item]] = MappingProxyType({})
_MADE_BY: Final[Mapping[Format, Callable[[Message], dict[str, Any]]]] = {
    Format.SLACK: slack,
    Format.TEAMS: teams,
    Format.EMAIL: mail,
    Format.PUSH: push,
    Format.PLAIN: plain,
}


def card(
    form: Format,
    decision: Decision,
    stock: Prepared,
    learner: Learner | None,
    place: Place,
    strangers: Mapping[str, Item] = _NONE,
) -> dict[str, Any]:
    """The card of a nudge that says something, for its learner as the catalogue knows them. ValueError: it says nothing.

    `strangers`: items that the bundle does not know yet, by id.
    """
    return _MADE_BY[form](message_of(decision, stock, learner, place, strangers))


def message_of(
    decision: Decision, stock: Prepared, learner: Learner | None, place: Place, strangers: Mapping[str, Item] = _NONE
) -> Message:
    """What a nudge says, in facts."""
    nudge = decision.nudge
    if nudge is None:
        raise ValueError(f"decision {decision.decision_id!r} is no nudge: it has no card")
    item = None if nudge.item_id is None else stock.names.get(nudge.item_id) or strangers.get(nudge.item_id)
    title = nudge.item_id if item is None else item.title
    known = None if nudge.skill_id is None else stock.bundle.catalogue.skills.get(nudge.skill_id)
    skill = nudge.skill_id if known is None else known.name
    url = None if item is None else url_of(item)
    offered = actions_of(nudge, url)
    return Message(
        arm=nudge.arm,
        decision_id=decision.decision_id,
        languages=() if learner is None else learner.languages,
        zone="UTC" if learner is None else learner.timezone,
        item_id=nudge.item_id,
        title=title,
        url=url,
        minutes=None if item is None or item.duration_s is None else item.duration_s / 60,
        skill=skill,
        due=nudge.due_at,
        reasons=_reasons(decision, nudge, title, skill),
        links=links(place.signer, place.public_url, decision.tenant, decision.decision_id, offered, at=decision.decided_at),
    )


def actions_of(nudge: Nudge, url: str | None) -> tuple[Action, ...]:
    """What can be answered, the likeliest first. Whether it helped is asked of what was learnt; a duty is never irrelevant."""
    able = {
        Action.OPEN: url is not None,
        Action.HELPED: nudge.arm is Arm.APPLY and nudge.skill_id is not None,
        Action.NOT_YET: nudge.arm is Arm.APPLY and nudge.skill_id is not None,
        Action.LATER: True,
        Action.NOT_RELEVANT: nudge.arm in (Arm.QUEST, Arm.REFRESH) and nudge.item_id is not None,
        Action.STOP: True,
    }
    offered = [action for action in Action if able[action]]
    return tuple(sorted(offered, key=lambda one: one is Action.OPEN)) if nudge.arm is Arm.APPLY else tuple(offered)


def url_of(item: Item) -> str | None:
    """Where an item is: its attribute `url`, else an id or alias that is an address; None where nobody said."""
    said = item.attributes.get("url", "")
    each = (said if isinstance(said, str) else "", item.id, *item.aliases)
    return next((one for one in each if one.startswith(("https://", "http://"))), None)


def _reasons(decision: Decision, nudge: Nudge, title: str | None, skill: str | None) -> tuple[Reason, ...]:
    match nudge.arm:
        case Arm.QUEST if skill is not None:
            return (Reason("role", {"skill": skill}),)
        case Arm.REFRESH if skill is not None:
            return (Reason("fades", {"skill": skill}),)
        case Arm.APPLY:
            return (Reason("practise", {}) if title is None else Reason("finished", {"title": title}),)
        case Arm.TEACH:
            return (Reason("teach", {}),)
        case Arm.DEADLINE if nudge.due_at is not None:
            return (Reason("was_due" if nudge.due_at <= decision.decided_at else "due", {"date": nudge.due_at}),)
    return ()
