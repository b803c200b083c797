"""Every model family: one line here, and recipes, leaderboard, blend, bundles and the contract suite know it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from features.side import SideInformation
from training.models import als, bpr, content, item_knn, linear, recent, segments, similarity
from training.models.als import ALS, FittedALS
from training.models.base import Fitted, Model
from training.models.bpr import BPR, FittedBPR
from training.models.content import ContentConfig, FittedContent
from training.models.item_knn import FittedItemKNN, ItemKNN
from training.models.linear import FittedLinear, Linear
from training.models.popularity import FittedPopularity, Popularity
from training.models.random_order import FittedRandomOrder, RandomOrder
from training.models.recent import FittedRecent, Recent
from training.models.segments import FittedSegments, Segments
from training.models.sequence import FittedSequence, SequenceModel
from training.models.similarity import FittedSimilarity, Similarity


@runtime_checkable
class Bindable(Protocol):
    """A config that is no model before it knows a table's items; the model keeps it as its `config`."""

    def bind(self, side: SideInformation) -> Model:
        """The model of these settings for the items of `side`, in their order."""
        ...


Settings = Model | Bindable
"""A model's config: a model itself, or one once it is bound to what is known of the items."""


@dataclass(frozen=True)
class Family:
    """`default`: the settings when nobody says otherwise; their class is the section `[models.NAME]` of a recipe.

    `fitted`: what `fit` returns. `grid`: the settings to choose from on validation, for a number of items. `needs`: what
    a table must have for it, "side" being texts or attributes of its items, "groups" audiences, org units or roles of its
    learners. `blended`, `ranked`: a part of the leaderboard's blend, of its ranker (a recipe may take any family for either).
    """

    default: Settings
    fitted: type[Fitted]
    grid: Callable[[int], Sequence[Settings]] | None = None
    needs: Literal["side", "times", "groups"] | None = None
    blended: bool = False
    ranked: bool = False

    def settings(self, n_items: int) -> Sequence[Settings]:
        """What is tried on validation: the grid, or the default alone."""
        return (self.default,) if self.grid is None else self.grid(n_items)


FAMILIES: dict[str, Family] = {
    "popularity": Family(Popularity(), FittedPopularity, blended=True, ranked=True),
    "recent": Family(Recent(), FittedRecent, recent.grid, needs="times", blended=True, ranked=True),
    "segments": Family(Segments(), FittedSegments, segments.grid, needs="groups", blended=True, ranked=True),
    "item_knn": Family(ItemKNN(), FittedItemKNN, item_knn.grid, blended=True, ranked=True),
    "als": Family(ALS(), FittedALS, als.grid, blended=True),
    "bpr": Family(BPR(), FittedBPR, bpr.grid),
    "linear": Family(Linear(), FittedLinear, linear.grid, blended=True, ranked=True),
    "content": Family(ContentConfig(), FittedContent, content.grid, needs="side", blended=True, ranked=True),
    "similarity": Family(Similarity(), FittedSimilarity, similarity.grid, needs="side", blended=True, ranked=True),
    "sequence": Family(SequenceModel(), FittedSequence, ranked=True),
    "random": Family(RandomOrder(), FittedRandomOrder),
}
"""By name, in the order of a report."""
