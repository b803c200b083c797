"""The nightly job: what counts as new, and that it may be killed anywhere and run again."""

import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nightly import ITEMS, NOW, RECIPE, TENANT, Killer, Site, Told, copy, event, fill, walks

from features.catalogue import Item
from features.events import Verb
from features.lock import LockedError, held
from features.proposals import Proposal, write_proposals
from training.bundle import load_bundle, read_pointer
from training.fit import DataError
from training.promote import promote, rollback
from training.publish import publish
from training.refresh import STEPS
from training.tracking import CHAMPION

WORK = ["fit", "evaluate", "drift", "gate"]
PROPOSED = {"i03": {"walking": Proposal(level=2, confidence=0.6)}}
WEAK = RECIPE.replace('["linear"]', '["popularity"]')


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    found = Killer()
    yield found
    found.close()


@pytest.fixture
def site(tmp_path: Path, refreshed: Path) -> Site:
    """A copy of the site for a test alone."""
    return copy(refreshed, tmp_path)


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


def _due(site: Site) -> None:
    champion = site.registry.aliased(CHAMPION)
    assert champion is not None
    site.registry.tag(champion, bundle_retrain_by=datetime.now(UTC).date().isoformat())


def test_a_deadline_is_a_reason_to_retrain(site: Site) -> None:
    manifest = load_bundle(site.places.bundles / TENANT / site.serving()).manifest
    day = datetime.now(UTC).date()
    assert manifest.retrain_by in (day + timedelta(days=30), day + timedelta(days=29))  # the site is from before midnight
    _due(site)
    told = Told()
    found = site.refresh(told)
    assert names(told) == WORK
    assert f"fit again: the champion is to be retrained by {day}" in found.steps[2].words
    assert found.verdict == "promoted"
    champion = site.registry.aliased(CHAMPION)
    assert champion is not None
    assert champion.retrain_by == day + timedelta(days=30)
    assert site.refresh().ending == "nothing new"


@pytest.mark.slow
def test_a_champion_that_the_gate_would_keep_goes_at_its_deadline(site: Site) -> None:
    before = site.serving()
    site.recipe(WEAK)
    _due(site)
    found = site.refresh()
    assert "but it is to be retrained by" in found.reason
    assert (found.ending, site.serving() == before) == ("published", False)


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
    write_proposals(site.places.lake, TENANT, PROPOSED)
    site.recipe(WEAK)
    found = site.refresh()
    assert (found.ending, found.verdict) == ("published", "champion stays")
    after = load_bundle(site.places.bundles / TENANT / site.serving())
    assert after.catalogue.items["i07"].available_until == NOW
    assert after.proposals == PROPOSED
    assert after.vocabulary.ids == before.vocabulary.ids
    assert all(np.array_equal(after.model.arrays()[name], array) for name, array in before.model.arrays().items())
    champion = site.registry.aliased(CHAMPION)
    assert champion is not None
    assert champion.tags["reissue.of"] == before.name
    assert site.refresh().ending == "nothing new"


def test_skills_that_were_proposed_are_new_and_then_no_more(site: Site) -> None:
    write_proposals(site.places.lake, TENANT, PROPOSED)
    found = site.refresh()
    assert (found.ending, "new since version 1: data" in found.steps[2].words) == ("published", True)
    assert load_bundle(site.places.bundles / TENANT / site.serving()).proposals == PROPOSED
    assert site.refresh().ending == "nothing new"


@pytest.mark.slow
def test_what_was_retired_and_brought_back_serves_as_it_is_today(site: Site) -> None:
    """The data are those of the first version again, but it is not the first version's catalogue that serves."""
    for until in (NOW, None):
        site.put(Item(id="i07", title="Lesson i07", available_until=until))
        site.refresh()
        assert load_bundle(site.places.bundles / TENANT / site.serving()).catalogue.items["i07"].available_until == until


@pytest.mark.slow
def test_without_mlflow_what_serves_is_the_champion(site: Site) -> None:
    """It was deleted: a weaker recipe is compared with the published bundle all the same."""
    before = site.serving()
    (site.folder / "mlflow.db").unlink()
    shutil.rmtree(site.folder / "artifacts", ignore_errors=True)
    site.recipe(WEAK)
    found = site.refresh()
    assert (found.ending, found.verdict, found.bundle) == ("champion stays", "champion stays", before)
    assert f"{before} serves and MLflow did not know it: version 1, champion" in found.steps[2].words
    assert site.refresh().ending == "nothing new"


@pytest.mark.slow
def test_a_champion_that_cannot_be_measured_stays_until_a_person_decides(
    tmp_path: Path, empty_mlflow: Path, tiny_bundle: Callable[..., Path]
) -> None:
    """Published by an older program, whose recipe says nothing to this one; MLflow is new."""
    site = Site(tmp_path)
    fill(site, walks())
    shutil.copyfile(empty_mlflow, site.folder / "mlflow.db")
    publish(tiny_bundle(tmp_path / "old", tenant=TENANT), site.places.bundles, TENANT)
    found = site.refresh()
    assert found.verdict == "champion stays"
    assert "so a person decides: promote with --reason" in found.reason
    old = load_bundle(site.places.bundles / TENANT / site.serving())
    assert old.vocabulary.ids[0] == "excel"
    assert promote(site.registry)[0].serve == "champion"
    assert promote(site.registry, note="the new one is better")[0].serve == "challenger"
    assert site.refresh().ending == "published"
    assert load_bundle(site.places.bundles / TENANT / site.serving()).vocabulary.ids == ITEMS


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
    site.refresh(stop_on_drift=True)
    stopped = site.refresh(told, stop_on_drift=True)  # again, and nobody has looked
    assert stopped.ending == "stopped by drift"
    assert names(told) == ["drift"]
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
@pytest.mark.parametrize(("at", "work"), [("evaluate", WORK), ("gate", WORK[2:])])
def test_a_fit_that_was_asked_for_and_killed_is_carried_on(site: Site, killer: Killer, at: str, work: list[str]) -> None:
    """Equal data were judged before, but not this fit."""
    killer.kill(site, when=at, force=True)
    told = Told()
    assert site.refresh(told).ending == "champion stays"
    assert names(told) == work
    assert site.refresh().ending == "nothing new"


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


@pytest.mark.parametrize("text", ["{", '{"fit": 3, "data": [], "checked": {}}'])
def test_a_journal_that_cannot_be_read_costs_time_only(site: Site, text: str) -> None:
    (site.places.journal / TENANT / "journal.json").write_text(text)
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
