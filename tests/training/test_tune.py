"""A sweep on the two clubs: equal budgets, nothing of a test looked at, and a study that survives being stopped."""

import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from nightly import copy

from features.side import SideInformation
from training.cli import app
from training.config import SECTIONS, Config, read_config
from training.fit import DataError, Table
from training.models.families import FAMILIES
from training.models.linear import LinearModel
from training.search_spaces import SPACES, Choice, Integers, Reals
from training.splits import before_every_test, leave_last_out, rolling_origin
from training.tracking import Registry, Run
from training.tune import Budget, Question, best_recipe, open_study, question, study_name, summary, sweep
from training.tune_cli import toml

CONFIG = Config.model_validate(
    {
        "seed": 1,
        "evaluation": {"cuts": 3, "bootstrap": 100},
        "models": {"popularity": {}, "recent": {}, "linear": {"ridge": 5.0, "next_ridge": 5.0}},
        "blend": {"parts": ["linear", "popularity"]},
    }
)


def no_texts(encoder: str | None) -> SideInformation:
    assert encoder is None, f"no model reads texts, yet {encoder} was asked for"
    return SideInformation(24)


@pytest.fixture(scope="module")
def asked(club_table: Table) -> Question:
    return question(club_table, CONFIG, no_texts)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, empty_mlflow: Path) -> Registry:
    folder = tmp_path_factory.mktemp("tune")
    shutil.copyfile(empty_mlflow, folder / "mlflow.db")
    return Registry("clubs", f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@pytest.fixture
def run(registry: Registry) -> Iterator[Run]:
    with registry.run("tune clubs") as active:
        yield active


def swept(asked: Question, run: Run, study: optuna.Study, trials: int, family: str = "linear") -> Any:
    return sweep(family, asked, CONFIG, study, Budget(trials), run=run, say=lambda _: None)


def tried(study: optuna.Study) -> list[tuple[dict[str, Any], float | None]]:
    done = (optuna.trial.TrialState.COMPLETE,)
    return [(trial.params, trial.value) for trial in study.get_trials(states=done)]


# -- what is asked --


def test_no_test_of_either_protocol_has_been_seen(club_table: Table) -> None:
    table = club_table.interactions
    train, validation = before_every_test(table, cuts=1)  # a late cut: some learners have taken up their last item by then
    first, last = rolling_origin(table, cuts=1)[0], leave_last_out(table).test
    assert first.train.lengths.tolist() != train.lengths.tolist()
    tests = {
        (int(who), int(item)) for task in (first.test, last) for who, item in zip(task.learners, task.targets, strict=True)
    }
    entries = set(zip(train.rows().tolist(), train.items.tolist(), strict=True))
    questions = set(zip(validation.learners.tolist(), validation.targets.tolist(), strict=True))
    histories = set(
        zip(validation.learners[validation.histories.rows()].tolist(), validation.histories.items.tolist(), strict=True)
    )
    assert len(questions) > 20
    assert not tests & (entries | questions | histories)
    assert not questions & entries  # nor has a trial learned what it is asked
    assert train.at.max() < first.cut


def test_without_times_it_is_the_validation_of_leave_last_out(club_table: Table) -> None:
    table = replace(club_table.interactions, at=np.full(len(club_table.interactions.items), np.datetime64("NaT", "us")))
    assert before_every_test(table)[1].digest == leave_last_out(table).validation.digest


def test_an_organic_recipe_is_tuned_on_organic_take_ups(club_table: Table) -> None:
    table = club_table.interactions
    flags = replace(club_table, interactions=replace(table, recommended=np.arange(len(table.items)) % 3 == 0))
    found = question(flags, CONFIG.learning_from("organic"), no_texts)
    whole = question(flags, CONFIG, no_texts)
    assert whole.train.recommended.any()
    assert whole.validation.recommended.any()
    assert not found.train.recommended.any()
    assert 0 < len(found.validation) < len(whole.validation)


def test_too_few_events_are_refused_with_the_field(club_table: Table) -> None:
    crowded = CONFIG.model_copy(update={"evaluation": CONFIG.evaluation.model_copy(update={"cuts": 100})})
    two = club_table.interactions.holding(club_table.interactions.take(np.arange(2)))
    with pytest.raises(DataError, match=r"evaluation\.cuts = 100"):
        question(replace(club_table, interactions=two), crowded, no_texts)


# -- the spaces --


@pytest.mark.parametrize("family", [name for name in SPACES if name in FAMILIES])
def test_every_bound_is_accepted_by_the_model(family: str) -> None:
    for name, values in SPACES[family].items():
        assert len(values.ends) >= 2
        for end in values.ends:
            found = SECTIONS[family].model_validate({name: end})
            assert getattr(found, name) == end


def test_the_default_lies_within_the_bounds() -> None:
    for family, space in SPACES.items():
        if family in FAMILIES:
            for name, values in space.items():
                assert values.nearest(getattr(FAMILIES[family].default, name)) == getattr(FAMILIES[family].default, name)


def test_the_nearest_value_of_a_space() -> None:
    assert [Reals(1, 2).nearest(v) for v in (0, 1.5, 9)] == [1, 1.5, 2]
    assert [Integers(1, 4).nearest(v) for v in (0, 3, 9)] == [1, 3, 4]
    assert [Choice((8, 16)).nearest(v) for v in (16, 9)] == [16, 8]


# -- the sweep --


def test_the_first_trial_is_the_recipe_and_the_best_is_no_worse(asked: Question, run: Run) -> None:
    study = open_study("first", None)
    found = swept(asked, run, study, 5)
    assert (found.spent, found.pruned, found.failed) == (5, 0, 0)
    first = study.get_trials()[0]
    assert first.params == {"decay": 0.7, "ridge": 5.0, "next_ridge": 5.0, "mix": 0.65, "side": 0.0, "next_side": 0.0}
    assert found.ndcg == max(value for _, value in tried(study) if value is not None)
    assert first.value is not None
    assert found.ndcg >= first.value


def test_a_stopped_sweep_goes_on_as_if_it_had_not_been(
    asked: Question, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C in the middle of the fourth trial; a new process continues. The trials are those of a sweep left alone."""
    storage, fits, fit = f"sqlite:///{tmp_path / 'tuning.db'}", [], LinearModel.fit

    def stop(self: LinearModel, *rest: Any, **more: Any) -> Any:
        fits.append(self)
        if len(fits) == 4:
            raise KeyboardInterrupt
        return fit(self, *rest, **more)

    monkeypatch.setattr(LinearModel, "fit", stop)
    with pytest.raises(KeyboardInterrupt):
        swept(asked, run, open_study("s", storage), 13)
    assert summary("linear", open_study("s", storage)).spent == 3
    assert swept(asked, run, open_study("s", storage), 13).spent == 13
    alone = open_study("alone", None)
    swept(asked, run, alone, 13)
    assert tried(open_study("s", storage)) == tried(alone)


def test_a_trial_whose_process_was_killed_is_closed_and_costs_nothing(asked: Question, run: Run, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'tuning.db'}"
    study = open_study("s", storage)
    import platform

    study.ask().set_user_attr("process", f"{platform.node()} 99999999")
    study.ask().set_user_attr("process", "elsewhere 1")
    again = open_study("s", storage)
    assert [trial.state.name for trial in again.get_trials()] == ["FAIL", "RUNNING"]
    assert swept(asked, run, again, 2).spent == 2


def test_a_setting_that_fails_is_spent_and_said(asked: Question, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = LinearModel.fit

    def singular(self: LinearModel, *rest: Any, **more: Any) -> Any:
        if self.config.ridge != 5.0:
            raise np.linalg.LinAlgError("singular")
        return fit(self, *rest, **more)

    monkeypatch.setattr(LinearModel, "fit", singular)
    study = open_study("fails", None)
    found = swept(asked, run, study, 3)
    assert (found.spent, found.failed, found.trial) == (3, 2, 0)
    assert study.get_trials()[1].user_attrs["error"] == "LinAlgError: singular"
    runs = children(run.run_id)
    assert sorted(one.info.status for one in runs) == ["FAILED", "FAILED", "FINISHED"]
    assert {one.data.tags.get("tune.error") for one in runs} == {None, "LinAlgError: singular"}


def test_pruned_trials_are_spent_and_said(asked: Question, run: Run) -> None:
    study = open_study("prunes", None, prune=True)
    found = swept(asked, run, study, 12)
    assert found.spent == 12
    assert 0 < found.pruned < 12
    states = [one.data.tags["tune.state"] for one in children(run.run_id)]
    assert states.count("pruned") == found.pruned


def test_a_family_without_settings_has_one_trial(asked: Question, run: Run) -> None:
    assert swept(asked, run, open_study("popularity", None), 20, "popularity").spent == 1


def test_time_ends_a_sweep_and_trials_in_all_count(asked: Question, run: Run) -> None:
    study = open_study("late", None)
    budgets = Budget(20, 0.0), Budget(2), Budget(2)
    found = [sweep("recent", asked, CONFIG, study, budget, run=run, say=lambda _: None).spent for budget in budgets]
    assert found == [0, 2, 2]


def test_other_data_or_another_seed_is_another_study(club_table: Table, asked: Question) -> None:
    less = question(
        replace(club_table, interactions=club_table.interactions.holding(club_table.interactions.drop_last())), CONFIG, no_texts
    )
    other = CONFIG.model_copy(update={"seed": 2})
    names = {study_name(club_table, CONFIG, "linear", asked), study_name(club_table, CONFIG, "linear", less)}
    names |= {study_name(club_table, other, "linear", asked), study_name(club_table, CONFIG, "recent", asked)}
    assert len(names) == 4
    assert study_name(club_table, CONFIG, "linear", asked) in names


def children(run_id: str) -> list[Any]:
    client = mlflow.MlflowClient()
    experiment = client.get_run(run_id).info.experiment_id
    return list(client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'"))


def test_each_trial_is_a_run_below_its_family(asked: Question, run: Run) -> None:
    with run.child("tune linear", tags={"tune.family": "linear"}) as family:
        swept(asked, family, open_study("runs", None), 2)
    assert [one.info.run_name for one in children(run.run_id)] == ["tune linear"]
    trials = {one.info.run_name: one for one in children(family.run_id)}
    assert set(trials) == {"linear 1", "linear 2"}
    first = trials["linear 1"]
    assert first.data.params.items() >= {"decay": "0.7", "ridge": "5.0", "next_ridge": "5.0", "mix": "0.65"}.items()
    assert set(first.data.metrics) == {"validation_ndcg", "validation_recall", "seconds"}
    assert first.data.tags["tune.state"] == "complete"


# -- the recipe --


def test_the_best_settings_are_a_recipe_that_fit_takes(asked: Question, run: Run, tmp_path: Path) -> None:
    studies = {name: open_study(f"recipe {name}", None) for name in ("linear", "als", "random")}
    found = [swept(asked, run, study, 2, name) for name, study in studies.items()]
    best = best_recipe(CONFIG, found)
    models, before = best.model_dump()["models"], CONFIG.model_dump()["models"]
    assert models["linear"]["ridge"] == found[0].settings["ridge"]
    assert models["recent"] == before["recent"]
    assert best.blend.parts == ("linear", "popularity", "als")
    path = tmp_path / "recipe.toml"
    path.write_text(toml(best, header=["tuned"]))
    assert read_config(path) == best


def test_toml_keeps_dates_words_and_choices() -> None:
    body = CONFIG.model_dump() | {"data": {"since": "2025-01-01T00:00:00Z", "use": "organic"}}
    body["models"] = {"linear": "choose", "popularity": {}, "content": {"encoder": 'a "quoted" \\ name'}}
    config = Config.model_validate(body)
    assert Config.model_validate(tomllib.loads(toml(config))) == config


# -- the command --


def typed(*arguments: str) -> Any:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["tune", "--tenant", "clubs", *arguments])


def test_a_family_nobody_knows_and_a_folder_that_is_not_there_are_usage(tmp_path: Path) -> None:
    assert typed("--models", "linear,oracle").exit_code == 2
    assert "unknown model 'oracle'; known: popularity" in typed("--models", "oracle").output
    assert typed("--out", str(tmp_path / "none" / "r.toml")).exit_code == 2


def test_no_lake_is_said_with_what_to_run(tmp_path: Path) -> None:
    found = typed(
        "--lake", str(tmp_path), "--tracking", f"sqlite:///{tmp_path}/m.db", "--storage", f"sqlite:///{tmp_path}/t.db"
    )
    assert found.exit_code == 1
    assert "features materialize" in found.output


@pytest.mark.slow
def test_the_recipe_that_tune_writes_is_one_that_fit_takes(tmp_path: Path, refreshed: Path) -> None:
    site = copy(refreshed, tmp_path)
    out, places = tmp_path / "tuned.toml", site.places
    folders = ["--lake", str(places.lake), "--tracking", places.tracking, "--artifacts", str(places.artifacts)]
    study = ["--storage", f"sqlite:///{tmp_path}/tuning.db", "--models", "linear,recent", "--trials", "2"]
    found = typed(*folders, *study, "--config", str(places.config), "--out", str(out))
    assert found.exit_code == 0, found.output
    assert f"Next: python -m training fit --tenant clubs --config {out}" in found.output
    before = len(site.registry.versions())
    fitted = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["fit", "--tenant", "clubs", "--config", str(out), *folders])
    assert fitted.exit_code == 0, fitted.output
    assert len(site.registry.versions()) == before + 2
    assert read_config(out).models.recent is not None
