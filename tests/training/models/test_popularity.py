import numpy as np

from features.interactions import Histories, Interactions
from training.models.popularity import Popularity


def test_a_learner_counts_once_per_item_and_a_new_item_is_as_popular_as_the_mean() -> None:
    table = Interactions.of_histories(Histories.of([[0, 0, 0, 1], [1], [1, 2]], 4))
    fitted = Popularity().fit(table, rng=np.random.default_rng(0))
    mean = float(np.float32(5 / 3))
    assert fitted.score(Histories.of([[2], []], 4)).tolist() == [[1, 3, 1, mean], [1, 3, 1, mean]]
