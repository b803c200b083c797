"""Promotion: the gate over what the last fit measured, its verdict written on the version, and the alias that follows it."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.bundle import BundleError, Pointer, read_pointer
from training.estimates import Estimate, Inconclusive
from training.evaluate import ORGANIC, Evaluation, paired_difference
from training.gate import Difference, Incumbent, Verdict, decide
from training.publish import roll_back
from training.record import RANKS, load_ranks
from training.tracking import BASELINE, CHALLENGER, CHAMPION, Registry, TrackingError, Version

_ROLLED_BACK = "rolled back"
ORGANIC_ENOUGH = 200
"""Targets that nobody recommended from which on the gate asks them too."""
_SEED = 11  # of the paired bootstrap: the same fit gives the same verdict


def promote(registry: Registry, *, note: str = "") -> tuple[Verdict, Version]:
    """Decide over the challenger, tag it with verdict and reason, and move the alias `champion` to what serves.

    `note` is a person's own reason, kept beside the gate's. Raises TrackingError without a challenger, and for one that was
    rolled back when no reason is given.
    """
    challenger = registry.aliased(CHALLENGER)
    if challenger is None:
        raise TrackingError(f"{registry.name} has no challenger; run `python -m training fit` first")
    if not note and challenger.bundle in rolled_back(registry):
        raise TrackingError(
            f"{registry.name}: bundle {challenger.bundle} was rolled back, and the same data and recipe made it again; "
            "fit on newer data or another recipe, or say with --reason why it may return"
        )
    champion = registry.aliased(CHAMPION)
    if champion is not None and champion.number == challenger.number:
        return Verdict(
            True, "challenger", "the challenger is the champion already; nothing to decide until the next fit"
        ), champion
    with tempfile.TemporaryDirectory() as scratch:
        ranks = load_ranks(registry.fetch_file(challenger.run_id, RANKS, Path(scratch)))
    verdict = judge(ranks, challenger, champion)
    served = _serving(registry, verdict, challenger, champion)
    said = {"gate_verdict": verdict.words, "gate_reason": verdict.reason, **({"gate_note": note} if note else {})}
    registry.tag(challenger, **said)
    if verdict.serve == "baseline":
        registry.tag(served, **said)
    registry.point(CHAMPION, served)  # last: what `settled` asks for
    return verdict, served


def rolled_back(registry: Registry) -> set[str]:
    """Bundles that a person took back: equal data and recipe make the same bundle again, under another version."""
    return {v.bundle for v in registry.versions() if v.tags.get("gate.rollback", "").startswith(_ROLLED_BACK)}


def settled(registry: Registry, challenger: Version) -> bool:
    """Whether the gate judged this version and what it said came about (a kill in between leaves it half said).

    An alias that a person has moved since, by hand or by a rollback, is settled too: it is not moved again.
    """
    champion = registry.aliased(CHAMPION)
    if champion is None or not {"gate.verdict", "gate.reason"} <= set(challenger.tags):
        return False
    moved = champion.bundle != challenger.tags.get("gate.compared_with")
    stays = challenger.tags["gate.verdict"] == "champion stays"
    return moved or stays or champion.run_id == challenger.run_id or _taken_back(registry, challenger.run_id)


def _taken_back(registry: Registry, run_id: str) -> bool:
    back = [v for v in registry.versions() if v.run_id == run_id]
    return any(v.tags.get("gate.rollback", "").startswith(_ROLLED_BACK) for v in back)


def judge(ranks: dict[str, Evaluation], challenger: Version, champion: Version | None) -> Verdict:
    """The gate over per-target ranks by model; `challenger.tags` say which row is the champion's and which the baseline's."""
    baseline = challenger.tags["gate.baseline"]
    model, protocol = challenger.tags["model"], challenger.tags["gate.protocol"]
    verdict = decide(
        difference(ranks, model, baseline),
        baseline=baseline,
        champion=_incumbent(ranks, challenger, champion) if champion is not None else None,
    )
    if verdict.serve == "challenger" and champion is not None:
        verdict = _unless_fed(verdict, ranks, model, challenger.tags["gate.champion_row"])
    return replace(verdict, reason=f"{verdict.reason} ({protocol})")


def _unless_fed(verdict: Verdict, ranks: dict[str, Evaluation], model: str, champion: str) -> Verdict:
    """The verdict, or that the champion stays: the challenger is clearly behind on what learners chose by themselves."""
    organic = ranks[model].slices.get(ORGANIC)
    if organic is None or organic.all() or np.count_nonzero(organic) < ORGANIC_ENOUGH or model == champion:
        return verdict
    found = difference({name: ranks[name].within(ORGANIC) for name in (model, champion)}, model, champion)
    if isinstance(found, Inconclusive):
        return verdict
    differs = f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    said = f"on {np.count_nonzero(organic):,} organic targets NDCG differs by {differs}"
    if found.high >= 0:
        return replace(verdict, reason=f"{verdict.reason}; {said}")
    why = "the challenger gains only where learners were led to, so the champion stays"
    return Verdict(False, "champion", f"{verdict.reason}; but {said}: {why}")


def difference(ranks: dict[str, Evaluation], a: str, b: str) -> Difference:
    """NDCG of row `a` minus row `b`, exactly zero for one and the same row."""
    if a == b:
        return Estimate(0.0, 0.0, 0.0, len(np.unique(ranks[a].learner)))
    return paired_difference(ranks[a], ranks[b], rng=np.random.default_rng(_SEED))


def _incumbent(ranks: dict[str, Evaluation], challenger: Version, champion: Version) -> Incumbent:
    tags = challenger.tags
    row, baseline, model = tags["gate.champion_row"], tags["gate.baseline"], tags["model"]
    if not row or tags["gate.compared_with"] != champion.bundle:
        stale = Inconclusive("this fit did not measure the present champion: run fit again")
        return Incumbent(stale, stale)
    return Incumbent(difference(ranks, model, row), difference(ranks, row, baseline), same_recipe=row == model)


def _serving(registry: Registry, verdict: Verdict, challenger: Version, champion: Version | None) -> Version:
    if verdict.serve == "challenger":
        return challenger
    if verdict.serve == "champion" and champion is not None:
        return champion
    for version in registry.versions():
        if version.run_id == challenger.run_id and version.tags.get("role") == BASELINE:
            return version
    raise TrackingError(f"{registry.name}: the baseline of run {challenger.run_id} is not registered; run fit again")


def rollback(registry: Registry, bundles: Path, tenant: str) -> tuple[Pointer, Version | None]:
    """Move the pointer back, and the alias `champion` with it (None: no version of the registry holds that bundle).

    The alias moves first, so that a publisher that follows it does not bring the bad bundle back. Raises BundleError when
    there is nothing to roll back to.
    """
    current = read_pointer(bundles, tenant)
    if current.previous is None:
        raise BundleError(f"{tenant}: nothing to roll back to; {current.bundle} is the only bundle the pointer knows")
    left = registry.aliased(CHAMPION)
    back = next((version for version in registry.versions() if version.bundle == current.previous), None)
    if back is not None:
        registry.point(CHAMPION, back)
        registry.tag(back, gate_rollback=f"serves again after {current.bundle} was rolled back")
    if left is not None and left.bundle == current.bundle:
        registry.tag(left, gate_rollback=f"{_ROLLED_BACK} to {current.previous}")
    return roll_back(bundles, tenant), back
