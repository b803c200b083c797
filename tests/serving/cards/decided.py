"""Decisions that say something, made by hand."""

from typing import Any

from acme import NOW, TENANT

from features.decisions import Decision, Randomisation
from features.nudges import Arm, Channel, Nudge


def nudge(arm: Arm, **more: Any) -> Nudge:
    return Nudge(arm=arm, channel=Channel.SLACK, propensity=1, offered={arm: 1.0}, reason="because", **more)


def decision(said: Nudge, decision_id: str = "d1", learner_id: str = "ana", tenant: str = TENANT) -> Decision:
    return Decision(
        decision_id=decision_id,
        tenant=tenant,
        learner_id=learner_id,
        decided_at=NOW,
        kind="nudge",
        bundle="b",
        policy="p",
        randomisation=Randomisation(epsilon=0, seed=0, support=1),
        nudge=said,
    )
