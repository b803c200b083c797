"""The exchange with peers: what is exported comes back as the evaluation that our own scoring would give."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks.leaderboard_kept import Kept, code_digest
from benchmarks.peers.export import export, result
from features.interactions import Histories, Interactions
from training.contest import Contest
from training.evaluate import evaluate
from training.models.item_knn import ItemKNN
from training.splits import leave_last_out

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"


@pytest.fixture(scope="module")
def questions() -> ModuleType:
    """Loaded from its file, as a peer's interpreter does."""
    spec = importlib.util.spec_from_file_location("questions", PEERS / "questions.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules["questions"] = found
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def contest() -> Contest:
    rng = np.random.default_rng(3)
    rows = [rng.permutation(30)[: 3 + n % 6].tolist() for n in range(60)]
    return Contest.of(leave_last_out(Interactions.of_histories(Histories.of(rows, 30))))


def test_a_peer_with_our_scores_gets_our_evaluation(questions: ModuleType, contest: Contest, tmp_path: Path) -> None:
    (this,) = contest.rounds
    fitted = ItemKNN().fit(this.train, rng=np.random.default_rng(0))
    ours = evaluate(fitted, this.test, train=this.train)
    export(contest.rounds, tmp_path)
    (asked,) = questions.read(tmp_path)
    scores = fitted.score(this.test.histories)
    assert not np.isnan(scores).all(axis=1).any()  # else popularity would answer
    rank, shown = questions.ranked(_replay(scores), asked.test, asked.train)
    assert np.array_equal(rank, ours.rank)
    assert np.array_equal(shown, ours.shown)
    np.savez(tmp_path / "answer.npz", rank=rank, shown=shown)
    costs = '"fit_seconds": 1, "cpu_seconds": 0.5, "score_ms": 2, "peak_mb": 3'
    (tmp_path / "answer.json").write_text(f'{{{costs}, "settings": ["a"]}}')
    theirs = result("theirs", contest.rounds, tmp_path / "answer")[0].evaluation
    for name in ("ndcg", "debiased_ndcg", "recall", "coverage"):
        assert theirs.metric(name) == ours.metric(name)
    assert {name: mask.tolist() for name, mask in theirs.slices.items()} == {n: m.tolist() for n, m in ours.slices.items()}


def _replay(scores: np.ndarray) -> object:
    blocks = iter(np.split(scores, np.arange(512, len(scores), 512)))
    return lambda histories: next(blocks)


def test_an_answer_to_fewer_questions_is_refused(contest: Contest, tmp_path: Path) -> None:
    np.savez(tmp_path / "answer.npz", rank=np.ones(3), shown=np.ones(30, dtype=bool))
    (tmp_path / "answer.json").write_text("{}")
    with pytest.raises(ValueError, match="answered 3 of 60 questions"):
        result("theirs", contest.rounds, tmp_path / "answer")


def test_who_tells_a_library_nothing_is_answered_by_popularity(questions: ModuleType) -> None:
    train = questions.Histories(np.array([0, 2, 3]), np.array([1, 2, 2]), np.arange(2), 4)
    nobody = questions.Histories(np.array([0, 0]), np.array([], dtype=int), np.array([7]), 4)
    asked = questions.Questions(nobody, np.array([1]))
    rank, _ = questions.ranked(lambda histories: np.full((1, 4), np.nan, np.float32), asked, train)
    assert rank.tolist() == [2.0]  # item 2 was taken up twice, item 1 once


def test_the_setting_that_validation_prefers_answers_the_test(questions: ModuleType, contest: Contest, tmp_path: Path) -> None:
    export(contest.rounds, tmp_path)
    (this,) = questions.read(tmp_path)

    def fitter(own: dict, table: object, asked: object, left: float) -> object:
        shift = 1 if own["right"] else -1
        targets = dict(zip(this.validation.histories.learners, this.validation.targets, strict=True))

        def score(histories: object) -> np.ndarray:
            found = np.zeros((len(histories), 30), np.float32)
            for row, learner in enumerate(histories.learners):
                found[row, targets[learner]] = shift
            return found

        return questions.Fit(score, {})

    settings = [{"right": False}, {"right": True}, {"right": False}]
    budget = questions.Budget(settings=2, seconds=60)
    _, chosen, tried = questions.choose(this, fitter, settings, budget)
    assert chosen == {"right": True}
    assert len(tried) == 2


def test_kept_results_come_back_whole(contest: Contest, tmp_path: Path) -> None:
    from training.contest import compete

    found = compete("popularity", contest)
    kept = Kept(tmp_path)
    path = kept.path("popularity", "questions", "code")
    assert kept.load(path) is None
    kept.save(path, found, {"peer": False})
    back = kept.load(path)
    assert back is not None
    assert back[0].evaluation.metric("coverage") == found.evaluation.metric("coverage")
    assert np.array_equal(back[0].evaluation.rank, found.evaluation.rank)
    assert back[0].evaluation.slices.keys() == found.evaluation.slices.keys()
    assert kept.path("popularity", "questions", "other code") != path


def test_code_is_named_by_what_it_does(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text("x = 1\n")
    first = code_digest([file])
    file.write_text('"""Words."""\n\nx = 1  # a comment\n')
    assert code_digest([file]) == first
    file.write_text("x = 2\n")
    assert code_digest([file]) != first
