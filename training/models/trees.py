"""Boosted trees as their text: learned by LightGBM's LambdaRank, stored as bytes, read again without pickle.

LambdaRank: Burges, "From RankNet to LambdaRank to LambdaMART", MSR-TR-2010-82. SHAP: Lundberg, Erion, Lee,
"Consistent individualized feature attribution for tree ensembles", 2018, as LightGBM computes it.
"""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from training.models.tree_text import sound
from training.models.tree_walk import MOST_ROWS, Walk

if TYPE_CHECKING:
    from lightgbm import Booster

_OPTIONAL: Final = ("dask", "graphviz", "matplotlib", "pandas", "pyarrow", "sklearn")
"""What LightGBM imports where it finds it, for other ways to hand it tables than arrays: 100 MB, and a second of a start."""
_HIDING: Final = threading.Lock()


@dataclass(frozen=True, eq=False)
class Trees:
    """`text`: uint8[any], the model as LightGBM writes it, over `width` features."""

    text: NDArray[np.uint8]
    width: int

    @cached_property
    def _booster(self) -> "Booster":
        try:
            with _alone():
                from lightgbm import Booster
                from lightgbm.basic import LightGBMError
        except (ImportError, OSError) as error:  # OSError: its library misses one of the system's, such as libgomp
            raise ValueError(f"the trees need the package lightgbm, which cannot be loaded ({error}): install it") from error
        try:
            return Booster(model_str=self._sound)
        except (LightGBMError, UnicodeDecodeError, ValueError) as error:
            raise ValueError(str(error)[:200]) from error

    @cached_property
    def _walk(self) -> Walk | None:
        return Walk.of(self._sound, self.width)

    @cached_property
    def _sound(self) -> str:
        return sound(self.text.tobytes().decode("ascii"), self.width)

    def check(self) -> "Trees":
        """Itself, once it can be read. Errors: ValueError."""
        _ = self._booster, self._walk
        return self

    def predict(self, features: NDArray[np.float32], trees: int | None = None) -> NDArray[np.float32]:
        """float32[k] of float32[k, width], finite or NaN, by the first `trees` of them (None: all).

        The candidates of one history go without LightGBM, to the same numbers in less time.
        """
        if not len(features):
            return np.zeros(0, dtype=np.float32)
        if trees is None and len(features) <= MOST_ROWS and self._walk is not None:
            return self._walk.predict(features)
        found = self._booster.predict(features, num_iteration=trees, num_threads=1, validate_features=False)
        return np.asarray(found, dtype=np.float32)

    def shap(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[k, width + 1]: what each feature adds to a prediction, the last column what all start from."""
        if not len(features):  # LightGBM divides by the number of rows
            return np.zeros((0, self.width + 1), dtype=np.float32)
        found = self._booster.predict(features, pred_contrib=True, num_threads=1, validate_features=False)
        return np.asarray(found, dtype=np.float32).reshape(len(features), self.width + 1)

    @property
    def importance(self) -> NDArray[np.float64]:
        """float64[width]: gain of every feature's splits, as shares of all."""
        gain = np.asarray(self._booster.feature_importance("gain"), dtype=np.float64)
        return gain / max(float(gain.sum()), 1.0)


def learn(
    features: NDArray[np.float32],
    hit: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    *,
    rising: Sequence[int] = (),
    trees: int,
    leaves: int,
    rate: float,
    smallest: int,
    seed: int,
    threads: int,
) -> Trees:
    """LambdaRank over groups of `sizes` rows (they sum to k): float32[k, width] and which of the rows was taken up.

    `rising`, for each feature: 1 where a larger value may not lower the score, -1 where it may not raise it, 0 where it may do
    either (none given: all may). What is known beforehand need not be learned from few rows.

    The same input and seed give the same text on one machine.
    """
    import lightgbm

    settings: dict[str, Any] = {
        "objective": "lambdarank",
        "num_leaves": leaves,
        "learning_rate": rate,
        "min_data_in_leaf": smallest,
        "feature_fraction": 0.8,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "lambdarank_truncation_level": 20,
        "monotone_constraints": list(rising) or None,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbose": -1,
    }
    data = lightgbm.Dataset(features, hit.astype(np.int8), group=sizes)
    text = lightgbm.train(settings, data, trees).model_to_string(importance_type="gain")
    return Trees(np.frombuffer(text.encode("ascii"), dtype=np.uint8), features.shape[1])


@contextmanager
def _alone() -> Iterator[None]:
    """What is imported inside finds none of `_OPTIONAL` that is not there already."""
    with _HIDING:
        hidden = [name for name in _OPTIONAL if name not in sys.modules]
        sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: an import of it fails
        try:
            yield
        finally:
            for name in hidden:
                if sys.modules.get(name) is None:
                    sys.modules.pop(name, None)
