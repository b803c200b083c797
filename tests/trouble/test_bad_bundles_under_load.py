"""Bad, truncated and slow bundles published while the service answers: each is refused by name, and nobody notices."""

import shutil
from collections.abc import Callable
from pathlib import Path

from acme import TENANT, publish
from databases import Database
from running import ITEMS, Load, Service, as_ever, held, rankings, serving, settings_of, stored_once, within

from serving.settings import Settings
from training.bundle import Pointer, read_pointer, write_pointer


def _another(folder: Path) -> None:
    """As large as before, with other content."""
    array = folder / "arrays" / "counts.npy"
    array.write_bytes(array.read_bytes()[:-1] + b"\x01")


def _cut_off(folder: Path) -> None:
    catalogue = folder / "catalogue.json"
    catalogue.write_bytes(catalogue.read_bytes()[:-100])


def _not_there_yet(folder: Path) -> None:
    """As where a mirror copies file by file, and the pointer before the last."""
    vocabulary = folder / "vocabulary.json"
    vocabulary.rename(folder.parent / "vocabulary.json")


BAD: dict[str, Callable[[Path], None]] = {
    "counts.npy: content does not match": _another,
    "catalogue.json: content does not match": _cut_off,
    "vocabulary.json: missing": _not_there_yet,
}


def test_bad_truncated_and_slow_bundles_under_load(database: Database, bundles: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, database.url, bundles)
    good = read_pointer(bundles, TENANT).bundle
    with serving(settings, tmp_path) as service, Load(service) as load:
        load.more(30)
        for number, (words, harm) in enumerate(BAD.items()):
            _refused(service, settings, number, harm, words)
            load.more(30)
        assert {one.body["bundle"] for one in rankings(load.answers)} == {good}
        whole = _published(settings, 9)
        within(lambda: {one.body["bundle"] for one in rankings(load.answers)[-8:]} == {whole.name}, 20, service.text)
        assert 'nextwise_bundle_refused{tenant="acme"} 1.0' not in _metrics(service)
        load.more(30)
    held(load.answers)
    assert {one.status for one in load.answers} == {200}
    assert all(one.body["fallback"] == as_ever(one.learner_id) for one in rankings(load.answers))
    stored_once(database.url, load.answers, load.acknowledged, settings.spool)
    assert "Traceback" not in service.text()


def _refused(service: Service, settings: Settings, number: int, harm: Callable[[Path], None], words: str) -> None:
    """One is published that is harmed before anybody can have read it."""
    before = read_pointer(settings.bundles, TENANT)
    aside = settings.bundles.parent / f"aside-{number}"
    bundle = publish(aside, items=ITEMS, recipe={"n": number})
    harm(bundle)
    shutil.copytree(bundle, settings.bundles / TENANT / bundle.name)
    write_pointer(settings.bundles, TENANT, Pointer(bundle=bundle.name, previous=before.bundle))
    within(lambda: words in service.text(), 20, service.text)
    assert 'nextwise_bundle_refused{tenant="acme"} 1.0' in _metrics(service)


def _published(settings: Settings, number: int) -> Path:
    return publish(settings.bundles, items=ITEMS, recipe={"n": number}, previous=read_pointer(settings.bundles, TENANT).bundle)


def _metrics(service: Service) -> str:
    with service.connection() as connection:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
