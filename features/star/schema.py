"""The one declaration of the star: its tables and columns, from which files, views, dbt sources and the reference page follow.

`VERSION` is raised with every change of a table, a column, a type or a meaning: a folder of another version is not written
over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from features.catalogue import ItemType
from features.events import Evidence, Verb

VERSION: Final = 1

INSTANT: Final = "timestamp[us]"
"""UTC and without a zone: every tool reads it as it is, whatever the zone of a session."""

Privacy = Literal["personal", "pseudonym", "attribute", "none"]
PRIVACY: Final[Mapping[Privacy, str]] = {
    "personal": "names a person; empty unless the export was asked to be identified",
    "pseudonym": "stands for a person or for one thing a person did; whoever has no key cannot say whose it is",
    "attribute": "says something of a person; several together may single somebody out",
    "none": "says nothing of a person",
}
"""The privacy tags, and what each says of a column."""
assert tuple(PRIVACY) == get_args(Privacy)


@dataclass(frozen=True)
class Column:
    """`kind` is an Arrow type by name. `refers`: TABLE.COLUMN that holds every value here.

    `values`: all that may stand here, empty for anything. `null`: whether nothing may stand here.
    """

    name: str
    kind: str
    privacy: Privacy
    words: str
    null: bool = False
    unique: bool = False
    refers: str = ""
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """`by`: the time by whose UTC month the rows lie in files; empty for a table that is one file."""

    name: str
    words: str
    columns: tuple[Column, ...]
    by: str = ""

    @property
    def names(self) -> Mapping[str, str]:
        """Column name -> type, as `features.partitions.schema` takes them."""
        return {column.name: column.kind for column in self.columns}


def _learner(words: str = "Who.", *, null: bool = False) -> Column:
    return Column("learner_key", "string", "pseudonym", words, null=null, refers="learner.learner_key")


def _item(words: str = "Which item.", *, null: bool = False) -> Column:
    return Column("item_id", "string", "none", words, null=null, refers="item.item_id")


def _skill(words: str = "Which skill.", *, null: bool = False) -> Column:
    return Column("skill_id", "string", "none", words, null=null, refers="skill.skill_id")


def _versions(what: str) -> tuple[Column, ...]:
    """What every dimension ends with: since when its row says what it says."""
    return (
        Column("known", "bool", "none", f"Whether the catalogue knows the {what}; if not, only its key stands here."),
        Column("valid_from", INSTANT, "none", "Since when this version holds; null where the catalogue has none.", null=True),
        Column("valid_to", INSTANT, "none", "Until when; null: it still does.", null=True),
        Column("is_current", "bool", "none", "Whether it holds now. None of a retired row's versions does."),
    )


_EVIDENCE: Final = tuple(one.name.lower() for one in Evidence)
_FROM_DECISION: Final = (
    Column("policy", "string", "none", "Hash of the policy that decided.", null=True),
    Column("bundle", "string", "none", "Name of the bundle that ranked.", null=True),
)

LEARNER: Final = Table(
    "learner",
    "Every learner that the catalogue or an event names, a row for each version.",
    (
        Column("learner_version", "string", "pseudonym", "Names this version: the key and its valid_from.", unique=True),
        Column("learner_key", "string", "pseudonym", "A keyed hash of the learner's id: the same in every table and run."),
        Column("learner_id", "string", "personal", "The learner's id, with `--identified` alone.", null=True),
        Column("status", "string", "attribute", "Whether they work here.", null=True, values=("active", "leave", "ended")),
        Column("role_id", "string", "attribute", "Their role.", null=True),
        Column("role", "string", "attribute", "The name that their role has now.", null=True),
        Column("org_unit", "string", "attribute", "Their unit.", null=True),
        Column("audience", "string", "attribute", "Their first audience.", null=True),
        Column("manager_key", "string", "pseudonym", "Their manager.", null=True, refers="learner.learner_key"),
        Column("personalisation", "bool", "attribute", "Whether they agree to be ranked for by their profile.", null=True),
        *_versions("learner"),
    ),
)
ITEM: Final = Table(
    "item",
    "Every item that the catalogue, an event or a decision names, a row for each version.",
    (
        Column("item_version", "string", "none", "Names this version: the id and its valid_from.", unique=True),
        Column("item_id", "string", "none", "The item's id; `unknown:HASH` for one that the catalogue has never known."),
        Column("title", "string", "none", "Its title.", null=True),
        Column("type", "string", "none", "What kind of learning it is.", null=True, values=tuple(ItemType)),
        Column("duration_s", "float64", "none", "How long it takes, in seconds.", null=True),
        Column("difficulty", "string", "none", "How hard it is.", null=True, values=("beginner", "intermediate", "advanced")),
        Column("provider", "string", "none", "Who made it.", null=True),
        Column("replaces", "string", "none", "The item that it takes the place of.", null=True),
        *_versions("item"),
    ),
)
SKILL: Final = Table(
    "skill",
    "Every skill that the catalogue, a role or an event names, a row for each version.",
    (
        Column("skill_version", "string", "none", "Names this version: the id and its valid_from.", unique=True),
        Column("skill_id", "string", "none", "The skill's id; `unknown:HASH` for one that the catalogue has never known."),
        Column("name", "string", "none", "Its name.", null=True),
        Column("family", "string", "none", "The group of skills it belongs to.", null=True),
        *_versions("skill"),
    ),
)
ITEM_SKILL: Final = Table(
    "item_skill",
    "What each item teaches now.",
    (
        Column("item_skill", "string", "none", "Names the row: item and skill.", unique=True),
        _item(),
        _skill(),
        Column("level", "float64", "none", "The level that a learner has after it, 0 to 5."),
    ),
)
EVENT: Final = Table(
    "event",
    "What happened: one row for each event that stands (voided ones do not).",
    (
        Column("event_key", "string", "pseudonym", "A keyed hash of the event's id.", unique=True),
        _learner(),
        Column("verb", "string", "attribute", "What they did.", values=tuple(verb.value for verb in Verb)),
        Column("evidence", "string", "none", "How strongly the verb shows a skill.", values=_EVIDENCE),
        _item("The item it is about; null where it is about a skill.", null=True),
        _skill("The skill it is about; null where it is about an item.", null=True),
        Column("occurred_at", INSTANT, "attribute", "When it happened."),
        Column("recorded_at", INSTANT, "none", "When it became known."),
        Column("backfill", "bool", "none", "Whether it came with an import of history."),
        Column("source", "string", "none", "Which way it came in."),
        Column("decision_id", "string", "pseudonym", "The decision that led to it.", null=True),
        Column("completion", "bool", "attribute", "Whether it was completed.", null=True),
        Column("success", "bool", "attribute", "Whether it went well.", null=True),
        Column("score", "float64", "attribute", "The score, 0 to 1.", null=True),
        Column("progress", "float64", "attribute", "How far they came, 0 to 1.", null=True),
        Column("duration_s", "float64", "attribute", "How long it took, in seconds.", null=True),
        Column("level", "float64", "attribute", "The level of the skill that it states, 0 to 5.", null=True),
    ),
    by="occurred_at",
)
DECISION_ITEM: Final = Table(
    "decision_item",
    "What was served: one row for each item of each slate. Served is not seen: that is `exposure`.",
    (
        Column("decision_item", "string", "pseudonym", "Names the row: decision and position.", unique=True),
        Column("decision_id", "string", "pseudonym", "The decision."),
        _learner("For whom."),
        _item(),
        Column("decided_at", INSTANT, "attribute", "When."),
        Column("kind", "string", "none", "What was decided.", values=("ranking", "nudge")),
        Column("surface", "string", "none", "Where it was asked for."),
        Column("row_title", "string", "none", "The title of the row that it stood in."),
        Column("position", "int32", "none", "Its position in the slate, from 0."),
        Column("place", "int32", "none", "Its place in its row by score alone, from 0.", null=True),
        Column("score", "float64", "attribute", "The model's score."),
        Column("probability", "float64", "attribute", "How likely the learner takes it up next.", null=True),
        Column("propensity", "float64", "none", "The probability of this item at this position, given those above it."),
        Column("source", "string", "none", "Where it came from; `explore` where the coin placed it."),
        *(Column(one.name, one.kind, one.privacy, one.words) for one in _FROM_DECISION),
        Column("fallback", "string", "none", "The fallback that answered; null: the model did.", null=True),
    ),
    by="decided_at",
)
EXPOSURE: Final = Table(
    "exposure",
    "What was seen: one row for each item of a decision that a `shown` event names, of several the first, with what that "
    "decision says of the item.",
    (
        Column("event_key", "string", "pseudonym", "The event.", unique=True, refers="event.event_key"),
        _learner(),
        _item(null=True),
        Column("shown_at", INSTANT, "attribute", "When."),
        Column("decision_id", "string", "pseudonym", "The decision that the event names."),
        Column(
            "decision_item",
            "string",
            "pseudonym",
            "The row of the slate; null where the decision is not stored, or did not serve the item to this learner.",
            null=True,
            refers="decision_item.decision_item",
        ),
        Column("position", "int32", "none", "Its position in the slate, from 0.", null=True),
        Column("propensity", "float64", "none", "The probability of this item at this position.", null=True),
        Column("source", "string", "none", "Where it came from.", null=True),
        *_FROM_DECISION,
    ),
    by="shown_at",
)
SKILL_LEVEL: Final = Table(
    "skill_level",
    "Where each learner stands in each skill that their events show or that their role expects, at the end of a day.",
    (
        Column("skill_level", "string", "pseudonym", "Names the row: learner, skill and day.", unique=True),
        _learner(),
        _skill(),
        Column("as_of", "date32", "none", "The day (UTC) of the export, at whose end this holds."),
        Column("level", "float64", "attribute", "The level, 0 to 5; 0 where nothing shows the skill."),
        Column("confidence", "float64", "attribute", "How sure that is, 0 to 1."),
        Column("evidence", "string", "attribute", "The strongest evidence.", values=_EVIDENCE),
        Column("expected", "float64", "attribute", "The level that their role expects; null: none.", null=True),
    ),
)

TABLES: Final = (LEARNER, ITEM, SKILL, ITEM_SKILL, EVENT, DECISION_ITEM, EXPOSURE, SKILL_LEVEL)
