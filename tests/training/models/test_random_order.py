import numpy as np

from features.interactions import Histories, Interactions
from training.models.random_order import RandomOrder


def test_one_order_for_all_and_another_for_another_seed() -> None:
    table = Interactions.of_histories(Histories.of([[0, 1], [2]], 50))
    first, second = (RandomOrder().fit(table, rng=np.random.default_rng(seed)).score(table) for seed in (0, 1))
    np.testing.assert_array_equal(first[0], first[1])
    assert (first[0] != second[0]).any()
    assert len(set(first[0].tolist())) == 50
