"""The verbs as a person types them: a lake on disk, MLflow on SQLite, bundles and a pointer."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from features.catalogue import Catalogue, Learner, Skill
from features.events import Event, Verb
from features.interactions import Histories, Interactions
from features.lake import materialize
from features.proposals import Proposal, write_proposals
from features.store import EventStore
from training.bundle import Pointer, bundle_folder, load_bundle, read_pointer
from training.cli import app
from training.fit import Table
from training.models.blend import FittedBlend
from training.tracking import CHALLENGER, CHAMPION, Registry

RECIPE = """
seed = 1
[evaluation]
cuts = 3
bootstrap = 100
[models.popularity]
[models.recent]
[models.linear]
ridge = 5.0
next_ridge = 5.0
mix = 0.0
[blend]
parts = ["linear", "popularity"]
"""


PARTS = ("train", "validation", "test")
PROPOSED = {"i03": {"walking": Proposal(level=2, confidence=0.75)}}
"""What a text model said of an item that names no skill; it lies in the lake of the clubs."""


@dataclass(frozen=True)
class Site:
    """One installation: `run` types a verb with the folders of this site."""

    folder: Path

    @property
    def tracking(self) -> str:
        return f"sqlite:///{self.folder / 'var' / 'mlflow.db'}"

    @property
    def registry(self) -> Registry:
        return Registry("clubs", self.tracking, self.folder / "artifacts")

    @property
    def bundles(self) -> Path:
        return self.folder / "bundles"

    def fit(self, recipe: str = RECIPE, *, tenant: str = "clubs") -> Result:
        (self.folder / "recipe.toml").write_text(recipe)
        places = {"--config": "recipe.toml", "--lake": "lake", "--artifacts": "artifacts"}
        options = [part for name, place in places.items() for part in (name, str(self.folder / place))]
        return self.run("fit", "--tenant", tenant, *options)

    def publish(self) -> Result:
        return self.run("publish", "--tenant", "clubs", "--bundles", str(self.bundles))

    def rollback(self) -> Result:
        return self.run("rollback", "--tenant", "clubs", "--bundles", str(self.bundles))

    def run(self, verb: str, *arguments: str) -> Result:
        return CliRunner(env={"COLUMNS": "200"}).invoke(app, [verb, *arguments, "--tracking", self.tracking])


def make_lake(folder: Path, table: Table, tenant: str = "clubs") -> None:
    store = EventStore.open(f"sqlite:///{folder / 'events.db'}")
    session, now = store.tenant(tenant), datetime(2026, 1, 1, tzinfo=UTC)
    learners = [Learner(id=f"l{row:02d}", audiences=("even", "odd")[row % 2 :]) for row in range(len(table.interactions))]
    session.put([*table.catalogue.items.values(), *table.catalogue.skills.values(), *learners], at=now)
    session.append(
        [
            Event(
                tenant=tenant,
                event_id=f"e{number}",
                learner_id=f"l{row:02d}",
                verb=Verb.COMPLETED,
                object_id=table.items.ids[item],
                occurred_at=at.item().replace(tzinfo=UTC),
                recorded_at=at.item().replace(tzinfo=UTC),
            )
            for number, (row, item, at) in enumerate(
                zip(table.interactions.rows(), table.interactions.items, table.interactions.at, strict=True)
            )
        ]
    )
    materialize(session, folder / "lake")
    store.close()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, club_table: Table) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    skills = {"walking": Skill(id="walking", name="Walking")}
    make_lake(folder, replace(club_table, catalogue=Catalogue(club_table.catalogue.items, skills, {})))
    write_proposals(folder / "lake", "clubs", PROPOSED | {"i04": {"unheard-of": PROPOSED["i03"]["walking"]}})
    return folder / "lake"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, lake: Path) -> Site:
    """A site after its first fit, promote and publish."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "lake").symlink_to(lake)
    found = Site(folder)
    for result in (found.fit(), found.run("promote", "--tenant", "clubs"), found.publish()):
        assert result.exit_code == 0, result.output
    return found


