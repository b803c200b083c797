"""A design is read strictly, says what is wrong with it by field, and has a hash that names all of it."""

from pathlib import Path

import pytest

from experiments.design import Design, DesignError, design_of, load_design, widths

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


def written(tmp_path: Path, text: str, name: str = "d.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def changed(old: str, new: str) -> str:
    assert old in SMALLEST
    return SMALLEST.replace(old, new)


def test_the_smallest_design_is_read(tmp_path: Path) -> None:
    design = load_design(written(tmp_path, SMALLEST))
    assert (design.name, design.unit, design.primary.metric, design.primary.relative) == ("outside", "learner", "value", False)
    assert (design.control, design.treatments, design.traffic, design.peeking) == ("control", ("treatment",), 1.0, "fixed")
    assert design.horizon_days is None


def test_a_full_design_is_read_and_its_policy_file_is_taken_in(tmp_path: Path) -> None:
    written(tmp_path, "epsilon = 0.2\n", "more.toml")
    full = """
name = "more-chance"
hypothesis = "More chance finds more that is applied."
unit = "manager"
audience = ["logistics"]
layer = "home"
traffic = 0.4
horizon_days = 28
peeking = "always-valid"
[allocation]
old = 0.5
chance = 0.3
other = 0.2
[variants.chance]
policy = "more.toml"
[variants.other]
bundle = "0123456789abcdef"
[primary]
metric = "applied_skill"
relative = true
minimum_effect = 0.05
[[goals]]
metric = "completion"
[[guardrails]]
metric = "opt_outs"
margin = 0.01
direction = "down"
"""
    design = load_design(written(tmp_path, full))
    assert design.control == "old"
    assert design.variants["chance"].policy == {"epsilon": 0.2}
    assert design.guardrails[0].direction == "down"
    written(tmp_path, "epsilon = 0.3\n", "more.toml")
    assert load_design(tmp_path / "d.toml").digest != design.digest  # the hash is of what the policy says


def test_the_design_of_the_documentation_is_one(tmp_path: Path) -> None:
    lines = (Path(__file__).parents[2] / "docs/experiments.md").read_text("utf-8").partition("## The design\n")[2].splitlines()
    block = [line[4:] for line in lines[: lines.index(next(one for one in lines if one.startswith("Only `name`")))]]
    design = load_design(written(tmp_path, "\n".join(block)))
    assert (design.name, design.variants["treatment"].policy, design.goals[0].metric) == (
        "bolder",
        {"epsilon": 0.1},
        "return_7d",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (changed("treatment = 0.5", "treatment = 0.4"), "allocation: the shares sum to 0.9; make them sum to 1"),
        (changed("treatment = 0.5", "treatment = -0.5"), "allocation.treatment"),
        (changed("treatment = 0.5", 'treatment = "0.5"'), "allocation.treatment"),
        (changed("control = 0.5\ntreatment = 0.5", "control = 1"), "at least two arms"),
        (changed("control = 0.5\ntreatment = 0.5", "control = 1\ntreatment = 0"), "at least two arms"),
        (changed('unit = "learner"', 'unit = "team"'), "field unit"),
        (changed("relative = false", ""), "field primary.relative"),
        (changed("relative = false", "relative = false\nminimum_effect = -1"), "primary.minimum_effect"),
        (changed("relative = false", "relative = false\nminimum_effect = nan"), "primary.minimum_effect"),
        (changed('name = "outside"', 'name = "outside"\nhorizon = 3'), "field horizon"),
        (changed('name = "outside"', 'name = " "'), "field name"),
        (changed('name = "outside"', "name = 2026-01-01"), "write dates and times as text"),
        (SMALLEST + '[variants.third]\nbundle = "0123456789abcdef"\n', "variants.third: [allocation] has no such arm"),
        (SMALLEST + "[variants.treatment]\n", "variants.treatment: name either `policy`"),
        (SMALLEST + '[variants.treatment]\nbundle = "../x"\n', "variants.treatment.bundle"),
        (SMALLEST + '[variants.treatment]\npolicy = "none.toml"\n', "none.toml: not a readable TOML file"),
        (SMALLEST + '[[guardrails]]\nmetric = "value"\nmargin = 1.0\n', "metric 'value' is named twice"),
        (SMALLEST + '[[guardrails]]\nmetric = "other"\n', "guardrails.0.margin"),
        ("name = ", "not a readable TOML file"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_field(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DesignError, match=r"\.toml: ") as raised:
        load_design(written(tmp_path, text))
    assert words in str(raised.value)


def test_the_hash_is_of_every_value_and_of_nothing_else() -> None:
    given = {
        "name": "n",
        "unit": "learner",
        "allocation": {"a": 0.5, "b": 0.5},
        "primary": {"metric": "value", "relative": False},
    }
    design = design_of(given, "test")
    assert design_of({**given, "traffic": 1.0, "peeking": "fixed"}, "test").digest == design.digest
    others = [
        {"name": "m"},
        {"unit": "site"},
        {"allocation": {"a": 0.4, "b": 0.6}},
        {"allocation": {"b": 0.5, "a": 0.5}},
        {"primary": {"metric": "value", "relative": True}},
        {"hypothesis": "More."},
        {"audience": ["x"]},
        {"layer": "home"},
        {"traffic": 0.5},
        {"variants": {"b": {"policy": {"epsilon": 0.1}}}},
        {"goals": [{"metric": "other"}]},
        {"guardrails": [{"metric": "other", "margin": 0.1}]},
        {"horizon_days": 14},
        {"peeking": "always-valid"},
        {"planned_units": 400},
        {"segments": ["team"]},
    ]
    assert {name for other in others for name in other} == set(Design.model_fields)
    assert len({design.digest, *(design_of({**given, **other}, "test").digest for other in others)}) == len(others) + 1


def test_buckets_of_thirds_leave_none_over() -> None:
    assert widths({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}) == {"a": 3334, "b": 3333, "c": 3333}
    assert widths({"a": 0.1, "b": 0.2, "c": 0.7}) == {"a": 1000, "b": 2000, "c": 7000}
