"""Agents and groups: who acted, by exactly one inverse functional identifier."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from features.xapi.values import Array, Given, Iri, Mailto, Sha1, Strict

IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")


class Account(Strict):
    """An account in some system: `home_page` names the system, `name` the account in it."""

    home_page: Iri = Field(alias="homePage")
    name: Annotated[str, Field(min_length=1)]


class _Identified(Strict):
    name: Annotated[str | None, Given] = None
    mbox: Annotated[Mailto | None, Given] = None
    mbox_sha1sum: Annotated[Sha1 | None, Given] = None
    openid: Annotated[Iri | None, Given] = None
    account: Annotated[Account | None, Given] = None

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The names of the identifiers that are given."""
        return tuple(name for name in IDENTIFIERS if getattr(self, name) is not None)


class Agent(_Identified):
    """One person or system, by exactly one identifier."""

    object_type: Literal["Agent"] = Field(default="Agent", alias="objectType")

    @model_validator(mode="after")
    def _one_identifier(self) -> Self:
        if len(self.identifiers) != 1:
            raise ValueError(f"an agent has exactly one of {', '.join(IDENTIFIERS)}; this one has {_named(self.identifiers)}")
        return self


class Group(_Identified):
    """Identified by one identifier, or anonymous: then its members say who it is."""

    object_type: Literal["Group"] = Field(alias="objectType")
    member: Annotated[tuple[Agent, ...] | None, Array, Given] = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if len(self.identifiers) > 1:
            raise ValueError(f"a group has at most one of {', '.join(IDENTIFIERS)}; this one has {_named(self.identifiers)}")
        if not self.identifiers and not self.member:
            raise ValueError("an anonymous group names its members (member), and this one has none")
        return self


def _named(names: tuple[str, ...]) -> str:
    return " and ".join(names) or "none"


def type_of(value: Any) -> Any:
    """The objectType of an object of JSON, or of a model; None where there is none."""
    return value.get("objectType") if isinstance(value, dict) else getattr(value, "object_type", None)


def _kind(value: Any) -> str:
    return "Group" if type_of(value) == "Group" else "Agent"


Actor = Annotated[Annotated[Agent, Tag("Agent")] | Annotated[Group, Tag("Group")], Discriminator(_kind)]
"""An agent, unless its objectType is Group."""
