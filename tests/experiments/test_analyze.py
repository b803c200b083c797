"""`python -m experiments analyze` as a team uses it whose experiment ran elsewhere: two CSV files and a design."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from scipy import stats
from typer.testing import CliRunner

from experiments.cli import app

SMALLEST = """
name = "outside"
unit = "learner"
[allocation]
control = 0.5
treatment = 0.5
[primary]
metric = "value"
relative = false
"""
Run = Callable[..., tuple[Result, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Writes the files, runs the command, gives its result and the JSON, None where none was written."""

    def analyze(units: str, outcomes: str, design: str = SMALLEST) -> tuple[Result, Any]:
        for name, text in {"a.csv": units, "o.csv": outcomes, "d.toml": design}.items():
            (tmp_path / name).write_text(text, "utf-8")
        names = {"assignments": "a.csv", "outcomes": "o.csv", "design": "d.toml", "out": "report.html", "json": "report.json"}
        options = [part for name, file in names.items() for part in (f"--{name}", str(tmp_path / file))]
        result = CliRunner().invoke(app, ["analyze", *options])
        written = tmp_path / "report.json"
        return result, json.loads(written.read_text("utf-8")) if written.exists() else None

    return analyze


def csv(head: str, rows: Iterable[Sequence[object]]) -> str:
    return "\n".join([head, *(",".join(str(one) for one in row) for row in rows)]) + "\n"


def halves(n: int) -> list[tuple[str, str]]:
    return [(f"u{place}", "control" if place % 2 else "treatment") for place in range(n)]


def values(n: int, effect: float = 0.0, *, seed: int = 1) -> list[float]:
    noise = np.random.default_rng(seed).normal(10, 2, n)
    return [float(round(value + (effect if place % 2 == 0 else 0), 6)) for place, value in enumerate(noise)]


def simple(n: int, effect: float) -> tuple[str, str]:
    numbers = values(n, effect)
    return csv("unit,arm", halves(n)), csv(
        "unit,metric,value", [(f"u{place}", "value", value) for place, value in enumerate(numbers)]
    )


def test_the_smallest_design_gives_welchs_test(run: Run) -> None:
    result, found = run(*simple(400, 1.0))
    numbers = np.array(values(400, 1.0))
    theirs = stats.ttest_ind(numbers[::2], numbers[1::2], equal_var=False)
    (metric,) = found["metrics"]
    assert result.exit_code == 0, result.output
    assert found["verdict"] == "ship"
    assert (metric["name"], metric["arm"], metric["relative"]) == ("value", "treatment", False)
    assert metric["estimate"] == pytest.approx(numbers[::2].mean() - numbers[1::2].mean())
    assert metric["p_value"] == pytest.approx(theirs.pvalue)
    assert (metric["ci_low"], metric["ci_high"]) == pytest.approx(tuple(theirs.confidence_interval()))
    assert found["health"]["sample_ratio_p"] == 1.0


@pytest.mark.parametrize(("effect", "reason"), [(0.0, "chance alone"), (-1.0, "worse than the control")])
def test_what_does_not_win_does_not_ship(run: Run, effect: float, reason: str) -> None:
    result, found = run(*simple(400, effect))
    assert found["verdict"] == "do not ship"
    assert reason in result.output


def test_less_is_better_where_the_design_says_so(run: Run) -> None:
    assert run(*simple(400, -1.0), SMALLEST + 'direction = "down"\n')[1]["verdict"] == "ship"


def test_a_gain_that_is_surely_too_small_does_not_ship(run: Run) -> None:
    result, found = run(*simple(4000, 0.4), SMALLEST + "minimum_effect = 2.0\n")
    assert found["verdict"] == "do not ship"
    assert found["metrics"][0]["outcome"] == "below expectation"
    assert "less than the 2 that is worth it" in result.output


GUARDED = SMALLEST + '[[guardrails]]\nmetric = "load"\ndirection = "down"\nmargin = 0.5\n'


@pytest.mark.parametrize(("load", "spread", "verdict"), [(0.0, 1, "ship"), (2.0, 1, "do not ship"), (0.0, 20, "do not ship")])
def test_a_guardrail_must_be_shown_to_hold(run: Run, load: float, spread: float, verdict: str) -> None:
    """Not worse, surely worse, and not known."""
    units, outcomes = simple(400, 1.0)
    noise = np.random.default_rng(3).normal(0, spread, 400)
    more = "".join(f"u{place},load,{value + (load if place % 2 == 0 else 0):.6f}\n" for place, value in enumerate(noise))
    assert run(units, outcomes + more, GUARDED)[1]["verdict"] == verdict


