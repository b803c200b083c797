"""The gate: which of challenger, champion and best baseline serves next, and why, in words. Pure functions."""

from dataclasses import dataclass
from typing import Literal

from training.estimates import Estimate, Inconclusive

CHAMPION_MARGIN = -0.005
"""A challenger may be this much worse than the champion at the lower end of the interval: non-inferior, not better."""
BASELINE_MARGIN = 0.0
"""A challenger must be better than the best baseline at the lower end of the interval."""

Difference = Estimate | Inconclusive
Role = Literal["challenger", "champion", "baseline"]


@dataclass(frozen=True)
class Verdict:
    """`promote`: the challenger becomes champion. `serve`: whose bundle serves from now on."""

    promote: bool
    serve: Role
    reason: str

    @property
    def words(self) -> str:
        """`promoted`, `champion stays` or `baseline serves`."""
        return {"challenger": "promoted", "champion": "champion stays", "baseline": "baseline serves"}[self.serve]


@dataclass(frozen=True)
class Incumbent:
    """The champion on the challenger's split: differences challenger - champion and champion - best baseline.

    `same_recipe`: champion and challenger differ in data alone.
    """

    challenger_minus_champion: Difference
    champion_minus_baseline: Difference
    same_recipe: bool = False


def decide(challenger_minus_baseline: Difference, *, baseline: str, champion: Incumbent | None = None) -> Verdict:
    """Promote if the 95 % lower bounds of the differences are above -.005 to the champion and above 0 to the best baseline.

    Otherwise a champion that stands above the baseline by its estimate stays (or where that cannot be said: no evidence, no
    change), and without such a champion the baseline serves. Differences are in NDCG on the same targets.
    """
    beats_baseline = _above(challenger_minus_baseline, BASELINE_MARGIN)
    to_baseline = f"to the best baseline, {baseline}, {_words(challenger_minus_baseline, BASELINE_MARGIN)}"
    if champion is None:
        if beats_baseline:
            return Verdict(True, "challenger", f"no champion yet; {to_baseline}")
        return Verdict(False, "baseline", f"no champion yet; {to_baseline}; so {baseline} serves")
    to_champion = _to_champion(champion)
    reason = f"{to_champion}; {to_baseline}"
    if beats_baseline and _above(champion.challenger_minus_champion, CHAMPION_MARGIN):
        return Verdict(True, "challenger", reason)
    held = champion.champion_minus_baseline
    if isinstance(held, Inconclusive) or held.value > 0:
        return Verdict(False, "champion", f"{reason}; so the champion stays: it {_held(held, baseline)}")
    return Verdict(False, "baseline", f"{reason}; the champion itself {_held(held, baseline)}; so {baseline} serves")


def _above(difference: Difference, margin: float) -> bool:
    return isinstance(difference, Estimate) and difference.low > margin


def _to_champion(champion: Incumbent) -> str:
    recipe = " (the same recipe, so this compares the data alone)" if champion.same_recipe else ""
    return f"to the champion{recipe} {_words(champion.challenger_minus_champion, CHAMPION_MARGIN)}"


def _words(difference: Difference, margin: float) -> str:
    if isinstance(difference, Inconclusive):
        return f"no difference can be stated: {difference.reason}"
    side = "above" if difference.low > margin else "not above"
    return f"NDCG differs by {_interval(difference)}: the lower bound is {side} {margin:+.3f}"


def _held(difference: Difference, baseline: str) -> str:
    if isinstance(difference, Inconclusive):
        return f"cannot be compared with {baseline} ({difference.reason}), and without evidence nothing changes"
    return f"differs from {baseline} by {_interval(difference)}"


def _interval(difference: Estimate) -> str:
    return f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}] ({difference.n} learners)"
