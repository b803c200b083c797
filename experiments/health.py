"""Whether an experiment's data can carry a result at all. One failed check withholds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from experiments.assignment.ranges import reallotted
from experiments.design import Design, Goal, Guardrail, widths
from experiments.inference.intervals import fixed
from experiments.inference.lifts import Lift, lift
from experiments.inference.replay import RUNS, Replay, carried_by, replay
from experiments.inference.sample_ratio import WARNS_BELOW, sample_ratio
from experiments.inference.samples import Moments, Sample, ratio
from experiments.outcomes.replayed import MANY, MOST, Drawn, drawn
from experiments.outcomes.tables import Tables

FEWEST: Final = 2
"""Independent units an arm needs for anything to be said of chance."""
ENOUGH: Final = 100
"""Units in the smaller arm that make up the metric, from which on those drawn stand for all."""
FEWEST_REPLAYED: Final = 10
"""Units in the smaller arm from which on a replay is made: of fewer there are hardly different arms to draw."""
ALIKE: Final = 0.01
"""The share of units whose ids may be nearly those of others by accident."""


@dataclass(frozen=True)
class Check:
    """What was asked, whether it is in order, and what was found, in a sentence. `number`: for machines.

    `of_data`: a failure says that the data must be mended, not that the experiment went wrong. `heals`: it may pass when more
    is known, so before the horizon it withholds a result and breaks nothing.
    """

    name: str
    title: str
    passed: bool
    found: str
    number: float | None
    of_data: bool = False
    heals: bool = False


@dataclass(frozen=True)
class Health:
    """All checks, and how many units, or clusters where those were randomised, each arm has.

    `replay`: None where none was made.
    """

    checks: tuple[Check, ...]
    units: Mapping[str, int]
    randomised: Mapping[str, int]
    replay: Replay | None = None

    @property
    def failed(self) -> list[Check]:
        return [one for one in self.checks if not one.passed]

    def number(self, name: str) -> float | None:
        """Of the check of that name."""
        return next((one.number for one in self.checks if one.name == name), None)


def plumbing(tables: Tables, design: Design) -> Health:
    """The checks that need no metric."""
    units = _counts(tables, "count(*)")
    randomised = _counts(tables, "count(distinct cluster)") if tables.clustered else units
    checks = [
        _sample_ratio(randomised, design, "clusters" if tables.clustered else "units"),
        _several_arms(tables),
        _repeated(tables),
        _enough(randomised, design, "cluster" if tables.clustered else "unit"),
        _strangers(tables, design),
        _outcomes(tables, design),
        _exposed_first(tables),
    ]
    return Health(tuple(checks), units, randomised)


def _counts(tables: Tables, what: str) -> dict[str, int]:
    return dict(tables.rows(f"select arm, {what} from units group by arm order by arm"))


def _sample_ratio(counts: Mapping[str, int], design: Design, what: str) -> Check:
    name, title = "sample_ratio_p", "Sizes of the arms"
    live = {arm: counts.get(arm, 0) for arm, share in design.allocation.items() if share > 0}
    if not any(live.values()):
        return Check(name, title, False, "no unit is in an arm with a share above 0", None, of_data=True)
    p_value = sample_ratio(counts, design.allocation)
    due = sum(live.values()) / sum(design.allocation[arm] for arm in live)
    arms = ", ".join(f"{arm} {count:,} (due {due * design.allocation[arm]:,.0f})" for arm, count in live.items())
    passed = p_value >= WARNS_BELOW
    words = "as allocated" if passed else "chance hardly ever strays so far; look for what lost some of one arm"
    return Check(name, title, passed, f"{what} of {arms}: {words} (p = {p_value:.2g})", p_value)


def _several_arms(tables: Tables) -> Check:
    of = "cluster" if tables.clustered else "unit"
    count = tables.faults.in_several_arms
    words = f"every {of} is in one arm" if not count else f"{count:,} {of}s are in more than one arm"
    return Check("in_several_arms", "One arm each", not count, words, count)


def _repeated(tables: Tables) -> Check:
    count = tables.faults.repeated
    words = "every unit stands once" if not count else f"{count:,} rows repeat a unit; leave each unit's first assignment only"
    return Check("repeated_units", "Nobody twice", not count, words, count, of_data=True)


def _enough(counts: Mapping[str, int], design: Design, what: str) -> Check:
    smallest = min(counts.get(arm, 0) for arm, share in design.allocation.items() if share > 0)
    words = f"at least {smallest:,} {what}s in each arm"
    if smallest < FEWEST:
        words = f"an arm has {smallest} {what}{'' if smallest == 1 else 's'}: what the arm does cannot be told from what it is"
    return Check("fewest_randomised", "Enough to compare", smallest >= FEWEST, words, smallest, of_data=True)


def _strangers(tables: Tables, design: Design) -> Check:
    """Units of the outcomes that were never assigned: some are left out, all of them are another unit."""
    known, strange = tables.one("select count(distinct key) from facts"), tables.faults.strangers
    words = f"outcomes of {known:,} assigned units; {strange:,} others were not assigned and are left out"
    if strange and not known:
        words = f"none of the {strange:,} units with outcomes was assigned: they are of another unit than {design.unit}"
    alike, total = tables.faults.alike, tables.one("select count(*) from units")
    if alike >= ALIKE * total and tables.faults.alike_ids is not None:
        one, other = tables.faults.alike_ids
        words = (
            f"{alike:,} units with outcomes are nearly, but not quite, assigned ones: {one!r} and {other!r}; write ids alike"
        )
    passed = (bool(known) or not strange) and alike < max(ALIKE * total, 1)
    return Check("outcomes_of_strangers", "Outcomes of the same units", passed, words, strange, of_data=True)


def _outcomes(tables: Tables, design: Design) -> Check:
    """Of each metric that decides, and of all that it is made from."""
    there = dict(tables.rows("select metric, bool_or(after) from facts group by metric"))
    deciding = (design.primary, *design.guardrails)
    counted = [one for one in deciding if tables.until is None or not _may_be_none(one)]
    after = [name for one in counted for name in (one.metric, one.denominator) if name is not None and not there.get(name)]
    before = [one.covariate for one in deciding if one.covariate is not None and one.covariate not in there]
    absent = ", ".join([*after, *before])
    words = f"no outcome of {absent} from the assignment on" if absent else "each metric that decides has outcomes"
    return Check("metrics_without_outcomes", "Outcomes", not absent, words, len(after) + len(before), of_data=True)


def _may_be_none(goal: Goal) -> bool:
    """Whether no row at all is good news, where all is known: nobody did what should not be done. A file may just lack it."""
    return isinstance(goal, Guardrail) and goal.direction == "down" and goal.missing == "zero"


def _exposed_first(tables: Tables) -> Check:
    count = tables.faults.exposed_first
    words = "nobody, where it is known" if not count else f"{count:,} units met the experiment before they were in an arm"
    return Check("exposed_before_assignment", "Exposed before assignment", not count, words, count)


def missing(unknown: Mapping[str, Moments], design: Design, metric: str) -> Check:
    """Whether the share of units without an outcome differs between arms, clusters counted as one: then who is left differs."""
    shares = {arm: ratio(one) for arm, one in unknown.items()}
    control = shares.get(design.control)
    p_values = [_differ(control, shares.get(arm)) for arm in design.treatments]
    p_value = min(1.0, min(p_values, default=1.0) * max(len(p_values), 1))
    told = ", ".join(f"{arm} {one.mean:.1%}" for arm, one in shares.items() if isinstance(one, Sample))
    passed = p_value >= WARNS_BELOW
    words = (
        "no more than chance makes them differ" if passed else "the arms lose different people, so those left do not compare"
    )
    return Check("missing_p", f"Missing {metric}", passed, f"{told} of units have none (p = {p_value:.2g}): {words}", p_value)


def _differ(control: object, arm: object) -> float:
    if not isinstance(control, Sample) or not isinstance(arm, Sample):
        return 1.0
    found = lift(control, arm, relative=False)
    if isinstance(found, Lift):
        return fixed(found).p_value
    return 1.0 if control.mean == arm.mean or min(control.n, arm.n) < FEWEST else 0.0


def aa_replay(tables: Tables, design: Design, runs: int = RUNS) -> tuple[Check, Replay | None]:
    """Whether the primary, as measured last, shows effects of arms that are drawn anew and did nothing."""
    live = {arm: share for arm, share in design.allocation.items() if share > 0}
    name, title = "aa_replay", "A/A replay"
    first = sorted(live, key=lambda arm: arm != design.control)[:2]
    if not runs:
        return Check(name, title, True, "not made", None), None
    of, smaller = drawn(tables, design, MOST), min(live[arm] for arm in first)
    if _rare(of, smaller):
        of = drawn(tables, design, MANY)
    what = "clusters" if tables.clustered else "units"
    if len(of.rows) * smaller < FEWEST_REPLAYED:
        words = f"not made: an arm would have fewer than {FEWEST_REPLAYED} {what}, and there are hardly different arms to draw"
        return Check(name, title, True, words, None), None
    ranges = reallotted({}, widths(live))
    found = replay(of.rows, of.units, {arm: ranges[arm] for arm in first}, relative=design.primary.relative, runs=runs)
    few = found.too_few and carried_by(of.rows) * smaller < FEWEST_REPLAYED
    rare = found.too_many and _rare(of, smaller) and of.together is None
    passed = few or rare or not (found.too_many or found.too_few)
    over = f"{of.of:,} {what}" if len(of.rows) == of.of else f"{len(of.rows):,} drawn from {of.of:,} {what}"
    if of.together is not None:
        over = f"{len(of.rows):,} units, which all have the arm of their {of.together}"
    told = f"arms drawn anew {found.runs} times over {over} found something {found.false_positives} times"
    words = f"{told}, where 5 % are right (p = {found.p_value:.2g}){_replayed(found, of.together, few, rare)}"
    return Check(name, title, passed, words, found.p_value, heals=of.together is None), found


def _rare(of: Drawn, smaller: float) -> bool:
    """Whether so few of those drawn make up the metric in the smaller arm that they may err where all together do not."""
    return len(of.rows) < of.of and carried_by(of.rows) * smaller < ENOUGH


def _replayed(found: Replay, together: str | None, few: bool, rare: bool) -> str:
    if rare:
        return ": among those drawn the metric is so rare that this says nothing of all of them"
    if few:
        return ": a handful of units make up the metric, so less is found than could be"
    if found.too_many and together is not None:
        return f": the interval is too narrow, for it counts units one by one; assign and count each {together} as a cluster"
    if found.too_many:
        return ": the interval is too narrow for such outcomes, as with rare ones in a small arm, or units are not independent"
    return ": the interval is too wide for such outcomes" if found.too_few else ""
