"""The nightly job: what counts as new, and that it may be killed anywhere and run again."""

import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nightly import ITEMS, NOW, RECIPE, TENANT, WALK, Killer, Site, Told, event, fill

from features.catalogue import Item
from features.events import Verb
from features.lock import LockedError, held
from training.bundle import load_bundle, read_pointer
from training.fit import DataError
from training.promote import rollback
from training.refresh import STEPS
from training.tracking import CHAMPION

WORK = ["fit", "evaluate", "drift", "gate"]
WEAK = RECIPE.replace('["linear"]', '["popularity"]')


def walks(learners: int = 40) -> list[tuple[str, list[tuple[str, datetime]]]]:
    """Each learner walks its club's items round in order from a random start, over a year."""
    rng = np.random.default_rng(3)
    found = []
    for number in range(learners):
        first, length = int(rng.integers(WALK)), int(rng.integers(5, 10))
        items = [ITEMS[number % 2 * WALK + (first + step) % WALK] for step in range(length)]
        days = np.sort(rng.choice(365, size=length, replace=False))
        at = [NOW - timedelta(days=365 - int(day)) for day in days]
        found.append((f"l{number:02d}", list(zip(items, at, strict=True))))
    return found


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site after its first refresh."""
    site = Site(tmp_path_factory.mktemp("first"))
    fill(site, walks())
    first = site.refresh()
    assert (first.ending, first.verdict) == ("published", "promoted")
    assert [step.name for step in first.steps] == [*STEPS[:-1]]
    return site.folder


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    found = Killer()
    yield found
    found.close()


@pytest.fixture
def site(tmp_path: Path, refreshed: Path) -> Iterator[Site]:
    """A copy of the site for a test alone."""
    return _copy(refreshed, tmp_path)


def _copy(refreshed: Path, to: Path) -> Site:
    """MLflow keeps absolute paths of artifacts: both sites read the first one's, each writes its own."""
    shutil.copytree(refreshed, to, dirs_exist_ok=True)
    return Site(to)


def names(told: Told) -> list[str]:
    return [step for step in told.begun if step in WORK]


def test_nothing_new_publishes_nothing(site: Site) -> None:
    served, told = site.serving(), Told()
    again = site.refresh(told)
    assert again.ending == "nothing new"
    assert names(told) == []
    assert site.serving() == served
    assert len(site.registry.versions()) == 2
    assert site.reports() == 2


def test_events_that_nothing_is_learned_from_are_not_new(site: Site) -> None:
    at = NOW + timedelta(days=1)
    site.append([event(f"s{number}", "l01", "i03", at, verb) for number, verb in enumerate((Verb.SAVED, Verb.RATED))])
    told = Told()
    assert site.refresh(told).ending == "nothing new"
    assert names(told) == []


def test_new_take_ups_are_fitted_and_published_then_rolled_back_for_good(site: Site) -> None:
    before = site.serving()
    site.append([event(f"n{number}", f"l{number:02d}", "i05", NOW + timedelta(days=1)) for number in range(9)])
    told = Told()
    found = site.refresh(told)
    assert names(told) == WORK
    assert found.ending == "published"
    assert "new since version 1: data" in found.steps[2].words
    assert read_pointer(site.places.bundles, TENANT).previous == before

    rollback(site.registry, site.places.bundles, TENANT)
    assert site.refresh().ending == "nothing new"
    assert site.refresh(force=True).reason.startswith(f"bundle {found.bundle} was rolled back by a person")
    assert site.serving() == before


@pytest.mark.slow
def test_a_weaker_recipe_is_judged_once_and_the_champion_stays(site: Site) -> None:
    before = site.serving()
    site.recipe(WEAK)
    first = site.refresh()
    assert (first.ending, first.verdict) == ("champion stays", "champion stays")
    assert "recipe" in first.steps[2].words
    assert site.refresh().ending == "nothing new"
    assert site.serving() == before


def test_a_champion_that_stays_gets_the_new_catalogue(site: Site) -> None:
    """Whoever retires an item does not wait for a better model."""
    before = load_bundle(site.places.bundles / TENANT / site.serving())
    site.put(Item(id="i07", title="Lesson i07", available_until=NOW), Item(id="i99", title="New"))
    site.recipe(WEAK)
    found = site.refresh()
    assert (found.ending, found.verdict) == ("published", "champion stays")
    after = load_bundle(site.places.bundles / TENANT / site.serving())
    assert after.catalogue.items["i07"].available_until == NOW
    assert after.vocabulary.ids == before.vocabulary.ids
    assert all(np.array_equal(after.model.arrays()[name], array) for name, array in before.model.arrays().items())
    champion = site.registry.aliased(CHAMPION)
    assert champion is not None
    assert champion.tags["reissue.of"] == before.name
    assert site.refresh().ending == "nothing new"


@pytest.mark.slow
def test_a_fit_is_done_again_when_it_is_old(site: Site) -> None:
    told = Told()
    found = site.refresh(told, max_age_days=0.0)
    assert names(told) == WORK
    assert "older than 0 days" in found.steps[2].words
    assert found.ending == "champion stays"  # equal data and recipe make the equal bundle


