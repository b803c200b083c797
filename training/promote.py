"""Promotion: the gate over what the last fit measured, its verdict written on the version, and the alias that follows it."""

import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from training.adopt import adopt
from training.bundle import BundleError, Pointer, bundle_folder, load_bundle, read_pointer
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


def promote(registry: Registry, *, note: str = "", due: date | None = None) -> tuple[Verdict, Version]:
    """Decide over the challenger, tag it with verdict and reason, and move the alias `champion` to what serves.

    `note` is a person's own reason, kept beside the gate's: with one, what was rolled back may return, and a champion that
    could not be measured is left out of the comparison. `due`: the day by which the champion is to be retrained, where that is
    near or over; then it does not stay, and what takes its place is as if there were none. Raises TrackingError without a
    challenger, and for one that was rolled back when no reason is given.
    """
    challenger = registry.aliased(CHALLENGER)
    if challenger is None:
        raise TrackingError(f"{registry.name} has no challenger; run `python -m training fit` first")
    if not note and challenger.content in rolled_back(registry):
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
    left_out = champion is not None and bool(note) and _unmeasurable(challenger, champion)
    verdict = judge(ranks, challenger, None if left_out else champion)
    if due is not None and verdict.serve == "champion":
        verdict = let_go(verdict, ranks, challenger, due)
    served = _serving(registry, verdict, challenger, champion)
    said = {"gate_verdict": verdict.words, "gate_reason": verdict.reason, **({"gate_note": note} if note else {})}
    registry.tag(challenger, **said)
    if verdict.serve == "baseline":
        registry.tag(served, **said)
    for version in _taken_back(registry, served.content) if note else ():
        registry.tag(version, gate_rollback=f"may serve again: {note}")
    registry.point(CHAMPION, served)  # last: what `settled` asks for
    return verdict, served


def rolled_back(registry: Registry) -> set[str]:
    """The contents of bundles that a person took back: equal data and recipe make them again, under another version."""
    return {v.content for v in _taken_back(registry)}


def _taken_back(registry: Registry, content: str | None = None) -> list[Version]:
    found = [v for v in registry.versions() if v.tags.get("gate.rollback", "").startswith(_ROLLED_BACK)]
    return [v for v in found if content in (None, v.content)]


def settled(registry: Registry, challenger: Version) -> bool:
    """Whether the gate judged this version and what it said came about (a kill in between leaves it half said).

    An alias that a person has moved since, by hand or by a rollback, is settled too: it is not moved again.
    """
    champion = registry.aliased(CHAMPION)
    if champion is None or not {"gate.verdict", "gate.reason"} <= set(challenger.tags):
        return False
    moved = champion.bundle != challenger.tags.get("gate.compared_with")
    stays = challenger.tags["gate.verdict"] == "champion stays"
    done = moved or stays or champion.run_id == challenger.run_id
    return done or any(v.run_id == challenger.run_id for v in _taken_back(registry))


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


def let_go(verdict: Verdict, ranks: dict[str, Evaluation], challenger: Version, due: date) -> Verdict:
    """The verdict without the champion, whose data have become too old to be kept."""
    instead = judge(ranks, challenger, None)
    why = f"but it is to be retrained by {due.isoformat()}, for people who were erased since, so it goes"
    return replace(instead, reason=f"{verdict.reason}; {why}: {instead.reason.removeprefix('no champion yet; ')}")


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
    if _unmeasurable(challenger, champion):
        stale = Inconclusive("its recipe is of another version of this program, so a person decides: promote with --reason")
        return Incumbent(stale, stale)
    if not row or not _met(challenger, champion):
        stale = Inconclusive("this fit did not measure the present champion: run fit again")
        return Incumbent(stale, stale)
    return Incumbent(difference(ranks, model, row), difference(ranks, row, baseline), same_recipe=row == model)


def _unmeasurable(challenger: Version, champion: Version) -> bool:
    """Whether the fit looked for this champion's recipe and could not read it."""
    return not challenger.tags["gate.champion_row"] and _met(challenger, champion)


def _met(challenger: Version, champion: Version) -> bool:
    """Whether the fit had this champion before it, or the same model under the catalogue of then."""
    return challenger.tags["gate.compared_with"] in (champion.bundle, champion.tags.get("reissue.of"))


def _serving(registry: Registry, verdict: Verdict, challenger: Version, champion: Version | None) -> Version:
    if verdict.serve == "challenger":
        return challenger
    if verdict.serve == "champion" and champion is not None:
        return champion
    for version in registry.versions():
        if version.run_id == challenger.run_id and version.tags.get("role") == BASELINE:
            return version
    raise TrackingError(f"{registry.name}: the baseline of run {challenger.run_id} is not registered; run fit again")


def rollback(registry: Registry, bundles: Path, tenant: str) -> tuple[Pointer, Version]:
    """Move the pointer back, and the alias `champion` with it; a bundle that no version holds becomes one.

    The alias moves first, so that a publisher that follows it does not bring the bad bundle back. Raises BundleError when
    there is nothing sound to roll back to.
    """
    current = read_pointer(bundles, tenant)
    if current.previous is None:
        raise BundleError(f"{tenant}: nothing to roll back to; {current.bundle} is the only bundle the pointer knows")
    folder = bundle_folder(bundles, tenant, current.previous)
    load_bundle(folder)
    left = registry.aliased(CHAMPION)
    known = next((version for version in registry.versions() if version.bundle == current.previous), None)
    back = known or adopt(registry, folder)
    registry.point(CHAMPION, back)
    registry.tag(back, gate_rollback=f"serves again after {current.bundle} was rolled back")
    if left is not None and left.bundle == current.bundle:
        registry.tag(left, gate_rollback=f"{_ROLLED_BACK} to {current.previous}")
    return roll_back(bundles, tenant), back
