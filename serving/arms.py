"""Arms of experiments: which of them a learner is in, and with which policy and bundle a decision in them is made.

The records of experiments are followed as the policy file is: what was started or stopped holds from the next request on. An
experiment with bundles waits in each worker until those have been looked at.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from time import time_ns
from typing import Final, Literal

from experiments.assignment.phases import Phase, Record, read_record, record_files
from experiments.assignment.units import arm_of, concerns, held_out
from features.catalogue import Learner
from features.decisions import Decision
from serving.bundles import Bundles
from serving.pipeline import BUNDLE_UNAVAILABLE
from serving.policy import NUDGES, Policy, changed
from serving.prepared import Prepared

Kind = Literal["ranking", "nudge"]
_SETTLED_NS: Final = 50_000_000
"""How long after a change a folder is looked at again: two changes may have one time."""
_REMEMBERED: Final = 1_000
_LOG = logging.getLogger("nextwise.experiments")


_Seen = tuple[tuple[str, int, int], ...]
"""The name of a folder and of each record in it, when it was changed (ns), and its size."""


def _seen(folder: Path) -> _Seen | None:
    """None where there is no folder. One that is written into in place keeps its time, so its files are looked at too."""
    try:
        with os.scandir(folder) as found:
            files = sorted((one.name, one.stat()) for one in found if one.name.endswith(".json"))
        here = os.stat(folder)
    except OSError:
        return None
    return ("", here.st_mtime_ns, 0), *((name, stat.st_mtime_ns, stat.st_size) for name, stat in files)


class Experiments:
    """The records under `folder`, read again where one was replaced or edited. One that cannot be followed is told in the log,
    and nobody is in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, tuple[_Seen, tuple[Record, ...]]] = {}

    def of(self, tenant: str) -> tuple[Record, ...]:
        """All experiments of a tenant, by name; each time one look at the folder, and at time and size of each file in it."""
        seen = _seen(self._folder / tenant)
        if seen is None:
            return ()
        known = self._read.get(tenant)
        if known is None or known[0] != seen:
            settled = time_ns() - max(changed_at for _, changed_at, _ in seen) > _SETTLED_NS
            known = seen if settled else (), tuple(self._readable(tenant))
            self._read[tenant] = known
        return known[1]

    def running(self, tenant: str) -> list[Phase]:
        """The phases that hold now, by name of the experiment."""
        return [record.running for record in self.of(tenant) if record.running is not None]

    def bundles(self, tenant: str) -> frozenset[str]:
        """The bundles of the arms of what runs."""
        return frozenset(name for phase in self.running(tenant) for name in _bundles(phase))

    def rules(self, tenant: str) -> bool:
        """Whether some arm of what runs has rules of its own."""
        policies = [one.policy or {} for phase in self.running(tenant) for one in phase.design.variants.values()]
        return any(not {"rules", "tenant_rules"}.isdisjoint(policy) for policy in policies)

    def _readable(self, tenant: str) -> Iterator[Record]:
        for path in record_files(self._folder, tenant):
            try:
                record = read_record(path)
                _check(record)
            except ValueError as error:
                _LOG.error("an experiment is not followed, nobody is in it: %s", error)
            else:
                yield record


@dataclass(frozen=True, eq=False)
class Treatment:
    """How a decision is made for a learner: `arms` by experiment, with `policy` and `stock`. `fallback`: what is missing."""

    policy: Policy
    stock: Prepared
    arms: Mapping[str, str] = field(default_factory=dict)
    fallback: str | None = None


class Arms:
    """What experiments do to decisions."""

    def __init__(self, experiments: Experiments, bundles: Bundles) -> None:
        self._experiments, self._bundles = experiments, bundles
        self._policies: dict[tuple[str, str, str, Kind], Policy] = {}

    def treatment(
        self, kind: Kind, tenant: str, learner_id: str, learner: Learner | None, policy: Policy, stock: Prepared
    ) -> Treatment:
        """`policy` and `stock`: what serves whoever is in no arm, such as the holdout, and who wants no personalisation."""
        phases = [phase for phase in self._experiments.running(tenant) if concerns(phase.design, kind)]
        if not phases or (learner is not None and not learner.personalisation):
            return Treatment(policy, stock)
        if held_out(policy.nudges.holdout_seed, policy.nudges.holdout, tenant, learner_id, learner):
            return Treatment(policy, stock)
        found = Treatment(policy, stock)
        for phase in phases:
            arm = arm_of(phase, tenant, learner_id, learner) if self._looked(tenant, phase) else None
            found = found if arm is None else self._with(found, kind, tenant, phase, arm)
        return found

    def policy_of(self, decision: Decision, policy: Policy) -> Policy:
        """The policy that made a past decision: the file's with the changes of its arms; the file's where none leads there."""
        records = {record.name: record for record in self._experiments.of(decision.tenant)}
        phases = [
            [(phase, arm) for phase in reversed(records[name].phases) if arm in phase.arms]
            for name, arm in decision.arms.items()
            if name in records
        ]
        for each in product(*phases):
            found = policy
            for phase, arm in each:
                found = self._policy(found, decision.kind, phase, arm)
            if decision.policy == (found.digest if decision.kind == "ranking" else found.nudges.digest):
                return found
        return policy

    def _looked(self, tenant: str, phase: Phase) -> bool:
        return all(self._bundles.looked(tenant, name) for name in _bundles(phase))

    def _with(self, found: Treatment, kind: Kind, tenant: str, phase: Phase, arm: str) -> Treatment:
        stock, fallback = found.stock, found.fallback
        variant = phase.design.variants.get(arm)
        if kind == "ranking" and variant is not None and variant.bundle is not None:
            beside = self._bundles.named(tenant, variant.bundle)
            stock, fallback = (stock, BUNDLE_UNAVAILABLE) if beside is None else (beside, fallback)
        return Treatment(
            policy=self._policy(found.policy, kind, phase, arm),
            stock=stock,
            arms={**found.arms, phase.design.name: arm},
            fallback=fallback,
        )

    def _policy(self, policy: Policy, kind: Kind, phase: Phase, arm: str) -> Policy:
        """A policy with the changes of an arm, worked out once."""
        variant = phase.design.variants.get(arm)
        if variant is None or variant.policy is None:
            return policy
        key = policy.digest, phase.digest, arm, kind
        if key not in self._policies:
            if len(self._policies) >= _REMEMBERED:
                self._policies.clear()
            changes = {name: value for name, value in variant.policy.items() if (name == NUDGES) == (kind == "nudge")}
            self._policies[key] = changed(policy, changes)
        return self._policies[key]


def _bundles(phase: Phase) -> list[str]:
    return [variant.bundle for variant in phase.design.variants.values() if variant.bundle is not None]


def _check(record: Record) -> None:
    """Raises ValueError where an arm's policy is none."""
    for phase in record.phases:
        for arm, variant in phase.design.variants.items():
            try:
                changed(Policy(), variant.policy or {})
            except ValueError as error:
                raise ValueError(f"{record.name}: variants.{arm}.policy: {error}") from error
