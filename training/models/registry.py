"""Fitted models by their kind, so that a bundle's manifest can name the class that reads its arrays."""

from training.models.als import FittedALS
from training.models.base import Fitted
from training.models.blend import FittedBlend
from training.models.content import FittedContent
from training.models.linear import FittedLinear
from training.models.popularity import FittedPopularity
from training.models.random_order import FittedRandomOrder
from training.models.recent import FittedRecent

FITTED: dict[str, type[Fitted]] = {
    "als": FittedALS,
    "blend": FittedBlend,
    "content": FittedContent,
    "linear": FittedLinear,
    "popularity": FittedPopularity,
    "random": FittedRandomOrder,
    "recent": FittedRecent,
}
"""Filled here, one line a model family: kind -> fitted class."""
