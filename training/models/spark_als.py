"""The items' side of ALS by Spark MLlib, for tables whose fit takes one machine too long (`[models.als] engine = "spark"`).

MLlib's confidence of a take-up is `1 + alpha`, so its alpha is ours less 1. It weighs the penalty of a learner or an item by
the number of take-ups (ALS-WR: Zhou et al. 2008), where `implicit` has one penalty for all; ours is divided by the geometric
mean of both average counts, so that a learner and an item of average length are held as strongly as by `implicit`. Folding in
is ours and has one penalty. So the two engines find similar rankings, not equal factors.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.interactions import Interactions

if TYPE_CHECKING:
    from training.models.als import ALS


def item_factors(model: "ALS", interactions: Interactions, rng: np.random.Generator) -> NDArray[np.float32]:
    """float32[n_items, factors], zero for items nobody took up. SparkError where Spark cannot be started."""
    from features import spark

    running = spark.session()
    found = np.zeros((interactions.n_items, model.factors), dtype=np.float32)
    seed = int(rng.integers(2**31))
    if not len(interactions.items):
        return found
    from pyspark.ml import recommendation as mllib

    fitted = mllib.ALS(
        rank=model.factors,
        regParam=weighted_penalty(model.regularization, interactions),
        alpha=model.alpha - 1,
        maxIter=model.iterations,
        implicitPrefs=True,
        seed=seed,
        numUserBlocks=model.threads,
        numItemBlocks=model.threads,
        userCol="learner",
        itemCol="item",
        ratingCol="taken",
    ).fit(spark.frame(running, _rows(interactions)))
    table = fitted.itemFactors.toArrow()
    items, values = table["id"].to_numpy(), table["features"].combine_chunks()
    found[items] = values.flatten().to_numpy().reshape(len(items), -1)
    return found


def weighted_penalty(regularization: float, interactions: Interactions) -> float:
    """The penalty per take-up that equals `regularization` where learner and item have average counts (geometric mean)."""
    n = len(interactions.items)
    learners, items = np.count_nonzero(interactions.lengths), np.count_nonzero(interactions.item_counts())
    return regularization / float(np.sqrt(n / learners * n / items))


def _rows(interactions: Interactions) -> dict[str, NDArray[np.generic]]:
    learners = interactions.rows().astype(np.int32)
    return {"learner": learners, "item": interactions.items, "taken": np.ones(len(learners), dtype=np.float32)}
