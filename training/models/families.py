"""Fitted models that stand alone, by their kind: what a blend's parts may be. One line a model family."""

from training.models.als import FittedALS
from training.models.base import Fitted
from training.models.content import FittedContent
from training.models.linear import FittedLinear
from training.models.popularity import FittedPopularity
from training.models.random_order import FittedRandomOrder
from training.models.recent import FittedRecent

FAMILIES: dict[str, type[Fitted]] = {
    "als": FittedALS,
    "content": FittedContent,
    "linear": FittedLinear,
    "popularity": FittedPopularity,
    "random": FittedRandomOrder,
    "recent": FittedRecent,
}
