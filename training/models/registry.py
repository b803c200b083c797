"""Every fitted model by its kind, so that a bundle's manifest can name the class that reads its arrays."""

from training.models.base import Fitted
from training.models.blend import FittedBlend
from training.models.catalogue_order import FittedCatalogueOrder
from training.models.families import FAMILIES
from training.models.ranker import FittedRanker

FITTED: dict[str, type[Fitted]] = {name: family.fitted for name, family in FAMILIES.items()} | {
    "blend": FittedBlend,
    "catalogue": FittedCatalogueOrder,
    "ranker": FittedRanker,
}
