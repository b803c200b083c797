"""Several tests at once: p-values that still mean what they say."""

from collections.abc import Sequence

from statsmodels.stats.multitest import multipletests


def holm(p_values: Sequence[float]) -> list[float]:
    """One or more, adjusted so that the chance of even one false finding stays at the level (Holm 1979); in their order."""
    return [float(one) for one in multipletests(p_values, method="holm")[1]]