def test_uneven_arms_are_broken_and_show_no_result(run: Run) -> None:
    arms = [(f"u{place}", "control" if place < 600 else "treatment") for place in range(1000)]
    result, found = run(csv("unit,arm", arms), simple(1000, 1.0)[1])
    assert result.exit_code == 0
    assert found["verdict"] == "broken"
    assert found["metrics"] == []
    assert f"{found['health']['sample_ratio_p']:.3g}" == "2.54e-10"
    assert "Broken" in result.output


def test_a_paused_arm_counts_for_nothing(run: Run) -> None:
    paused = SMALLEST.replace("treatment = 0.5", "treatment = 0.5\npaused = 0.0")
    assert run(*simple(400, 1.0), paused)[1]["verdict"] == "ship"


def times(n: int, days: int) -> list[str]:
    return [f"2026-03-{1 + place % days:02d}T08:00:00Z" for place in range(n)]


def dated(n: int, effect: float, days: int) -> tuple[str, str]:
    units = [(*one, at) for one, at in zip(halves(n), times(n, days), strict=True)]
    numbers = zip(values(n, effect), times(n, days), strict=True)
    rows = [(f"u{place}", "value", value, at.replace("T08", "T09")) for place, (value, at) in enumerate(numbers)]
    return csv("unit,arm,assigned_at", units), csv("unit,metric,value,at", rows)


def test_a_fixed_look_is_not_read_before_its_horizon(run: Run) -> None:
    early, found = run(*dated(400, 1.0, 7), "horizon_days = 14\n" + SMALLEST)
    assert found["verdict"] == "keep running until 2026-03-15"
    assert found["metrics"] == []
    assert "one look was registered" in early.output
    assert run(*dated(420, 1.0, 14), "horizon_days = 14\n" + SMALLEST)[1]["verdict"] == "ship"


def test_always_valid_ships_early_and_else_keeps_running(run: Run) -> None:
    design = 'horizon_days = 14\npeeking = "always-valid"\nplanned_units = 400\n' + SMALLEST
    shipped = run(*dated(400, 1.5, 7), design)[1]
    assert shipped["verdict"] == "ship"
    assert shipped["metrics"][0]["ci_low"] == shipped["metrics"][0]["always_valid"]["ci_low"]
    assert run(*dated(400, 0.0, 7), design)[1]["verdict"] == "keep running until 2026-03-15"
    assert run(*dated(420, 0.0, 14), design)[1]["verdict"] == "do not ship"


RARE = 'horizon_days = 14\npeeking = "always-valid"\n' + SMALLEST.replace(
    "relative = false", 'relative = true\nmissing = "zero"'
)


def rare(n: int, at: int, often: int) -> tuple[str, str]:
    """Yes or no, yes once in `often`; all assigned on the first of March, and read on day `at`."""
    units = [(*one, "2026-03-01T08:00:00Z") for one in halves(n)]
    rows = [(f"u{place}", "value", int(place % often == often - 1), f"2026-03-{at:02d}T09:00:00Z") for place in range(n)]
    return csv("unit,arm,assigned_at", units), csv("unit,metric,value,at", rows)


def test_where_nothing_happened_yet_an_early_look_keeps_running(run: Run) -> None:
    """On the third day nobody had done it, and the page said that the data are broken and must be mended."""
    early, found = run(*rare(200, 3, 1000), RARE)
    assert (early.exit_code, found["verdict"]) == (0, "keep running until 2026-03-15")
    assert "value cannot be tested yet: all units have the same value" in early.output
    late, found = run(*rare(200, 14, 1000), RARE)
    assert (late.exit_code, found["verdict"]) == (1, "broken")


def test_a_replay_over_little_withholds_an_early_look_and_breaks_the_last(run: Run) -> None:
    """Eight of 200 did it: intervals are too narrow for so few, which more days may heal."""
    early, found = run(*rare(200, 3, 25), RARE)
    assert (early.exit_code, found["verdict"]) == (0, "keep running until 2026-03-15")
    assert found["metrics"] == []
    assert "what is known so far carries no interval: arms drawn anew 400 times" in early.output
    fixed = run(*rare(200, 3, 25), RARE.replace("always-valid", "fixed"))
    assert fixed[1]["verdict"] == "keep running until 2026-03-15"
    assert "one look was registered" in fixed[0].output
    assert run(*rare(200, 14, 25), RARE)[1]["verdict"] == "broken"


