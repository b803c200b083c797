"""Where a sweep looks: for each model family the settings that are searched and between which bounds.

What stands in no space keeps the value of the recipe, or the family's default. A family without a space has one trial.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Value = float | int | str


@dataclass(frozen=True)
class Reals:
    """Real numbers from `low` to `high`; `log`: as many between 1 and 10 as between 10 and 100."""

    low: float
    high: float
    log: bool = False

    @property
    def ends(self) -> tuple[Value, ...]:
        return self.low, self.high

    def nearest(self, value: Value) -> Value:
        """The value of the space that is closest to a given one."""
        return min(max(float(value), self.low), self.high)


@dataclass(frozen=True)
class Integers:
    """Whole numbers from `low` to `high`, `log` as in `Reals`."""

    low: int
    high: int
    log: bool = False

    @property
    def ends(self) -> tuple[Value, ...]:
        return self.low, self.high

    def nearest(self, value: Value) -> Value:
        return min(max(int(value), self.low), self.high)


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Value, ...]

    @property
    def ends(self) -> tuple[Value, ...]:
        return self.values

    def nearest(self, value: Value) -> Value:
        return value if value in self.values else self.values[0]


Space = Mapping[str, Reals | Integers | Choice]

SPACES: Mapping[str, Space] = {
    "recent": {"half_life_days": Reals(3, 730, log=True), "prior": Reals(1, 500, log=True)},
    "als": {
        "factors": Integers(16, 128, log=True),
        "regularization": Reals(0.01, 100, log=True),
        "alpha": Reals(1.5, 100, log=True),
    },
    "linear": {
        "decay": Reals(0.2, 1),
        "ridge": Reals(5, 2000, log=True),
        "next_ridge": Reals(5, 2000, log=True),
        "mix": Reals(0, 1),
        "side": Reals(0, 10),
        "next_side": Reals(0, 10),
    },
    "content": {"decay": Reals(0.1, 1), "share": Reals(0, 1)},
    "item_knn": {
        "neighbours": Integers(20, 500, log=True),
        "shrinkage": Reals(0.1, 100, log=True),
        "discount": Reals(0, 1),
        "decay": Reals(0.2, 1),
    },
    "bpr": {
        "factors": Integers(16, 128, log=True),
        "learning_rate": Reals(0.01, 0.5, log=True),
        "regularization": Reals(1e-4, 0.1, log=True),
        "decay": Reals(0.2, 1),
    },
    "sequence": {
        "dim": Choice((32, 64, 128)),
        "blocks": Integers(1, 2),
        "dropout": Reals(0, 0.6),
        "learning_rate": Reals(3e-4, 1e-2, log=True),
        "negatives": Integers(64, 1024, log=True),
    },
}
"""By family, wide of the defaults."""
