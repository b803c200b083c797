"""A grant: one tenant may use what another one's catalogue holds. Items and the skills they name, never people or events."""

from dataclasses import dataclass
from datetime import datetime

from features.catalogue import Item


@dataclass(frozen=True)
class Grant:
    """`tenant` may use the items of `grantor` from `since` until `until` (None: no end).

    All of them or, where they are named, those of a `provider`, or of these ids (`items`).
    """

    grant_id: int
    tenant: str
    grantor: str
    provider: str | None
    items: frozenset[str] | None
    since: datetime
    until: datetime | None

    def covers(self, item: Item) -> bool:
        """Whether an item of the grantor's, or one that came from there, is among them."""
        of_provider = self.provider is None or item.provider == self.provider
        return of_provider and (self.items is None or item.id in self.items)


def lent(item: Item, grantor: str) -> Item:
    """The item as others see it: for every audience, since those that it names are groups of the grantor's people."""
    return item.model_copy(update={"granted_by": grantor, "audiences": ()})