@pytest.fixture
def empty(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_first_fit_is_promoted_published_and_loads(site: Site) -> None:
    version = site.registry.versions()[-1]
    assert version.tags["gate.verdict"] == "promoted"
    assert "no champion yet; to the best baseline" in version.tags["gate.reason"]
    name = read_pointer(site.bundles, "clubs").bundle
    bundle = load_bundle(bundle_folder(site.bundles, "clubs", name))
    assert bundle.name == version.bundle
    assert isinstance(bundle.model, FittedBlend)
    assert bundle.manifest.audiences == ("even", "odd")
    assert bundle.population["popularity"].sum() > 300
    assert bundle.proposals == PROPOSED  # those of the lake, as far as the catalogue knows the skill


def test_a_run_holds_recipe_splits_figures_and_plots(site: Site, tmp_path: Path) -> None:
    version = site.registry.versions()[-1]
    run = mlflow.MlflowClient(site.tracking).get_run(version.run_id)
    assert run.data.params["evaluation.cuts"] == "3"
    assert run.data.params["models.linear.ridge"] == "5.0"
    assert "chosen.weights.linear" in run.data.params
    assert {"rolling_origin.blend.ndcg", "leave_last_out.popularity.recall", "peak_mb", "bundle_mb"} <= set(run.data.metrics)
    data = {item.dataset.name: item.dataset.digest for item in run.inputs.dataset_inputs}
    assert {f"{protocol}-{part}-1" for protocol in ("rolling-origin", "leave-last-out") for part in PARTS} <= set(data)
    assert set(data) >= {"everything", "rolling-origin", "rolling-origin-train-3", "leave-last-out-train-1"}
    bundle = load_bundle(bundle_folder(site.bundles, "clubs", version.bundle))
    assert bundle.manifest.provenance.data_digest.startswith(data["everything"])
    assert bundle.manifest.provenance.split_digest.startswith(data["rolling-origin"])
    for file in ("evaluation.json", "config.toml", "config.json", "ranks.npz", "plots/rolling_origin/ndcg_by_cut.svg"):
        assert site.registry.fetch_file(version.run_id, file, tmp_path).is_file()


def test_fits_again_to_the_same_bundle_then_rolls_forward_and_back(site: Site) -> None:
    """One story, for each step stands on the one before."""
    first = read_pointer(site.bundles, "clubs").bundle
    done = site.fit()
    assert done.exit_code == 0
    told = done.output.splitlines()  # no terminal: a line for each stage
    assert told.index("read the lake") < told.index("cut 1 of 3") < told.index("cut 3 of 3") < told.index("fit on everything")
    again = site.registry.aliased(CHALLENGER)
    assert again is not None
    assert again.bundle == first

    verdict = site.run("promote", "--tenant", "clubs", "--reason", "weekly")
    assert "the same recipe" in verdict.output
    again_promoted = site.registry.aliased(CHAMPION)
    assert again_promoted == site.registry.aliased(CHALLENGER)

    assert site.fit(RECIPE.replace('parts = ["linear", "popularity"]', 'parts = ["popularity"]')).exit_code == 0
    stays = site.run("promote", "--tenant", "clubs")
    assert "champion stays: to the champion NDCG differs by -" in stays.output
    assert site.registry.aliased(CHAMPION) == again_promoted
    assert site.fit(RECIPE.replace("mix = 0.0", "mix = 0.5")).exit_code == 0
    assert "promoted: to the champion NDCG differs by +" in site.run("promote", "--tenant", "clubs").output
    second = site.registry.aliased(CHAMPION)
    assert second is not None
    assert second.bundle != first
    assert site.publish().exit_code == 0
    assert read_pointer(site.bundles, "clubs") == Pointer(bundle=second.bundle, previous=first)

    back = site.rollback()
    assert back.exit_code == 0
    assert read_pointer(site.bundles, "clubs") == Pointer(bundle=first)
    champion = site.registry.aliased(CHAMPION)
    assert champion is not None
    assert champion.bundle == first
    assert site.publish().exit_code == 0
    assert read_pointer(site.bundles, "clubs").bundle == first

    # the same data and recipe make the bundle that was taken back again, under a new version
    for _ in range(2):
        refused = site.run("promote", "--tenant", "clubs")
        assert refused.exit_code == 1
        assert f"bundle {second.bundle} was rolled back" in refused.output
        assert site.fit(RECIPE.replace("mix = 0.0", "mix = 0.5")).exit_code == 0
    assert "serves already" in site.publish().output
    assert site.rollback().exit_code == 1


def test_a_follower_mirrors_the_alias_and_survives_a_damaged_pointer(site: Site) -> None:
    command = [sys.executable, "-m", "training", "publish", "--follow", "--tenant", "clubs"]
    options = ["--bundles", str(site.bundles), "--tracking", site.tracking]
    pointer = site.bundles / "clubs" / "champion"
    newest, oldest = site.registry.versions()[0], site.registry.versions()[-1]
    assert newest.bundle != oldest.bundle
    with subprocess.Popen([*command, *options], cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL) as follower:
        try:
            for version in (newest, oldest):
                pointer.write_text("{")
                site.registry.point(CHAMPION, version)
                assert _soon(lambda: version.bundle in pointer.read_text()), version  # noqa: B023
        finally:
            follower.kill()
    assert read_pointer(site.bundles, "clubs").bundle == oldest.bundle


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('[models.als]\nengine = "spark"', "Spark needs Java 17 and PySpark: install a Java 17 and run `make spark`"),
        ('[models.sequence]\ndevice = "cuda"', 'device = "cuda", but PyTorch finds no GPU here: use "auto" or "cpu"'),
    ],
    ids=["spark", "cuda"],
)
def test_what_a_recipe_asks_of_this_machine_in_vain_is_said(
    site: Site, monkeypatch: pytest.MonkeyPatch, section: str, said: str
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)  # as where it is not installed
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    found = site.fit(f"{RECIPE}\n{section}")
    assert (found.exit_code, found.output.strip().splitlines()[-1]) == (1, f"Error: {said}")


