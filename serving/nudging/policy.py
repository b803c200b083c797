"""The hand-written policy: the first arm in a fixed order, but every arm that can come with a floor of probability."""

import random
from collections.abc import Collection, Mapping
from typing import Final

from features.nudges import Arm

ORDER: Final = (Arm.DEADLINE, Arm.APPLY, Arm.REFRESH, Arm.QUEST, Arm.TEACH, Arm.NOTHING)
"""What cannot wait, what fades soonest, then what takes longer; nothing, where nothing else can come."""


def offered(can_come: Collection[Arm], floor: float) -> dict[Arm, float]:
    """The probability of each arm that can come, and of nothing: `floor`, and all the rest for the first in `ORDER`."""
    arms = [arm for arm in ORDER if arm in can_come or arm is Arm.NOTHING]
    return {arm: 1 - floor * (len(arms) - 1) if arm is arms[0] else floor for arm in arms}


def draw(chances: Mapping[Arm, float], seed: int) -> Arm:
    """The arm that a seed draws: the same again from the same chances. One number is drawn."""
    left = random.Random(seed).random()
    arms = [arm for arm in ORDER if arm in chances]
    for arm in arms:
        left -= chances[arm]
        if left < 0:
            return arm
    return arms[0]  # the chances add up to 1 but for the last digit
