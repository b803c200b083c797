"""What a metric is like before anything is changed: what power is reckoned from."""

import math
from dataclasses import dataclass

from experiments.inference.estimates import Inconclusive
from experiments.inference.power import inflation
from experiments.inference.samples import Moments, Sample, adjusted, ratio


@dataclass(frozen=True)
class Baseline:
    """`mean` of the metric and `deviation` of what one randomised unit adds to it.

    `correlation`: with what is known from before, 0 where nothing is. `units`: how many it was read from, None where it was
    given. Of clusters: their mean `size`, how alike members are (`similarity`), and the `inflation` that makes.
    """

    mean: float
    deviation: float
    correlation: float = 0.0
    units: int | None = None
    size: float = 1.0
    similarity: float | None = None
    inflation: float = 1.0


def of_learners(
    mean: float,
    deviation: float,
    *,
    correlation: float = 0.0,
    size: float = 1.0,
    variation: float = 0.0,
    similarity: float = 0.0,
) -> Baseline:
    """From a learner's mean and deviation, where clusters of mean `size` are randomised whose members correlate by
    `similarity`; a size of 1 is learners one by one.
    """
    if size <= 1:
        return Baseline(mean, deviation, correlation)
    times = max(inflation(size, similarity, variation), 0.0)
    return Baseline(mean, deviation * math.sqrt(times / size), correlation, None, size, similarity, times)


def of_units(moments: Moments) -> Baseline | Inconclusive:
    """From the past values of units that are randomised one by one: numerator, denominator, and what was known before."""
    plain = ratio(moments)
    if isinstance(plain, Inconclusive):
        return plain
    return Baseline(plain.mean, math.sqrt(plain.variance), _correlation(moments, plain), plain.n)


def of_clusters(clusters: Moments, learners: Moments) -> Baseline | Inconclusive:
    """The same where clusters are randomised, from their sums and from their learners one by one.

    How alike members are follows from how much more the clusters vary than learners who are not alike would make them.
    """
    found, alone = of_units(clusters), of_units(learners)
    if isinstance(found, Inconclusive) or isinstance(alone, Inconclusive):
        return found if isinstance(found, Inconclusive) else alone
    size = learners.n / clusters.n
    times = found.deviation**2 * size / alone.deviation**2 if alone.deviation else 1.0
    similarity = (times - 1) / (size - 1) if size > 1 else None
    return Baseline(found.mean, found.deviation, found.correlation, found.units, size, similarity, times)


def _correlation(moments: Moments, plain: Sample) -> float:
    """The root of the share of variance that adjusting takes off."""
    found = adjusted({"": moments})
    if isinstance(found, Inconclusive) or plain.variance <= 0:
        return 0.0
    return math.sqrt(min(max(1 - found[""].variance / plain.variance, 0.0), 1.0))
