"""Group sequential looks: how often peeking finds something in nothing, and what each look must exceed instead."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

_POINTS: Final = 801


def pocock(looks: int, alpha: float = 0.05) -> list[float]:
    """The same two-sided bound on |z| at each of `looks` equally spaced looks (Pocock 1977)."""
    return _solved(lambda bound: [bound] * looks, alpha)


def obrien_fleming(looks: int, alpha: float = 0.05) -> list[float]:
    """Two-sided bounds on |z| that begin high and end close to the fixed one (O'Brien and Fleming 1979)."""
    return _solved(lambda bound: [bound * (looks / look) ** 0.5 for look in range(1, looks + 1)], alpha)


def chance_to_cross(bounds: Sequence[float]) -> float:
    """How likely |z| exceeds its bound at one of equally spaced looks where there is no effect (Armitage et al. 1969).

    The score's density among runs that go on is carried from look to look by Simpson's rule.
    """
    grid, weights = _simpson(bounds[0])
    density = weights * stats.norm.pdf(grid)
    for look, bound in enumerate(bounds[1:], start=2):
        reached, weights = _simpson(bound * look**0.5)
        density = weights * (stats.norm.pdf(reached[:, None] - grid[None, :]) @ density)
        grid = reached
    return 1 - float(density.sum())


def _simpson(edge: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points from -edge to edge and their weights, both [_POINTS]."""
    weights = np.full(_POINTS, 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    return np.linspace(-edge, edge, _POINTS), weights * 2 * edge / (_POINTS - 1) / 3


def _solved(bounds: Callable[[float], list[float]], alpha: float) -> list[float]:
    return bounds(float(optimize.brentq(lambda bound: chance_to_cross(bounds(bound)) - alpha, 1.0, 6.0)))