def test_the_trajectory_ends_at_the_result(run: Run) -> None:
    found = run(*dated(400, 1.0, 7))[1]
    assert [look["day"] for look in found["trajectory"]] == [f"2026-03-0{day}" for day in range(1, 8)]
    last, always = found["trajectory"][-1], found["metrics"][0]["always_valid"]
    assert [last[name] for name in always] == pytest.approx(list(always.values()))


@pytest.mark.parametrize("days", [("05", "06"), ("06", "06")])
def test_a_trajectory_of_several_outcomes_a_unit_ends_at_the_result(run: Run, days: tuple[str, str]) -> None:
    """Of two days, and of one: the sums by unit are what is squared."""
    units, outcomes = dated(40, 1.0, 4)
    later = [(f"u{place}", "value", place % 3, f"2026-03-{days[place % 2]}T10:00:00Z") for place in range(30)]
    twice = [(f"u{place}", "value", place % 5, "2026-03-06T11:00:00Z") for place in range(0, 30, 7)]
    found = run(units, outcomes + csv("", later + twice).lstrip())[1]
    last, always = found["trajectory"][-1], found["metrics"][0]["always_valid"]
    assert [last[name] for name in always] == pytest.approx(list(always.values()))


def test_what_is_known_from_before_narrows_the_interval(run: Run) -> None:
    """Own rows from before the assignment, and a metric that the design names: both, to the same numbers."""
    numbers = np.array(values(400, 0.5))
    before = numbers + np.random.default_rng(9).normal(0, 0.5, 400)
    units = csv("unit,arm,assigned_at", [(*one, "2026-03-10") for one in halves(400)])
    after = [(f"u{place}", "value", value, "2026-03-12") for place, value in enumerate(numbers)]
    own = [(f"u{place}", "value", value, "2026-03-01") for place, value in enumerate(before)]
    named = [(f"u{place}", "past", value, "2026-03-01") for place, value in enumerate(before)]
    (first,) = run(units, csv("unit,metric,value,at", after + own))[1]["metrics"]
    (second,) = run(units, csv("unit,metric,value,at", after + named), SMALLEST + 'covariate = "past"\n')[1]["metrics"]
    slope = np.mean([np.cov(numbers[s], before[s])[0, 1] for s in (slice(0, None, 2), slice(1, None, 2))]) / np.mean(
        [before[s].var(ddof=1) for s in (slice(0, None, 2), slice(1, None, 2))]
    )
    rest = numbers - slope * before
    assert first["estimate"] == second["estimate"] == pytest.approx(rest[::2].mean() - rest[1::2].mean())
    assert first["variance_saved"] > 0.8
    assert first["ci_high"] - first["ci_low"] < 0.5 * (first["unadjusted"]["ci_high"] - first["unadjusted"]["ci_low"])


def test_clusters_are_what_is_compared(run: Run) -> None:
    """Twenty copies of 40 people in 40 clusters: the interval is that of 40."""
    numbers = values(40, 2.0)
    arms = halves(40)
    units = [(f"u{place}-{copy}", arms[place][1], f"c{place}") for place in range(40) for copy in range(20)]
    rows = [(f"u{place}-{copy}", "value", numbers[place]) for place in range(40) for copy in range(20)]
    (found,) = run(csv("unit,arm,cluster", units), csv("unit,metric,value", rows))[1]["metrics"]
    theirs = stats.ttest_ind(numbers[::2], numbers[1::2], equal_var=False).confidence_interval()
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(tuple(theirs))


def test_a_ratio_is_one_sum_over_the_other(run: Run) -> None:
    rng = np.random.default_rng(4)
    offers = rng.integers(1, 9, 400)
    taken = rng.binomial(offers, 0.4)
    rows = [(f"u{n}", name, of[n]) for name, of in (("offers", offers), ("value", taken)) for n in range(400)]
    found = run(csv("unit,arm", halves(400)), csv("unit,metric,value", rows), SMALLEST + 'denominator = "offers"\n')[1]
    shares = [taken[start::2].sum() / offers[start::2].sum() for start in (0, 1)]
    assert found["metrics"][0]["estimate"] == pytest.approx(shares[0] - shares[1])


