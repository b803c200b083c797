"""The unit that a learner belongs to, and the arm it falls into: a pure function of the phase, without state.

So every worker and replica says the same, whatever else is down, and anybody can work it out again later. Three hashes are
independent of each other: the holdout's, the layer's (which units take part) and the experiment's own (which arm they are in).
"""

from typing import Final, Literal

from experiments.assignment.hashing import assign, bucket
from experiments.assignment.phases import Phase
from experiments.assignment.ranges import within
from experiments.design import BUCKETS, Design, Unit
from features.catalogue import Learner

HOLDOUT: Final = "holdout"
NUDGES: Final = "nudges"
"""The section of a policy that changes nudges; all others change rankings."""
_ALL: Final = ((0, BUCKETS),)


def held_out(seed: str, share: float, tenant: str, learner_id: str, learner: Learner | None) -> bool:
    """Whether a learner is in the holdout: of nudges and of every experiment, the same by whichever name they are asked for."""
    who = learner_id if learner is None else learner.id
    return assign(f"{seed}/{tenant}/", who, {HOLDOUT: share}) == HOLDOUT


def concerns(design: Design, kind: Literal["ranking", "nudge"]) -> bool:
    """Whether a decision of this kind uses what the arms differ in: only then is it an exposure. Arms that do not differ are
    compared by rankings.
    """
    variants = design.variants.values()
    if kind == "nudge":
        return any(NUDGES in (one.policy or {}) for one in variants)
    return not variants or any(one.bundle is not None or set(one.policy or {}) - {NUDGES} for one in variants)


def unit_of(unit: Unit, learner_id: str, learner: Learner | None) -> str | None:
    """The id of the unit that a learner is assigned with; None where the catalogue does not say."""
    if unit == "learner":
        return learner_id if learner is None else learner.id
    if learner is None:
        return None
    return learner.manager_id if unit == "manager" else learner.org_unit


def arm_of(phase: Phase, tenant: str, learner_id: str, learner: Learner | None) -> str | None:
    """The arm of a learner, None for one outside: of another audience, without a unit, or beyond the traffic."""
    design = phase.design
    if design.audience and (learner is None or not set(design.audience).intersection(learner.audiences)):
        return None
    unit = unit_of(design.unit, learner_id, learner)
    if unit is None or not (phase.slots == _ALL or within(place(layer_seed(design, tenant), unit), phase.slots)):
        return None
    return phase.arm_at(place(f"{tenant}/{design.name}/", unit))


def layer_seed(design: Design, tenant: str) -> str:
    """The seed by which units take part: shared in a layer, else the experiment's own."""
    return f"{tenant}/traffic/{design.name}/" if design.layer is None else f"{tenant}/layer/{design.layer}/"


def place(seed: str, unit: str) -> int:
    """The bucket of a unit as a whole number, 0 to 9,999."""
    return round(bucket(seed, unit) * BUCKETS)