@pytest.mark.slow
def test_drift_stops_before_the_gate_when_asked_to(site: Site) -> None:
    before = site.serving()
    strangers = [event(f"x{n}", f"new{n}", ITEMS[n % 3 + 12], NOW + timedelta(days=200, minutes=n)) for n in range(90)]
    site.append(strangers)
    told = Told()
    stopped = site.refresh(told, stop_on_drift=True)
    assert stopped.ending == "stopped by drift"
    assert names(told) == WORK[:-1]
    assert stopped.drift is not None
    assert "newcomers" in {one["name"] for one in stopped.drift["findings"] if one["drifted"]}
    assert site.serving() == before

    told = Told()
    assert site.refresh(told).ending in ("published", "champion stays")
    assert names(told) == WORK[2:]  # the fit of the stopped run is judged, not repeated


@pytest.mark.parametrize("at", [*(pytest.param(step, marks=pytest.mark.slow) for step in STEPS[:4]), "evaluate"])
def test_killed_before_the_fit_is_recorded_it_is_done_again(site: Site, killer: Killer, at: str) -> None:
    before = site.serving()
    site.append([event("n1", "l01", "i05", NOW + timedelta(days=1))])
    killer.kill(site, when=at)
    assert site.serving() == before
    told = Told()
    assert site.refresh(told).ending == "published"
    assert names(told) == WORK
    assert site.serving() != before


@pytest.mark.parametrize(
    ("at", "rest"),
    [
        pytest.param("after evaluate", WORK[2:], marks=pytest.mark.slow),
        pytest.param("gate", WORK[2:], marks=pytest.mark.slow),
        ("after gate", []),
        pytest.param("publish", [], marks=pytest.mark.slow),
        pytest.param("after publish", [], marks=pytest.mark.slow),
    ],
)
def test_killed_after_the_fit_it_goes_on_from_there(site: Site, killer: Killer, at: str, rest: list[str]) -> None:
    before = site.serving()
    site.append([event("n1", "l01", "i05", NOW + timedelta(days=1))])
    killer.kill(site, when=at)
    assert (site.serving() == before) == (at != "after publish")
    told = Told()
    found = site.refresh(told)
    assert names(told) == rest
    assert found.ending == ("nothing new" if at == "after publish" else "published")
    assert site.serving() != before


@pytest.mark.slow
@pytest.mark.parametrize("calls", ["tag refresh_fingerprint", f"point {CHAMPION}"])
def test_killed_between_two_facts_of_mlflow(site: Site, killer: Killer, calls: str) -> None:
    """Registered and not tagged yet; judged and the alias not moved yet."""
    before = site.serving()
    site.append([event("n1", "l01", "i05", NOW + timedelta(days=1))])
    killer.kill(site, calls=calls)
    assert site.serving() == before
    told = Told()
    assert site.refresh(told).ending == "published"
    assert names(told) == WORK[2:]


def test_one_at_a_time(site: Site) -> None:
    with held(site.places.lake, TENANT, work="refresh"), pytest.raises(LockedError, match="refresh, process"):
        site.refresh()
    assert site.refresh().ending == "nothing new"


def test_a_lost_bundle_is_published_again(site: Site) -> None:
    served = site.serving()
    (site.places.bundles / TENANT / served / "vocabulary.json").unlink()
    assert site.refresh().ending == "published"
    assert site.serving() == served


@pytest.mark.slow
def test_a_lost_partition_is_written_again(site: Site) -> None:
    day = sorted(site.places.lake.rglob("day=*"))[3]
    shutil.rmtree(day)
    assert site.refresh().ending == "nothing new"
    assert any(day.iterdir())


@pytest.mark.slow
def test_a_journal_that_cannot_be_read_costs_time_only(site: Site) -> None:
    (site.places.journal / TENANT / "journal.json").write_text("{")
    assert site.refresh().ending == "nothing new"


def test_data_that_cannot_be_learned_from_changes_nothing(site: Site) -> None:
    before = site.serving()
    far = datetime.now(UTC) + timedelta(days=400)
    site.append([event("bad", "l01", "i05", NOW).model_copy(update={"occurred_at": far, "recorded_at": far})])
    for _ in range(2):
        with pytest.raises(DataError, match="FAIL  times"):
            site.refresh()
    assert site.serving() == before


@pytest.mark.slow
def test_ugly_histories_are_survived(tmp_path: Path) -> None:
    """All times equal, a history of 10,000 events, and learners who know only items outside the catalogue."""
    site = Site(tmp_path)
    same = [(name, [(item, NOW) for item, _ in steps]) for name, steps in walks(12)]
    fill(site, [*walks(), *((f"same-{name}", steps) for name, steps in same)])
    long = [event(f"long{n}", "l00", ITEMS[n % len(ITEMS)], NOW - timedelta(minutes=n)) for n in range(10_000)]
    for start in range(0, len(long), 5_000):
        site.append(long[start : start + 5_000])
    site.append([event(f"odd{n}", f"stranger{n % 5}", f"outside{n}", NOW - timedelta(days=n)) for n in range(50)])
    assert site.refresh().ending == "published"
    assert site.serving()