def test_a_count_of_events_is_zero_where_there_is_none(run: Run) -> None:
    units, _ = simple(400, 0)
    rows = csv("unit,metric,value", [(f"u{place}", "value", 1) for place in range(0, 400, 4)])
    found = run(units, rows, SMALLEST + 'missing = "zero"\n')[1]
    assert found["metrics"][0]["estimate"] == 0.5


def test_several_arms_are_tested_together(run: Run) -> None:
    design = SMALLEST.replace("control = 0.5\ntreatment = 0.5", "control = 0.4\nfirst = 0.3\nsecond = 0.3")
    arms = [
        (f"u{n}", ("control", "control", "control", "control", "first", "first", "first", "second", "second", "second")[n % 10])
        for n in range(1000)
    ]
    rows = [(f"u{n}", "value", value + (2 if n % 10 > 6 else 0)) for n, value in enumerate(values(1000))]
    result, found = run(csv("unit,arm", arms), csv("unit,metric,value", rows), design)
    assert (found["verdict"], found["arm"]) == ("ship", "second")
    assert [one["arm"] for one in found["metrics"]] == ["first", "second"]
    assert found["metrics"][1]["adjusted_p"] == pytest.approx(2 * found["metrics"][1]["p_value"])
    assert "Ship second" in result.output


def test_segments_below_five_are_never_shown_nor_given_away(run: Run) -> None:
    """One hospital of four people: the next smallest goes with it, or the whole less the shown would tell."""
    teams = ["small"] * 4 + ["next"] * 30 + ["large"] * 200 + ["other"] * 166
    units = csv("unit,arm,team", [(*one, team) for one, team in zip(halves(400), teams, strict=True)])
    found = run(units, simple(400, 1.0)[1], 'segments = ["team"]\n' + SMALLEST)[1]
    (segment,) = found["segments"]
    assert {part["value"] for part in segment["parts"]} == {"large", "other"}
    assert segment["hidden"] == 2


def test_novelty_that_wears_off_is_seen(run: Run) -> None:
    """Twelve days each; the effect lives in the first six."""
    rng = np.random.default_rng(8)
    units = csv("unit,arm,assigned_at", [(*one, "2026-03-01T00:00:00Z") for one in halves(400)])
    rows = [
        (
            f"u{n}",
            "value",
            round(rng.normal(1, 0.5) + (1 if n % 2 == 0 and day < 6 else 0), 4),
            f"2026-03-{day + 1:02d}T12:00:00Z",
        )
        for n in range(400)
        for day in range(13)
    ]
    (fading,) = run(units, csv("unit,metric,value,at", rows))[1]["fading"]
    assert len(fading["days"]) == 12
    assert fading["days"][0]["estimate"] == pytest.approx(1, abs=0.2)
    assert fading["later_less_earlier"]["ci_high"] < -0.9


BROKEN = {
    "none of the 4 units with outcomes": ("", "manager1,value,1\nmanager2,value,2\nmanager3,value,3\nmanager4,value,4\n"),
    "no outcome of value": ("", "u0,other,1\n"),
    "without spread nothing can be tested": ("", "u0,value,1\nu1,value,1\nu2,value,1\nu3,value,1\n"),
    "1 rows repeat a unit": ("u0,treatment\n", "u0,value,1\nu1,value,2\nu2,value,3\nu3,value,4\n"),
}


@pytest.mark.parametrize("words", BROKEN)
def test_data_that_carry_nothing_are_refused_in_words(run: Run, words: str) -> None:
    more, outcomes = BROKEN[words]
    result, found = run(csv("unit,arm", halves(4)) + more, "unit,metric,value\n" + outcomes)
    assert words in result.output
    assert result.exit_code == 1
    assert found["verdict"] == "broken"
    assert found["metrics"] == []


def test_a_unit_in_two_arms_breaks_the_experiment(run: Run) -> None:
    units, outcomes = simple(400, 1.0)
    result, found = run(units + "u0,control\n", outcomes)
    assert found["verdict"] == "broken"
    assert "1 units are in more than one arm" in result.output


def test_one_cluster_an_arm_is_no_experiment(run: Run) -> None:
    units = csv("unit,arm,cluster", [(*one, one[1]) for one in halves(400)])
    result, found = run(units, simple(400, 1.0)[1])
    assert (result.exit_code, found["verdict"]) == (1, "broken")
    assert "an arm has 1 cluster" in result.output


