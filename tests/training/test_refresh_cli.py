"""The command `refresh`: exit codes that a scheduler can act on, and what it says."""

import errno
import json
import resource
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))

from nightly import ITEMS, NOW, ROOT, TENANT, Site, event, fill

from features.lock import held
from training.cli import app
from training.fit import DataError
from training.refresh import refresh
from training.refresh_cli import Exit, exit_code


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Four learners who each took up three items: enough for the checks."""
    found = Site(tmp_path)
    steps = [(item, NOW - timedelta(days=90 - 10 * number)) for number, item in enumerate(ITEMS[:3])]
    fill(found, [(f"l{number}", steps) for number in range(4)])
    return found


def run(site: Site, *more: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [*site.command()[3:], *more])


def test_a_store_without_events_is_bad_data(tmp_path: Path) -> None:
    found = Site(tmp_path)
    found.recipe("")
    fill(found, [])
    result = run(found)
    assert result.exit_code == Exit.BAD_DATA
    assert "no events of tenant 'clubs' are stored" in result.output
    assert "nothing was published (exit code 1); what served before serves on" in result.output


def test_a_wrong_recipe_names_its_line(site: Site) -> None:
    site.recipe("seed = 1\nsheep = 2\n")
    result = run(site)
    assert result.exit_code == Exit.BAD_DATA
    assert "recipe.toml:2: field sheep" in result.output


@pytest.mark.parametrize("more", [("--tenant", "No Tenant"), ("--store", "nonsense"), ("--keep", "1"), ("--max-age", "-1")])
def test_usage(site: Site, more: tuple[str, ...]) -> None:
    assert run(site, *more).exit_code == Exit.USAGE


def test_a_second_one_names_the_first_and_leaves(site: Site) -> None:
    with held(site.places.lake, TENANT, work="refresh"):
        result = run(site)
    assert result.exit_code == Exit.TEMPFAIL
    assert "clubs is being worked on by refresh, process" in result.output


@pytest.mark.parametrize(
    "more", [("--tracking", "http://127.0.0.1:9"), ("--store", "postgresql+psycopg://nobody@127.0.0.1:9/none")]
)
def test_what_does_not_answer_is_said_in_seconds(site: Site, more: tuple[str, str]) -> None:
    start = time.monotonic()
    result = run(site, *more)
    assert result.exit_code == Exit.UNAVAILABLE, result.output
    assert "run again when it does" in result.output
    assert time.monotonic() - start < 60


@pytest.mark.slow
def test_a_full_disk_keeps_the_champion_and_the_next_run_goes_on(tmp_path: Path) -> None:
    """A limit of the size of a file stands in for the disk: MLflow's database is the first to reach it."""
    site = Site(tmp_path)
    walks = [
        (f"l{n:02d}", [(ITEMS[(n + k) % 12], NOW - timedelta(days=300 - 30 * k - n)) for k in range(6)]) for n in range(40)
    ]
    fill(site, walks)
    assert site.refresh().ending == "published"
    before = site.serving()
    site.append([event(f"new{number}", f"l{number:02d}", "i11", NOW) for number in range(9)])

    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # noqa: E731
    full = subprocess.run(site.command(), cwd=ROOT, capture_output=True, text=True, preexec_fn=limit)
    assert full.returncode == Exit.IOERR, full.stderr
    assert "make room or give access and run again" in full.stderr
    assert site.serving() == before

    again = site.run("--json")
    assert again.returncode == Exit.DONE, again.stderr
    said = json.loads(again.stdout)
    assert said["ending"] in ("published", "champion stays")
    assert said["bundle"] == site.serving()
    assert "materialize ..." in again.stderr


def test_errors_are_judged_by_what_they_came_from() -> None:
    def raised(first: Exception, then: Exception) -> Exception:
        then.__cause__ = first
        return then

    assert exit_code(OSError(errno.ENOSPC, "No space left on device")) is Exit.IOERR
    assert exit_code(raised(OSError(errno.EDQUOT, "quota"), RuntimeError("MLflow"))) is Exit.IOERR
    assert exit_code(raised(ConnectionError("refused"), RuntimeError("MLflow"))) is Exit.UNAVAILABLE
    assert exit_code(raised(ValueError("a partition"), DataError("a partition"))) is Exit.BAD_DATA
    assert exit_code(PermissionError(errno.EROFS, "Read-only file system")) is Exit.IOERR
    locked = raised(type("OperationalError", (Exception,), {})("attempt to write a readonly database"), RuntimeError("MLflow"))
    assert exit_code(locked) is Exit.IOERR
    assert exit_code(ZeroDivisionError()) is Exit.SOFTWARE


@pytest.mark.parametrize("tenant", ["../clubs", "a/b", "A", ""])
def test_a_tenant_named_like_a_path_touches_nothing(site: Site, tenant: str) -> None:
    with pytest.raises(DataError, match="is no tenant"):
        refresh(replace(site.places, tenant=tenant))
    assert not site.places.lake.exists()


def test_a_tenant_that_is_not_in_the_store_is_bad_data(site: Site) -> None:
    result = run(site, "--tenant", "nobody")
    assert result.exit_code == Exit.BAD_DATA
    assert "no events of tenant 'nobody' are stored" in result.output
