"""From intervals to one sentence: ship, do not ship, keep running, or broken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from experiments.comparisons import Comparison
from experiments.design import Design
from experiments.inference.estimates import Estimate, Inconclusive
from experiments.inference.multiplicity import holm
from experiments.words import amount, interval, registered

Kind = Literal["ship", "do not ship", "keep running", "broken"]
Outcome = Literal["exceeded", "met", "positive", "below expectation", "inconclusive", "not met", "harmful"]
ALPHA = 0.05


@dataclass(frozen=True)
class Verdict:
    """`arm`: the one it speaks of, None where it speaks of all. `until`: when to look again."""

    kind: Kind
    reason: str
    arm: str | None = None
    until: date | None = None

    @property
    def short(self) -> str:
        """The verdict without its reason."""
        return f"{self.kind} until {self.until}" if self.until else self.kind

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        first = self.short[0].upper() + self.short[1:]
        return f"{first}{f' {self.arm}' if self.arm and self.kind == 'ship' else ''}: {self.reason}."


def outcome(found: Estimate, expected: float | None, *, up: bool = True) -> Outcome:
    """An interval beside what was expected (None: anything above zero), both turned so that more is better."""
    low, high = (found.low, found.high) if up else (-found.high, -found.low)
    value, expectation = found.value if up else -found.value, expected or 0.0
    if high < 0:
        return "harmful"
    if low <= 0:
        return "inconclusive" if high >= expectation else "not met"
    if low > expectation:
        return "exceeded"
    if value >= expectation:
        return "met"
    return "positive" if high >= expectation else "below expectation"


def decide(primary: Sequence[Comparison], guardrails: Sequence[Comparison], design: Design, until: date | None) -> Verdict:
    """The verdict on healthy data. `until`: the horizon where it lies ahead.

    An arm ships where the primary's interval lies above zero, its p-value holds beside those of other arms (Holm), the effect
    is not shown to be below the minimum, and each guardrail is shown to be within its margin.
    """
    if all(isinstance(one.found, Inconclusive) for one in primary):
        if until is not None:
            return Verdict("keep running", f"{primary[0].name} cannot be tested yet: {_reason(primary[0].found)}", until=until)
        return Verdict("broken", f"{primary[0].name} cannot be tested: {_reason(primary[0].found)}")
    p_values = holm([one.found.p_value if isinstance(one.found, Estimate) else 1.0 for one in primary])
    arms = [_arm(one, p, [g for g in guardrails if g.arm == one.arm]) for one, p in zip(primary, p_values, strict=True)]
    return _best(arms, design, until)


@dataclass(frozen=True)
class _Arm:
    """Of one arm: `settled` says no more data will ship it."""

    comparison: Comparison
    ships: bool
    settled: bool
    reason: str

    @property
    def gain(self) -> float:
        found = self.comparison.found
        return self.comparison.measure.signed(found.value) if isinstance(found, Estimate) else float("-inf")


def _best(arms: Sequence[_Arm], design: Design, until: date | None) -> Verdict:
    """The best arm that ships; else an open question, while there is time; else no."""
    shipping = [one for one in arms if one.ships]
    if shipping:
        best = max(shipping, key=lambda one: one.gain)
        return Verdict("ship", best.reason, best.comparison.arm)
    open_ones = [one for one in arms if not one.settled]
    if open_ones and design.peeking == "always-valid" and (until or design.horizon_days is None):
        return Verdict("keep running", max(open_ones, key=lambda one: one.gain).reason, until=until)
    best = max(arms, key=lambda one: one.gain)
    return Verdict("do not ship", best.reason, best.comparison.arm)


def _arm(one: Comparison, p_value: float, guardrails: Sequence[Comparison]) -> _Arm:
    if isinstance(one.found, Inconclusive):
        return _Arm(one, False, False, f"{one.name} cannot be tested in {one.arm}: {one.found.reason}")
    harmed = next((g for g in guardrails if _beyond(g)), None)
    if harmed is not None:
        return _Arm(one, False, True, f"{_moved(harmed)}, worse than the margin of {_bar(harmed)} allows")
    word = outcome(one.found, one.measure.bar, up=one.measure.up)
    if word == "harmful":
        return _Arm(one, False, True, f"{_moved(one)}, which is worse than the control")
    if word in ("below expectation", "not met"):
        return _Arm(one, False, True, f"{_moved(one)}, which is less than the {_bar(one)} that is worth it")
    if word == "inconclusive":
        return _Arm(one, False, False, f"{_moved(one)}, which chance alone can explain")
    if p_value > ALPHA:
        return _Arm(one, False, False, f"{_moved(one)}, which chance can explain as there are several arms")
    unproven = next((g for g in guardrails if not _within(g)), None)
    if unproven is not None:
        return _Arm(one, False, False, f"{_moved(one)}, but {_unproven(unproven)}")
    kept = "" if not guardrails else ", and each guardrail is within its margin"
    return _Arm(one, True, True, f"{_moved(one)}{kept}")


def _within(guardrail: Comparison) -> bool:
    """Shown to be no worse than the margin: non-inferior."""
    found, bar = guardrail.found, guardrail.measure.bar or 0.0
    if (most := _most_of_none(guardrail)) is not None:
        return most < bar
    return isinstance(found, Estimate) and (found.low if guardrail.measure.up else -found.high) > -bar


def _most_of_none(guardrail: Comparison) -> float | None:
    """Where nobody of either arm did what should not be done: the share that may do it all the same.

    The upper end of the 95 % interval of 0 of n (Clopper, Pearson 1934). None where somebody did, or more of it is better.
    """
    samples = guardrail.control_sample, guardrail.arm_sample
    if guardrail.measure.up or guardrail.measure.relative or guardrail.arm_sample is None:
        return None
    if any(one is None or one.mean != 0 or one.variance != 0 for one in samples):
        return None
    return float(1 - (ALPHA / 2) ** (1 / guardrail.arm_sample.n))


def _beyond(guardrail: Comparison) -> bool:
    """Shown to be worse than the margin."""
    found, bar = guardrail.found, guardrail.measure.bar or 0.0
    return isinstance(found, Estimate) and (found.high if guardrail.measure.up else -found.low) < -bar


def standing(guardrail: Comparison) -> str:
    """Of a guardrail: within its margin, worse than it, or not known yet."""
    return "within" if _within(guardrail) else "worse" if _beyond(guardrail) else "not shown"


def _unproven(guardrail: Comparison) -> str:
    if isinstance(guardrail.found, Inconclusive):
        return f"the guardrail {guardrail.name} cannot be tested: {guardrail.found.reason}"
    told = interval(guardrail.found, guardrail.measure)
    return f"{guardrail.name} is not shown to be within its margin of {_bar(guardrail)} ({told})"


def _moved(one: Comparison) -> str:
    assert isinstance(one.found, Estimate)
    return f"in {one.arm}, {one.name} changed by {amount(one.found.value, one.measure)} ({interval(one.found, one.measure)})"


def _bar(one: Comparison) -> str:
    return registered(one.measure.bar or 0.0, relative=one.measure.relative).lstrip("+")


def _reason(found: Estimate | Inconclusive) -> str:
    return found.reason if isinstance(found, Inconclusive) else ""
