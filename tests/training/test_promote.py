"""From per-target ranks and version tags to a verdict: who is compared with whom."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from training.adopt import adopt
from training.bundle import BundleError, Pointer, read_manifest, read_pointer
from training.evaluate import ORGANIC, Evaluation
from training.fit import Report
from training.promote import difference, judge, let_go, rollback, rolled_back
from training.publish import publish
from training.record import load_ranks, save_ranks
from training.tracking import Registry, Version

TAGS = {"bundle": "c1", "model": "blend", "gate.baseline": "recent", "gate.protocol": "rolling origin"}
CHAMPION = Version(1, "run0", {"bundle": "c0"})


def ranked(best: float) -> Evaluation:
    """40 learners with one target each; the target stands first for a share of `best`, else outside the top 10."""
    rank = np.where(np.arange(40) < 40 * best, 1.0, 50.0)
    ids = np.arange(40, dtype=np.int32)
    return Evaluation(rank, ids, ids, np.ones(40), {}, None, 10)


def challenger(row: str = "", against: str = "") -> Version:
    return Version(2, "run1", {**TAGS, "gate.champion_row": row, "gate.compared_with": against})


RANKS = {"blend": ranked(0.8), "recent": ranked(0.3), "champion": ranked(0.5)}


def test_a_better_challenger_replaces_the_champion_it_was_measured_against() -> None:
    verdict = judge(RANKS, challenger("champion", "c0"), CHAMPION)
    assert verdict.serve == "challenger"
    assert verdict.reason.endswith("(rolling origin)")


@pytest.mark.parametrize(("blend", "serve"), [(0.6, "challenger"), (0.3, "baseline")])
def test_a_champion_whose_deadline_has_come_does_not_stay(blend: float, serve: str) -> None:
    ranks = {"blend": ranked(blend), "recent": ranked(0.3), "champion": ranked(0.9)}
    stays = judge(ranks, challenger("champion", "c0"), CHAMPION)
    assert stays.serve == "champion"
    gone = let_go(stays, ranks, challenger("champion", "c0"), date(2026, 4, 1))
    assert gone.serve == serve
    assert gone.reason.startswith(f"{stays.reason}; but it is to be retrained by 2026-04-01")


def test_a_bundle_that_mlflow_does_not_hold_is_rolled_back_to_for_good(
    tmp_path: Path, tiny_bundle: Callable[..., Path], empty_mlflow: Path
) -> None:
    """MLflow was replaced after the first was published: without a version of it a follower would bring the second back."""
    shutil.copyfile(empty_mlflow, tmp_path / "mlflow.db")
    registry = Registry("acme", f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    first, second = (tiny_bundle(tmp_path / "made", seed=seed) for seed in (0, 1))
    for made in (first, second):
        publish(made, tmp_path / "bundles", "acme")
    bad = adopt(registry, second)
    pointer, back = rollback(registry, tmp_path / "bundles", "acme")
    assert pointer == Pointer(bundle=first.name)
    champion = registry.aliased("champion")
    assert champion is not None
    assert (champion.number, champion.bundle) == (back.number, first.name)
    assert champion.tags["model"] == "popularity"
    assert rolled_back(registry) == {second.name}
    assert registry.again(bad).tags["gate.rollback"] == f"rolled back to {first.name}"


def test_what_was_rolled_back_does_not_return_under_another_deadline(
    tmp_path: Path, tiny_bundle: Callable[..., Path], empty_mlflow: Path
) -> None:
    shutil.copyfile(empty_mlflow, tmp_path / "mlflow.db")
    registry = Registry("acme", f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    first, second = (tiny_bundle(tmp_path / "made", seed=seed, retrain_by=date(2026, 4, 1)) for seed in (0, 1))
    for made in (first, second):
        publish(made, tmp_path / "bundles", "acme")
        adopt(registry, made)
    rollback(registry, tmp_path / "bundles", "acme")
    again = tiny_bundle(tmp_path / "made", seed=1, retrain_by=date(2026, 4, 2))
    assert again.name != second.name
    assert read_manifest(again).content in rolled_back(registry)


def test_a_damaged_bundle_moves_neither_pointer_nor_alias(
    tmp_path: Path, tiny_bundle: Callable[..., Path], empty_mlflow: Path
) -> None:
    shutil.copyfile(empty_mlflow, tmp_path / "mlflow.db")
    registry = Registry("acme", f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")
    first, second = (tiny_bundle(tmp_path / "made", seed=seed) for seed in (0, 1))
    for made in (first, second):
        publish(made, tmp_path / "bundles", "acme")
    serving = [adopt(registry, made) for made in (first, second)][-1]
    (tmp_path / "bundles" / "acme" / first.name / "vocabulary.json").unlink()
    with pytest.raises(BundleError, match=r"vocabulary\.json"):
        rollback(registry, tmp_path / "bundles", "acme")
    assert read_pointer(tmp_path / "bundles", "acme").bundle == second.name
    assert registry.aliased("champion") == serving


def test_without_champion_the_baseline_decides() -> None:
    assert judge(RANKS, challenger(), None).serve == "challenger"
    assert judge(RANKS | {"blend": ranked(0.3)}, challenger(), None).serve == "baseline"


def test_a_better_champion_stays() -> None:
    assert judge(RANKS | {"champion": ranked(1.0)}, challenger("champion", "c0"), CHAMPION).serve == "champion"


def test_the_same_recipe_differs_by_nothing() -> None:
    verdict = judge(RANKS, challenger("blend", "c0"), CHAMPION)
    assert verdict.serve == "challenger"
    assert "the same recipe" in verdict.reason


def test_a_champion_that_this_fit_did_not_measure_stays() -> None:
    verdict = judge(RANKS, challenger("champion", "another"), CHAMPION)
    assert verdict.serve == "champion"
    assert "did not measure the present champion: run fit again" in verdict.reason


def test_a_champion_whose_recipe_could_not_be_read_stays_and_a_person_is_asked() -> None:
    renewed = Version(3, "run0", {"bundle": "c2", "reissue.of": "c0"})  # the same model under a later catalogue
    for champion in (CHAMPION, renewed):
        verdict = judge(RANKS, challenger("", "c0"), champion)
        assert verdict.serve == "champion"
        assert "of another version of this program, so a person decides: promote with --reason" in verdict.reason


def test_a_row_differs_from_itself_by_zero_and_the_verdict_is_repeatable() -> None:
    same = difference(RANKS, "blend", "blend")
    assert (same.value, same.low, same.high, same.n) == (0, 0, 0, 40)  # type: ignore[union-attr]
    assert difference(RANKS, "blend", "recent") == difference(RANKS, "blend", "recent")


def test_ranks_survive_the_file(tmp_path: Path) -> None:
    report = Report("rolling origin", "", (), {name: (row,) for name, row in RANKS.items()}, (), {})
    save_ranks(tmp_path / "ranks.npz", report)
    found = load_ranks(tmp_path / "ranks.npz")
    assert set(found) == set(RANKS)
    assert found["blend"].rank.tolist() == RANKS["blend"].rank.tolist()
    assert found["blend"].metric("ndcg") == pytest.approx(0.8)


def led(organic: float, recommended: float, *, learners: int = 400) -> Evaluation:
    """Two targets a learner, the second one recommended; of each kind a share of hits at the first place."""
    first = np.arange(learners) < learners * organic
    second = np.arange(learners) < learners * recommended
    rank = np.where(np.concatenate([first, second]), 1.0, 50.0)
    who = np.tile(np.arange(learners, dtype=np.int32), 2)
    slices = {ORGANIC: np.repeat([True, False], learners)}
    return Evaluation(rank, np.zeros(2 * learners, dtype=np.int32), who, np.ones(2 * learners), slices, None, 10)


def test_a_challenger_that_gains_only_by_recommended_take_ups_is_not_promoted() -> None:
    ranks = {"blend": led(0.3, 0.9), "champion": led(0.4, 0.5), "recent": led(0.1, 0.1)}
    verdict = judge(ranks, challenger("champion", "c0"), CHAMPION)
    assert verdict.serve == "champion"
    assert "but on 400 organic targets NDCG differs by -0.1000" in verdict.reason
    assert "gains only where learners were led to" in verdict.reason


def test_a_challenger_that_holds_on_organic_targets_is_promoted_and_it_is_said() -> None:
    ranks = {"blend": led(0.5, 0.9), "champion": led(0.4, 0.5), "recent": led(0.1, 0.1)}
    verdict = judge(ranks, challenger("champion", "c0"), CHAMPION)
    assert verdict.serve == "challenger"
    assert "on 400 organic targets NDCG differs by +0.1000" in verdict.reason


def test_few_organic_targets_decide_nothing() -> None:
    ranks = {
        "blend": led(0.3, 0.9, learners=190),
        "champion": led(0.4, 0.5, learners=190),
        "recent": led(0.1, 0.1, learners=190),
    }
    verdict = judge(ranks, challenger("champion", "c0"), CHAMPION)
    assert verdict.serve == "challenger"
    assert "organic" not in verdict.reason


def test_what_was_recommended_survives_the_file(tmp_path: Path) -> None:
    report = Report("rolling origin", "", (), {"blend": (led(0.5, 0.5),)}, (), {})
    save_ranks(tmp_path / "ranks.npz", report)
    found = load_ranks(tmp_path / "ranks.npz")["blend"]
    assert found.slices[ORGANIC].tolist() == led(0.5, 0.5).slices[ORGANIC].tolist()
