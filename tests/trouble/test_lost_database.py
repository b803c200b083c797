"""The database is taken away under load, and given back: no answer fails, none is lost, none is stored twice."""

from pathlib import Path

from databases import Database
from running import Load, held, rankings, serving, settings_of, stored_once, within


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
