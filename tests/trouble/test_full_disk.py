"""The disk is full: what was not written is not acknowledged, leaves nothing behind, and all goes on once there is room."""

import resource
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from acme import LEARNERS, NOW, TENANT
from databases import Database, Server
from running import Load, held, serving, settings_of, stored_once, within

from features.decisions import Decision
from serving.decision_log import Spool
from serving.payloads import RecommendationsRequest
from serving.pipeline import rank
from serving.policy import Policy
from serving.prepared import prepare
from training.bundle import load_bundle


@pytest.fixture
def decisions(bundles: Path) -> list[Decision]:
    folder = next(path for path in (bundles / TENANT).iterdir() if path.is_dir())
    stock, request = prepare(load_bundle(folder)), RecommendationsRequest(learner_id="ana")
    return [rank(stock, request, LEARNERS[0], (), at=NOW, decision_id=f"d{n}", policy=Policy()) for n in range(200)]


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process grows beyond 100 kB: a write is cut off there, as on a disk with no more room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_the_full_disk_cut_off_is_taken_back(decisions: list[Decision], tmp_path: Path, small_files: None) -> None:
    spool, taken, refused = Spool(tmp_path / "spool"), list[str](), 0
    for one in decisions:
        try:
            spool.append([one])
        except OSError:
            refused += 1
        else:
            taken.append(one.decision_id)
    assert taken
    assert refused > 1
    found: list[str] = []
    spool.replay(lambda tenant, rows: found.extend(one.decision_id for one in rows))
    assert found == taken
    spool.append(decisions[-1:])  # there is room again
    spool.close()


def test_no_room_for_store_and_spool_under_load(database: Database, bundles: Path, tmp_path: Path) -> None:
    """Every write of the service is cut off; the server of PostgreSQL, which is another process, says that its disk is full."""
    settings = settings_of(tmp_path, database.url, bundles)
    with serving(settings, tmp_path) as service, Load(service) as load:
        (worker,) = service.workers()
        load.more(30)
        if isinstance(database, Server):
            database.fill_up()
            load.more(30)
            assert list(settings.spool.glob("*.jsonl"))  # the store is full, the spool takes it
        worker.rlimit(psutil.RLIMIT_FSIZE, (1, -1))
        full = len(load.answers)
        within(lambda: sum(one.status == 503 for one in load.answers[full:]) > 30, 20, service.text)
        last = load.answers[-1]
        assert (service.ready(), service.ask("GET", "/livez").status) == (False, 200)
        worker.rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
        if isinstance(database, Server):
            load.more(30)
            database.make_room()
        load.more(30)
    assert last.status == 503
    held(load.answers)
    stored_once(database.url, load.answers, load.acknowledged, settings.spool)
