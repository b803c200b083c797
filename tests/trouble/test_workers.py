"""Two workers under load: one is killed, bundles are swapped, the service is stopped. Nobody else notices."""

import threading
from pathlib import Path

import pytest
from acme import publish
from databases import Database
from running import ITEMS, Load, Service, held, rankings, serving, settings_of, stored_once, within

from serving.settings import Settings
from training.bundle import read_pointer


@pytest.fixture
def settings(database: Database, bundles: Path, tmp_path: Path) -> Settings:
    return settings_of(tmp_path, database.url, bundles)


def test_a_killed_worker_a_swap_and_a_stop_under_load(database: Database, settings: Settings, tmp_path: Path) -> None:
    with serving(settings, tmp_path, workers=2) as service:
        with Load(service, 6) as load:
            load.more(50)
            _swap(service, settings, load)
            whole = list(load.answers)
            killed = service.workers()[0]
            database.stop()  # so that its spool is left behind
            load.more(50)
            killed.kill()
            load.more(50)
            database.start()
            within(lambda: len({one.pid for one in service.workers()} - {killed.pid}) == 2, 20, service.text)
            within(service.ready, 20, service.text)
            load.more(50)
            stop = threading.Thread(target=service.stop)
            stop.start()
            stop.join()
        stored_once(database.url, load.answers, load.acknowledged, settings.spool, seconds=0)
    held(whole)
    assert {one.status for one in whole} == {200}
    held(load.answers, broken=True)
    assert len({one.body["bundle"] for one in rankings(whole)}) == 11
    assert "Traceback" not in service.text()


def _swap(service: Service, settings: Settings, load: Load) -> None:
    """Ten times, and each time both workers follow."""
    for number in range(10):
        old = read_pointer(settings.bundles, settings.dev_tenant).bundle
        new = publish(settings.bundles, items=ITEMS, recipe={"n": number}, previous=old).name
        within(lambda new=new: all(one.body["bundle"] == new for one in rankings(load.answers[-12:])), 10, service.text)
