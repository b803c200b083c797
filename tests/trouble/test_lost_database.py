"""The database is taken away under load, and given back: no answer fails, none is lost, none is stored twice."""

from pathlib import Path

import pytest
from acme import TENANT, event
from databases import Database, File, Server
from running import Load, fill, held, rankings, serving, settings_of, stored_once, within

from features.events import Verb
from features.store import EventStore


def test_a_database_that_goes_and_comes_back_under_load(database: Database, bundles: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, database.url, bundles)
    with serving(settings, tmp_path) as service:
        with Load(service) as load:
            load.more(50)
            database.stop()
            try:
                load.more(100)
                during = [one.body["fallback"] for one in rankings(load.answers)][-20:]
            finally:
                database.start()
            within(lambda: rankings(load.answers)[-1].body["fallback"] is None, 10, service.text)
            load.more(50)
        assert during == ["history_unavailable"] * 20
        held(load.answers)
        assert service.ready()
        stored_once(database.url, load.answers, load.acknowledged, settings.spool)
    assert "Traceback" not in service.text()


@pytest.mark.slow
def test_a_server_that_hangs_under_load_holds_up_nobody(server: Server, bundles: Path, tmp_path: Path) -> None:
    """It answers nothing and breaks no connection."""
    fill(server.fresh().url)
    settings = settings_of(tmp_path, server.url, bundles)
    with serving(settings, tmp_path) as service:
        with Load(service) as load:
            load.more(50)
            server.hang()
            try:
                before = len(load.answers)
                load.more(12)  # each client also waits 5 s for its events
                item = service.ask("GET", "/v1/items/calm")
            finally:
                server.go_on()
            hung = load.answers[before:]
            within(lambda: rankings(load.answers)[-1].body["fallback"] is None, 15, service.text)
            load.more(50)
        assert item.status == 503
        assert max(one.took_s for one in hung) < 8
        held(load.answers)
        stored_once(server.url, load.answers, load.acknowledged, settings.spool)


def test_no_empty_store_is_begun_where_the_log_of_one_still_lies(tmp_path: Path) -> None:
    """A worker that starts while the file is away would take what the others write there, and destroy the log."""
    file = File(tmp_path / "events.db")
    fill(file.url)
    living = EventStore.open(file.url)
    living.tenant(TENANT).append([event("ana", Verb.COMPLETED, "calm")])
    file.stop()
    with pytest.raises(FileNotFoundError, match=r"events\.db: the file is gone, but its log"):
        EventStore.open(file.url)
    assert not file.path.exists()
    file.start()
    living.close()
    again = EventStore.open(file.url)
    assert len(list(again.tenant(TENANT).events())) == 1
    again.close()