def test_exposure_before_assignment_breaks_it(run: Run) -> None:
    units = csv("unit,arm,assigned_at,exposed_at", [(*one, "2026-03-02", "2026-03-01") for one in halves(400)])
    result, found = run(units, simple(400, 1.0)[1])
    assert found["verdict"] == "broken"
    assert "400 units met the experiment before" in result.output


def test_arms_that_lose_different_people_break_it(run: Run) -> None:
    units, outcomes = simple(400, 1.0)
    kept = [line for place, line in enumerate(outcomes.splitlines()[1:]) if place % 2 or place % 6]
    result, found = run(units, "\n".join(["unit,metric,value", *kept]))
    assert found["verdict"] == "broken"
    assert "lose different people" in result.output
    assert found["health"]["missing_p"] < 0.001


def test_arms_drawn_anew_find_nothing_in_a_healthy_experiment(run: Run, tmp_path: Path) -> None:
    """Also where the arms do differ: what is drawn anew knows nothing of them."""
    found = run(*simple(400, 1.0))[1]
    replay = found["health"]["aa_replay"]
    assert (replay["runs"], found["verdict"]) == (400, "ship")
    assert 6 <= replay["false_positives"] <= 35  # the 99.9 % interval around 20
    assert replay["p"] > 0.001
    page = (tmp_path / "report.html").read_text("utf-8")
    assert f"arms drawn anew 400 times over 400 units found something {replay['false_positives']} times" in page


