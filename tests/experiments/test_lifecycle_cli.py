"""The life of an experiment as a user types it."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from experiments.cli import app
from features.catalogue import Skill
from features.store import EventStore

DESIGN = """
name = "bolder"
unit = "learner"
horizon_days = 14
[allocation]
control = 0.5
treatment = 0.5
[variants.treatment]
policy = {epsilon = 0.2}
[primary]
metric = "completion"
relative = false
"""


@pytest.fixture
def design(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # no store and no lake are there
    monkeypatch.delenv("NEXTWISE_STORE", raising=False)
    monkeypatch.setenv("NEXTWISE_EXPERIMENTS", str(tmp_path / "records"))
    monkeypatch.setenv("NEXTWISE_BUNDLES", str(tmp_path / "bundles"))
    monkeypatch.setenv("NEXTWISE_STORE", f"sqlite:///{tmp_path}/events.db")
    (tmp_path / "bundles" / "acme").mkdir(parents=True)
    path = tmp_path / "bolder.toml"
    path.write_text(DESIGN)
    return path


def run(*words: str | Path, tenant: str = "acme") -> Result:
    return CliRunner(env={"COLUMNS": "400"}).invoke(app, [*map(str, words), "--tenant", tenant])


def test_start_list_reallocate_stop(design: Path) -> None:
    assert run("start", design).stdout.startswith("Started bolder, phase 1, design ")
    assert run("start", design).output.startswith("Nothing to do, this runs already: bolder, phase 1")
    changed = run("reallocate", "bolder", "--arms", "control=0.2,treatment=0.8", "--traffic", "0.5")
    assert changed.output == "bolder is in phase 2: control 0.2, treatment 0.8, of 0.5 of the units.\n"
    assert "bolder" in (listed := run("list").output)
    assert "runs" in listed
    assert "control 0.2, treatment 0.8" in listed
    assert run("stop", "bolder").output == "Stopped bolder after 0.0 days in phase 2.\n"
    (record,) = json.loads(run("list", "--json").output)
    assert [phase["stopped_at"] is not None for phase in record["phases"]] == [True, True]
    assert run("list").output.count("stopped") == 1


def test_an_edit_of_what_runs_needs_a_word(design: Path) -> None:
    run("start", design)
    design.write_text(DESIGN.replace("14", "28"))
    refused = run("start", design)
    assert (refused.exit_code, "--new-phase" in refused.output) == (1, True)
    assert run("start", design, "--new-phase").stdout.startswith("Started bolder, phase 2")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epsilon = 0.2", "epsilom = 0.2", "field variants.treatment.policy: field epsilom"),
        (
            "epsilon = 0.2",
            "nudges = {killed = false}",
            "nudges.killed: kill switches, hours and holdout are the same in every arm",
        ),
        ("policy = {epsilon = 0.2}", 'bundle = "0123456789abcdef"', "0123456789abcdef holds no bundle; publish it"),
        ("treatment = 0.5", "treatment = 0.4", "the shares sum to 0.9"),
        ("horizon_days = 14", "", "field horizon_days"),
        ('name = "bolder"', 'name = "Much bolder"', "cannot be called 'Much bolder'"),
    ],
)
def test_what_the_service_could_not_do_is_refused_before_it_begins(design: Path, old: str, new: str, words: str) -> None:
    assert old in DESIGN
    design.write_text(DESIGN.replace(old, new))
    refused = run("start", design)
    assert (refused.exit_code, refused.exception.__class__) == (1, SystemExit)
    assert words in refused.output
    assert run("list").output == f"No experiment of acme is recorded in {design.parent / 'records'}.\n"


def test_what_a_report_could_not_read_is_told_at_the_start(design: Path) -> None:
    """A misspelt metric was told when the 14 days were over."""
    design.write_text('segments = ["team", "role"]\n' + DESIGN.replace('"completion"', '"completions"'))
    begun = run("start", design)
    assert (begun.exit_code, begun.stdout[:14]) == (0, "Started bolder")
    assert "`report` cannot read this design: metric 'completions' is not defined; there are completion, " in begun.stderr
    assert "segment 'team' is not known of learners; there are org_unit, role, manager" in begun.stderr
    assert "'role'" not in begun.stderr
    design.write_text(DESIGN)
    assert "cannot read" not in run("start", design, "--new-phase").stderr


def test_a_record_that_was_edited_hides_no_other(design: Path) -> None:
    """One such record ended the list of the whole tenant."""
    run("start", design)
    (design.parent / "records" / "acme" / "other.json").write_text("{}")
    listed = run("list")
    assert listed.exit_code == 1
    assert "bolder" in listed.stdout
    assert "other.json" in listed.stderr
    assert json.loads(run("list", "--json").stdout)[0]["name"] == "bolder"


def test_what_is_not_there_is_told(design: Path) -> None:
    for verb in ("stop", "reallocate"):
        refused = run(verb, "bolder")
        assert refused.exit_code == 1
        assert "there is no such experiment; `python -m experiments list` shows those there are" in refused.output
    run("start", design)
    assert "write for example control=0.5,treatment=0.5" in run("reallocate", "bolder", "--arms", "half").output


def test_a_tenant_that_nobody_knows_is_refused_unless_told(design: Path) -> None:
    """It said Started, and nobody was ever in the experiment."""
    refused = run("start", design, tenant="nosuch")
    assert (refused.exit_code, refused.exception.__class__) == (1, SystemExit)
    assert "tenant nosuch has no bundle in" in refused.output
    assert "say --unknown-tenant" in refused.output
    assert not (design.parent / "events.db").exists()  # looking makes no store
    assert run("start", design, "--unknown-tenant", tenant="nosuch").stdout.startswith("Started bolder")


def test_rows_in_the_store_are_enough_to_know_a_tenant(design: Path) -> None:
    with closing(EventStore.open(f"sqlite:///{design.parent}/events.db")) as store:
        store.tenant("early").put([Skill(id="listening", name="Listening")], at=datetime.now(UTC))
    assert run("start", design, tenant="early").stdout.startswith("Started bolder")
