"""The command line: what it refuses, and the demo against a running service."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
import uvicorn
from acme import NOW, TENANT, event
from rich.console import Console
from typer.testing import CliRunner

from features.events import Verb
from features.store import EventStore
from serving import service
from serving.cli import app
from serving.demo import DemoError, run
from serving.runtime import Runtime
from serving.settings import Settings, child_environment, own_home


def test_the_openapi_document_can_be_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["openapi", "--out", str(tmp_path / "openapi.json")])
    assert result.exit_code == 0
    assert "/v1/rank" in json.loads((tmp_path / "openapi.json").read_text())["paths"]


def test_a_wrong_policy_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policy.toml").write_text("epsilon = 7")
    monkeypatch.setenv("NEXTWISE_POLICY", str(tmp_path / "policy.toml"))
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 1
    assert "epsilon" in result.stderr
    assert CliRunner().invoke(app, ["serve", "--port", "0"]).exit_code == 2


def test_a_child_gets_absolute_paths() -> None:
    found = child_environment(Settings(store="sqlite:///var/x.db", spool=Path("var/spool")))
    assert found["NEXTWISE_STORE"] == f"sqlite:///{Path.cwd()}/var/x.db"
    assert found["NEXTWISE_SPOOL"] == f"{Path.cwd()}/var/spool"
    assert child_environment(Settings(store="postgresql://h/d"))["NEXTWISE_STORE"] == "postgresql://h/d"


def test_each_process_has_a_home_of_its_own_and_dead_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BentoML empties its home's metrics at each start: a second service would wipe the first one's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, living = tmp_path / f"nextwise-bentoml-{ended.pid}-x", tmp_path / f"nextwise-bentoml-{os.getppid()}-x"
    for folder in (dead, living):
        folder.mkdir()
    first, second = own_home(), own_home()
    assert first != second
    assert sorted(tmp_path.iterdir()) == sorted([living, first, second])


def test_serving_starts_in_its_own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    started: list[dict[str, str]] = []
    monkeypatch.setattr("os.execve", lambda path, arguments, environment: started.append(environment))
    assert CliRunner().invoke(app, ["serve"]).exit_code == 0
    assert Path(started[0]["BENTOML_HOME"]).parent == tmp_path


@pytest.fixture
def url(settings: Settings, store: EventStore) -> Iterator[str]:
    """The service on a real socket."""
    service.pages.runtime = Runtime(settings)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(service.Nextwise.to_asgi(), port=port, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def test_the_demo_asks_records_and_asks_again(url: str, settings: Settings, store: EventStore) -> None:
    begun = [event("ana", Verb.STARTED, "data", at=NOW - timedelta(days=day)) for day in range(5)]
    store.tenant(TENANT).append(begun)
    console = Console(file=StringIO(), width=120)
    run(url, settings, wait_s=5, console=console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "What should ana learn next?" in said
    assert "Why Reading data?\n  It was shown in “Continue”" in said
    assert "Why not More data?\n  First comes Reading data: " in said
    assert "The completed item is gone" in said
    assert "An urgent duty for all customer-care" in said
    assert "Urgent: it is due by" in said
    assert re.search(r"Assigned to \d+: seen 1, done 0, overdue 0\.", said)
    assert store.tenant(TENANT).assignments() == []
    assert "Asked for" in said.split("Is there something to say")[1]
    assert f"{url}/docs" in said
    assert [one.verb for one in store.tenant(TENANT).history("ana")].count(Verb.COMPLETED) == 1


def test_the_demo_says_what_is_wrong(settings: Settings, store: EventStore) -> None:
    with pytest.raises(DemoError, match="not ready after 0 s"):
        run("http://127.0.0.1:9", settings, wait_s=0, console=Console(file=StringIO()))
