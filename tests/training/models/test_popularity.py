import numpy as np

from features.interactions import Histories, Interactions
from training.models.popularity import Popularity


def test_a_learner_counts_once_per_item() -> None:
    table = Interactions.of_histories(Histories.of([[0, 0, 0, 1], [1], [1, 2]], 4))
    fitted = Popularity().fit(table, rng=np.random.default_rng(0))
    assert fitted.score(Histories.of([[2], []], 4)).tolist() == [[1, 3, 1, 0], [1, 3, 1, 0]]
