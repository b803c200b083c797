"""The procedures of experiments reproduce published figures to the printed digits; each test names the origin."""

import numpy as np
import pytest
from scipy import stats

from experiments.inference.estimates import Estimate
from experiments.inference.group_sequential import chance_to_cross, obrien_fleming, pocock
from experiments.inference.intervals import always_valid, fixed
from experiments.inference.lifts import Lift, lift
from experiments.inference.power import detectable, units_in_control
from experiments.inference.sample_ratio import sample_ratio
from experiments.inference.samples import Sample, mean, proportion
from experiments.inference.shrinkage import shrunk

CONTROL, TREATMENT = mean(3407, 1396.87, 52377.9767), mean(3461, 2422.7, 134698.29)
"""The fixture of gbstats' tests."""
HALVES = {"control": 0.5, "treatment": 0.5}


def between(control: Sample, arm: Sample, *, relative: bool) -> Lift:
    found = lift(control, arm, relative=relative)
    assert isinstance(found, Lift)
    return found


def digits(found: Estimate, places: int = 5) -> tuple[float, float, float, float]:
    return tuple(round(one, places) for one in (found.value, found.low, found.high, found.p_value))  # type: ignore[return-value]


def test_means_relative_lift_of_gbstats() -> None:
    assert digits(fixed(between(CONTROL, TREATMENT, relative=True))) == (0.70732, -0.03526, 1.44989, 0.06191)


def test_means_absolute_lift_of_gbstats_which_is_significant_where_the_relative_one_is_not() -> None:
    assert digits(fixed(between(CONTROL, TREATMENT, relative=False))) == (0.29, 0.04538, 0.53462, 0.02016)


def test_proportions_of_gbstats() -> None:
    found = fixed(between(proportion(28, 14), proportion(30, 16), relative=True))
    assert digits(found) == (0.06667, -0.47767, 0.61101, 0.80707)


def test_a_negative_mean_that_halves_is_a_rise_by_half() -> None:
    assert between(Sample(100, -10, 1), Sample(100, -5, 1), relative=True).value == 0.5


def test_always_valid_interval_of_gbstats() -> None:
    """Waudby-Smith et al. (2021), eq. 9, tuned to 1,000 units, with 3,000 units in the control of the same sums."""
    found = always_valid(between(mean(3000, 1396.87, 52377.9767), TREATMENT, relative=True), tuned_to=1000)
    assert digits(found)[1:3] == (-0.55844, 1.56516)


def test_fifty_looks_find_something_in_nothing_every_third_time_unless_always_valid() -> None:
    """32 % and 1.7 % as recomputed by simulation; here 2,000 runs of 50 looks at 100 more units in each arm."""
    rng, looks, runs = np.random.default_rng(7), 50, 2000
    units = 100 * np.arange(1, looks + 1)
    drift = (np.sqrt(2 * 100) * rng.normal(size=(runs, looks))).cumsum(axis=1) / units  # difference of means after each look
    peeked = np.abs(drift) / np.sqrt(2 / units) > stats.norm.isf(0.025)
    widths = [always_valid(Lift(0.0, 2 / n, 2 * n - 2, 2 * n)).high for n in units]
    assert abs(peeked.any(axis=1).mean() - 0.32) < 0.035
    assert abs((np.abs(drift) > widths).any(axis=1).mean() - 0.017) < 0.011


def test_five_looks_at_the_fixed_bound_are_wrong_one_time_in_seven() -> None:
    """Armitage, McPherson and Rowe (1969)."""
    assert round(chance_to_cross([stats.norm.isf(0.025)] * 5), 4) == 0.1417


def test_pococks_bound_for_five_looks() -> None:
    assert [round(bound, 3) for bound in pocock(5)] == [2.413] * 5


def test_obrien_and_flemings_bounds_for_five_looks() -> None:
    assert [round(bound, 3) for bound in obrien_fleming(5)] == [4.562, 3.226, 2.634, 2.281, 2.040]


@pytest.mark.parametrize(
    ("control", "treatment", "printed"), [(600, 400, "2.54e-10"), (44_000, 45_000, "0.000802"), (50_000, 50_450, "0.156")]
)
def test_sample_ratio(control: int, treatment: int, printed: str) -> None:
    """Recomputed with scipy.stats.chisquare."""
    assert f"{sample_ratio({'control': control, 'treatment': treatment}, HALVES):.3g}" == printed


def test_a_paused_arm_adds_no_degree_of_freedom() -> None:
    """.0043 where it does: nobody would be warned."""
    found = sample_ratio({"control": 5165, "treatment": 4835}, {**HALVES, "paused": 0})
    assert f"{found:.2g}" == "0.00097"


def test_power_of_a_four_percent_fall_from_twelve() -> None:
    assert round(units_in_control(-0.04 * 0.12, 0.03)) == 613
    assert round(units_in_control(-0.04 * 0.12, 0.03, correlation=0.7)) == 313


def test_eighty_an_arm_find_no_less_than_eleven_percent() -> None:
    assert round(detectable(80, 0.03) / 0.12, 2) == 0.11


def test_the_job_training_experiment_of_lalonde() -> None:
    """1,794.34 (671.00) in Dehejia and Wahba's sample, from the arms' means and deviations."""
    found = between(Sample(260, 4554.8011, 5483.836**2), Sample(185, 6349.1435, 7867.402**2), relative=False)
    assert (round(found.value, 2), f"{found.variance**0.5:.2f}") == (1794.34, "671.00")


def test_the_placebo_of_lalondes_experiment_finds_nothing() -> None:
    """Earnings of 1975, before the training: 265.15 (305), from the arms' means and deviations in the same sample."""
    found = between(Sample(260, 1266.9090, 3102.982**2), Sample(185, 1532.0553, 3219.2509**2), relative=False)
    assert (round(found.value, 2), f"{found.variance**0.5:.0f}") == (265.15, "305")
    assert fixed(found).p_value > 0.05


def test_the_eight_schools_are_drawn_together() -> None:
    """Rubin (1981): a common effect of 7.7 with an error of 4.1, and no sign of a spread."""
    found = shrunk([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18])
    assert {round(value, 1) for value in found.values} == {7.7}
    assert {round(error, 1) for error in found.errors} == {4.1}
    assert found.spread == 0
