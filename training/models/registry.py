"""Fitted models by their kind, so that a bundle's manifest can name the class that reads its arrays."""

from training.models.base import Fitted

FITTED: dict[str, type[Fitted]] = {}
"""Filled here, one line a model family: kind -> fitted class."""