def _soon(true: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


def test_the_baseline_serves_where_nothing_can_be_learnt(empty: Site, club_table: Table) -> None:
    shuffled = np.random.default_rng(5)
    rows = [shuffled.permutation(24)[:8].tolist() for _ in range(40)]
    at = [np.sort(shuffled.choice(365 * 24, size=8, replace=False)).astype("timedelta64[h]") for _ in rows]
    start = np.datetime64("2025-01-01T00:00:00", "us")
    table = Interactions.of_histories(Histories.of(rows, 24, at=[start + hours for hours in at]))
    make_lake(empty.folder, replace(club_table, interactions=table))
    assert empty.fit().exit_code == 0
    verdict = empty.run("promote", "--tenant", "clubs")
    assert verdict.exit_code == 0
    assert "baseline serves: no champion yet" in verdict.output
    champion = empty.registry.aliased(CHAMPION)
    assert champion is not None
    assert champion.tags["role"] == "baseline"
    assert empty.publish().exit_code == 0
    served = load_bundle(bundle_folder(empty.bundles, "clubs", read_pointer(empty.bundles, "clubs").bundle))
    assert served.model.kind == champion.tags["gate.baseline"]


def test_a_missing_lake_says_what_to_run(empty: Site) -> None:
    result = empty.fit()
    assert result.exit_code == 1
    assert "python -m features materialize --tenant clubs" in result.output


def test_a_lake_of_another_tenant_is_no_lake(empty: Site, lake: Path) -> None:
    (empty.folder / "lake").symlink_to(lake)
    result = empty.fit(tenant="other")
    assert result.exit_code == 1
    assert "materialize --tenant other" in result.output


@pytest.mark.parametrize("events", ["none", "one learner", "one item"])
def test_too_little_to_learn_from(empty: Site, club_table: Table, events: str) -> None:
    rows = {"none": [], "one learner": [[0, 1, 2]], "one item": [[0], [0], [0]]}[events]
    at = [[np.datetime64("2025-01-01", "us") + np.timedelta64(k, "D") for k in range(len(row))] for row in rows]
    make_lake(empty.folder, replace(club_table, interactions=Interactions.of_histories(Histories.of(rows, 24, at=at))))
    result = empty.fit()
    assert result.exit_code == 1
    assert "a fit needs at least 2 learners and 2 items" in result.output


def test_a_wrong_recipe_names_file_line_and_field(empty: Site) -> None:
    result = empty.fit(RECIPE.replace("cuts = 3", "cutz = 3"))
    assert result.exit_code == 1
    assert "recipe.toml:4: field evaluation.cutz: unknown field" in result.output


def test_nothing_to_promote_publish_or_roll_back(empty: Site) -> None:
    words = {
        "promote": "has no challenger; run `python -m training fit`",
        "publish": "has no champion; run `python -m training promote",
        "rollback": "nothing is published for clubs",
    }
    found: dict[str, Callable[[], Result]] = {
        "promote": lambda: empty.run("promote", "--tenant", "clubs"),
        "publish": empty.publish,
        "rollback": empty.rollback,
    }
    for verb, said in words.items():
        result = found[verb]()
        assert result.exit_code == 1
        assert said in result.output


@pytest.mark.parametrize("verb", ["fit", "promote", "publish", "rollback"])
def test_usage_is_exit_code_2(verb: str) -> None:
    runner = CliRunner()
    assert runner.invoke(app, [verb]).exit_code == 2
    assert runner.invoke(app, [verb, "--tenant", "../etc"]).exit_code == 2
    assert runner.invoke(app, [verb, "--tenant", "a", "--nonsense"]).exit_code == 2


def test_help_needs_nothing_heavy() -> None:
    code = "import sys, training.cli; print([m for m in ('mlflow', 'torch', 'altair', 'ibis') if m in sys.modules])"
    root = str(Path(__file__).parents[2])
    found = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