def test_teams_that_were_assigned_as_wholes_and_counted_one_by_one_break_it(run: Run) -> None:
    """A cluster leak: twenty teams of twenty, alike within, each wholly in one arm."""
    rng = np.random.default_rng(3)
    shared, noise = rng.normal(0, 2, 20), rng.normal(10, 1, 400)
    units = csv("unit,arm,team", [(f"u{n}", "treatment" if n // 20 % 2 else "control", f"team{n // 20}") for n in range(400)])
    rows = csv("unit,metric,value", [(f"u{n}", "value", round(noise[n] + shared[n // 20], 4)) for n in range(400)])
    result, found = run(units, rows, 'segments = ["team"]\n' + SMALLEST)
    assert (result.exit_code, found["verdict"], found["metrics"]) == (0, "broken", [])
    assert "assign and count each team as a cluster" in result.output
    assert found["health"]["aa_replay"]["false_positives"] > 100
    mended = run(units.replace("unit,arm,team", "unit,arm,cluster"), rows)[1]
    assert mended["health"]["passed"]
    assert mended["health"]["aa_replay"]["runs"] == 400


def test_teams_split_over_the_arms_are_no_leak(run: Run) -> None:
    units = csv("unit,arm,team", [(*one, f"team{place // 20}") for place, one in enumerate(halves(400))])
    found = run(units, simple(400, 1.0)[1], 'segments = ["team"]\n' + SMALLEST)[1]
    assert found["health"]["passed"]


def test_rare_outcomes_in_a_small_arm_break_it(run: Run) -> None:
    """Eight of a thousand and a tenth treated: the interval is far too narrow where the small arm happens to have none."""
    arms = [(f"u{n}", "treatment" if n % 10 == 0 else "control") for n in range(1000)]
    rows = csv("unit,metric,value", [(f"u{n}", "value", int(n % 125 == 1)) for n in range(1000)])
    design = SMALLEST.replace("control = 0.5", "control = 0.9").replace("treatment = 0.5", "treatment = 0.1")
    result, found = run(csv("unit,arm", arms), rows, design)
    assert found["verdict"] == "broken"
    assert "too narrow for such outcomes" in result.output


def test_a_metric_that_is_rare_among_those_drawn_for_the_replay_breaks_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 40,000 units 320 carry it, 32 in the small arm, for which the interval is right; of 2,000 one or two."""
    monkeypatch.setattr("experiments.health.MOST", 1_000)
    monkeypatch.setattr("experiments.health.MANY", 2_000)
    rng = np.random.default_rng(5)
    arms, values = rng.random(40_000) < 0.1, rng.random(40_000) < 0.008
    units = csv("unit,arm", [(f"u{n}", "treatment" if one else "control") for n, one in enumerate(arms)])
    rows = csv("unit,metric,value", [(f"u{n}", "value", int(one)) for n, one in enumerate(values)])
    design = SMALLEST.replace("control = 0.5", "control = 0.9").replace("treatment = 0.5", "treatment = 0.1")
    found = run(units, rows, design)[1]
    (check,) = [one for one in found["health"]["checks"] if one["name"] == "aa_replay"]
    assert found["health"]["passed"]
    assert "so rare that this says nothing" in check["found"]


def test_rare_outcomes_in_halves_are_only_hard_to_find(run: Run) -> None:
    """Four of a thousand: less is found than could be, which misleads nobody."""
    rows = csv("unit,metric,value", [(f"u{n}", "value", int(n % 250 == 1 or n == 500)) for n in range(1000)])
    found = run(csv("unit,arm", halves(1000)), rows)[1]
    assert found["health"]["passed"]
    assert found["verdict"] == "do not ship"


def test_a_paused_control_compares_nothing(run: Run) -> None:
    design = SMALLEST.replace("control = 0.5", "control = 0.0\nother = 0.5")
    arms = [(unit, "other" if arm == "control" else arm) for unit, arm in halves(400)]
    result, found = run(csv("unit,arm", arms), simple(400, 1.0)[1], design)
    assert (result.exit_code, found["verdict"]) == (1, "broken")
    assert "an arm has no outcome of this metric" in result.output


def test_too_few_units_to_draw_arms_of_are_told(run: Run) -> None:
    found = run(*simple(12, 0.0))[1]
    (check,) = [one for one in found["health"]["checks"] if one["name"] == "aa_replay"]
    assert check["passed"]
    assert check["found"].startswith("not made: an arm would have fewer than 10 units")
    assert found["health"]["aa_replay"] == {"runs": 0, "false_positives": 0, "p": None}


REFUSED = {
    "the shares sum to 0.9": ("unit,arm\nu0,control\n", "unit,metric,value\nu0,value,1\n", SMALLEST.replace("0.5", "0.45")),
    "no column 'unit'": ("unit|arm\nu0|control\n", "unit,metric,value\nu0,value,1\n", SMALLEST),
    "arm 'b', which [allocation] does not have": ("unit,arm\nu0,b\n", "unit,metric,value\nu0,value,1\n", SMALLEST),
    "1 values are not numbers, 'yes' for one": ("unit,arm\nu0,control\n", "unit,metric,value\nu0,value,yes\n", SMALLEST),
    "1 times a unit has several rows": ("unit,arm\nu0,control\n", "unit,metric,value\nu0,value,1\nu0,value,2\n", SMALLEST),
    "1 rows whose assigned_at is no time": (
        "unit,arm,assigned_at\nu0,control,soon\n",
        "unit,metric,value\nu0,value,1\n",
        SMALLEST,
    ),
    "1 rows without a cluster": ("unit,arm,cluster\nu0,control,\n", "unit,metric,value\nu0,value,1\n", SMALLEST),
    "1 rows without unit or arm": ("unit,arm\nu0,\n", "unit,metric,value\nu0,value,1\n", SMALLEST),
    "there is no row below the first line": ("unit,arm\n", "unit,metric,value\nu0,value,1\n", SMALLEST),
    "no column 'team'": ("unit,arm\nu0,control\n", "unit,metric,value\nu0,value,1\n", 'segments = ["team"]\n' + SMALLEST),
}


@pytest.mark.parametrize("words", REFUSED)
def test_files_that_cannot_be_read_are_refused_in_words(run: Run, words: str) -> None:
    result, found = run(*REFUSED[words])
    assert words in result.output
    assert (result.exit_code, found) == (2, None)
    assert "Traceback" not in result.output


def test_a_file_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    run(*simple(4, 0))
    options = [
        "--assignments",
        str(tmp_path / "none.csv"),
        "--outcomes",
        str(tmp_path / "o.csv"),
        "--design",
        str(tmp_path / "d.toml"),
    ]
    result = CliRunner().invoke(app, ["analyze", *options])
    assert result.exit_code == 2
    assert "none.csv: not a readable CSV file" in result.output


def test_a_guardrail_that_a_file_lacks_is_no_good_news(run: Run) -> None:
    design = GUARDED.replace("margin = 0.5", 'margin = 0.5\nmissing = "zero"')
    result, found = run(*simple(100, 1.0), design)
    assert (result.exit_code, found["verdict"]) == (1, "broken")
    assert "no outcome of load from the assignment on" in found["sentence"]
