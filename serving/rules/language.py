"""The language of rules: five kinds, validated. They stand in the policy file and in requests."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from features.catalogue import ItemType, Language
from features.events import Id, Instant

MOST_RULES: Final = 100
"""Rules of a policy that hold for everybody, and as many for one tenant."""
MOST_ASKED: Final = 20
"""Rules of a request."""
MOST_BOOST: Final = 3.0
"""Standard deviations of the scores by which a rule may lift or lower an item."""
MOST_PINNED: Final = 20
"""Items that one rule may pin."""
MOST_DAYS: Final = 365
"""Days of which a limit may count what was put before a learner."""
_NAMES: Final = 1_000

Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[tuple[Name, ...], Field(max_length=_NAMES)]
Ids = Annotated[tuple[Id, ...], Field(max_length=_NAMES)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Match(_Part):
    """Which items a rule is about: those that have one of the names in every field that names any.

    `items`: ids or aliases. `audiences`: for whom the catalogue says an item is. `languages`: `en` is `en-GB` as well.
    `attributes`: of the catalogue, by their name. What the catalogue does not say of an item does not match.
    """

    items: Ids = ()
    types: Annotated[tuple[ItemType, ...], Field(max_length=len(ItemType))] = ()
    providers: Names = ()
    skills: Ids = ()
    languages: Annotated[tuple[Language, ...], Field(max_length=20)] = ()
    audiences: Names = ()
    attributes: Annotated[
        Mapping[Name, Annotated[tuple[Name, ...], Field(min_length=1, max_length=_NAMES)]], Field(max_length=20)
    ] = Field(default_factory=dict)

    @property
    def everything(self) -> bool:
        """Whether it names nothing, and so matches every item."""
        return not any(getattr(self, name) for name in type(self).model_fields)


class _Rule(_Part):
    """What all rules have. `audiences`: for which learners it holds; empty: for all. It holds from `since` until `until`."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    audiences: Names = ()
    since: Instant | None = None
    until: Instant | None = None

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("until: it ends before it begins; set a later `until`, or an earlier `since`")
        return self


class _OfSome(_Rule):
    match: Match

    @model_validator(mode="after")
    def _about_something(self) -> Self:
        if self.match.everything:
            raise ValueError("match: it would be about every item; name items, types, providers, skills or the like")
        return self


class ExcludeRule(_OfSome):
    """The items that match are not shown."""

    kind: Literal["exclude"]


class OnlyRule(_OfSome):
    """The items that do not match are not shown."""

    kind: Literal["only"]


class BoostRule(_OfSome):
    """The scores of the items that match rise by `add` standard deviations of the learner's scores; they fall below 0."""

    kind: Literal["boost"]
    add: Annotated[float, Field(ge=-MOST_BOOST, le=MOST_BOOST, strict=True)]

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.add == 0:
            raise ValueError("add: 0 changes nothing; set a number, or leave the rule out")
        return self


class LimitRule(_Rule):
    """At most `most` of the items that match in a slate; `per`: of each provider, or of each skill.

    `days`: at most so many different items in these days, those included that `shown` events tell of and that
    nudges were about.
    """

    kind: Literal["limit"]
    match: Match = Match()
    most: Annotated[int, Field(ge=1, le=100, strict=True)]
    per: Literal["provider", "skill"] | None = None
    days: Annotated[int | None, Field(ge=1, le=MOST_DAYS, strict=True)] = None


class PinRule(_Rule):
    """These items come first on a page, in this order, where nothing keeps them from the learner."""

    kind: Literal["pin"]
    items: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MOST_PINNED)]


def _with_id(given: Any, validated: ValidatorFunctionWrapHandler) -> Any:
    """A rule; what is wrong with it is said with its id, and the field in it."""
    try:
        return validated(given)
    except ValidationError as error:
        name = given.get("id") if isinstance(given, Mapping) else None
        named = f"rule {name!r}" if isinstance(name, str) else "a rule without an id"
        raise ValidationError.from_exception_data(
            "rule", [_named(named, one) for one in error.errors(include_url=False, include_input=False)]
        ) from None


def _named(rule: str, error: Any) -> InitErrorDetails:
    # The first place is the kind, which chose the model, where there was one.
    place = error["loc"][1:] if error["loc"] and error["loc"][0] in _KINDS else error["loc"]
    words = error["msg"].removeprefix("Value error, ")
    field, colon, rest = words.partition(": ")
    if not place and colon and field.isidentifier():
        place, words = (field,), rest
    if error["type"] == "union_tag_not_found":
        place, words = ("kind",), f"say one of {', '.join(_KINDS)}"
    elif error["type"] == "union_tag_invalid":
        place, words = ("kind",), f"there is no such kind; say one of {', '.join(_KINDS)}"
    elif error["type"] == "extra_forbidden":
        words = "there is no such field here; leave it out"
    said = f"{rule}, {'.'.join(map(str, place)) or 'kind'}: {words}"
    return InitErrorDetails(type=PydanticCustomError("rule", "{said}", {"said": said}), loc=place, input=None)


_KINDS: Final = ("exclude", "only", "boost", "limit", "pin")

Rule = Annotated[
    Annotated[ExcludeRule | OnlyRule | BoostRule | LimitRule | PinRule, Field(discriminator="kind")], WrapValidator(_with_id)
]
"""Any of them, told apart by `kind`."""


def each_once(rules: Sequence[Rule]) -> None:
    """Raises ValueError where two rules have the same id."""
    names = [rule.id for rule in rules]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"rule {twice!r}, id: two rules have it; give one of them another")
