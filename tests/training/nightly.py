"""One installation for the tests of `refresh`: a store with two clubs of learners, a recipe that fits in a second."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import numpy as np

from features.catalogue import CatalogueRow, Item, Learner, Skill
from features.events import Event, Verb
from features.store import EventStore
from training.bundle import load_bundle, read_pointer
from training.refresh import Options, Places, Step, Summary, refresh
from training.tracking import Registry

ROOT = Path(__file__).parents[2]
TENANT = "clubs"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RECIPE = """
seed = 1
[evaluation]
cuts = 2
bootstrap = 100
[models.popularity]
[models.linear]
ridge = 5.0
next_ridge = 5.0
mix = 0.0
[blend]
parts = ["linear"]
"""
WALK = 12  # items of a club
ITEMS = tuple(f"i{number:02d}" for number in range(2 * WALK))


@dataclass
class Told:
    """A watch that keeps what it was told, and does something when a step begins or speaks."""

    at: Callable[[str], None] = lambda words: None
    begun: list[str] = field(default_factory=list)

    def begin(self, step: str) -> None:
        self.begun.append(step)
        self.at(step)

    def detail(self, words: str) -> None:
        self.at(words)

    def end(self, step: Step) -> None:
        self.at(f"after {step.name}")


@dataclass(frozen=True)
class Site:
    """One installation below `folder`."""

    folder: Path

    @property
    def places(self) -> Places:
        at = self.folder
        tracking = f"sqlite:///{at}/mlflow.db"
        folders = (at / "artifacts", at / "bundles", at / "journal")
        return Places(TENANT, f"sqlite:///{at}/events.db", at / "lake", at / "recipe.toml", tracking, *folders)

    @property
    def registry(self) -> Registry:
        return Registry(TENANT, self.places.tracking, self.places.artifacts)

    def refresh(self, watch: Told | None = None, **options: object) -> Summary:
        return refresh(self.places, replace(Options(), **options), watch)

    def serving(self) -> str:
        """The bundle that the pointer names; it must load."""
        name = read_pointer(self.places.bundles, TENANT).bundle
        return load_bundle(self.places.bundles / TENANT / name).name

    def reports(self) -> int:
        return len(list((self.places.journal / TENANT / "reports").glob("*.json")))

    def recipe(self, text: str) -> None:
        (self.folder / "recipe.toml").write_text(text)

    def put(self, *rows: CatalogueRow) -> None:
        store = EventStore.open(self.places.store)
        store.tenant(TENANT).put(rows, at=datetime.now(UTC))
        store.close()

    def append(self, events: Sequence[Event]) -> None:
        store = EventStore.open(self.places.store)
        store.tenant(TENANT).append(events)
        store.close()

    def command(self, *more: str) -> list[str]:
        given = {
            "--tenant": TENANT,
            "--store": self.places.store,
            "--lake": self.places.lake,
            "--config": self.places.config,
            "--tracking": self.places.tracking,
            "--artifacts": self.places.artifacts,
            "--bundles": self.places.bundles,
            "--journal": self.places.journal,
        }
        options = [str(part) for pair in given.items() for part in pair]
        return [sys.executable, "-m", "training", "refresh", *options, *more]

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """The command in a process of its own, as a scheduler starts it."""
        return subprocess.run(self.command(*more), cwd=ROOT, capture_output=True, text=True, timeout=120)


class Killer:
    """Starts refreshes that kill themselves at a given moment, each a fork of one process that has imported everything.

    A fork of the test's own process would inherit its threads' locks and hang.
    """

    def __init__(self) -> None:
        code = f"import sys; sys.path.append({str(Path(__file__).parent)!r}); import nightly; nightly.serve_kills()"
        command = [sys.executable, "-W", "ignore", "-c", code]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def kill(self, site: Site, *, when: str = "", calls: str = "", **options: object) -> None:
        """Kill a refresh of `site` when its watch hears `when`, or when it calls `METHOD WORD` of the registry."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(site.folder), when, calls, options]) + "\n")
        self._process.stdin.flush()
        assert int(self._process.stdout.readline()) == -signal.SIGKILL, (when, calls)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


def serve_kills() -> None:
    """Reads what to do from standard input, and writes how each child ended."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            folder, when, calls, options = json.loads(line)
            _doomed(Site(Path(folder)), when, calls, options)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _doomed(site: Site, when: str, calls: str, options: dict[str, object]) -> NoReturn:
    if calls:
        method, word = calls.split()
        real = getattr(Registry, method)

        def dying(self: Registry, *given: object, **named: object) -> None:
            if word in given or word in named:
                _die()
            real(self, *given, **named)

        setattr(Registry, method, dying)
    try:
        site.refresh(Told(lambda said: _die() if said == when else None), **options)
    finally:
        os._exit(3)  # it should not have come so far


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def event(number: str, learner: str, item: str, at: datetime, verb: Verb = Verb.COMPLETED) -> Event:
    body = {"tenant": TENANT, "event_id": number, "learner_id": learner, "object_id": item, "verb": verb}
    return Event.model_validate({**body, "occurred_at": at, "recorded_at": at})


def walks(learners: int = 40) -> list[tuple[str, list[tuple[str, datetime]]]]:
    """Each learner walks its club's items round in order from a random start, over a year."""
    rng = np.random.default_rng(3)
    found = []
    for number in range(learners):
        first, length = int(rng.integers(WALK)), int(rng.integers(5, 10))
        items = [ITEMS[number % 2 * WALK + (first + step) % WALK] for step in range(length)]
        days = np.sort(rng.choice(365, size=length, replace=False))
        at = [NOW - timedelta(days=365 - int(day)) for day in days]
        found.append((f"l{number:02d}", list(zip(items, at, strict=True))))
    return found


def copy(refreshed: Path, to: Path) -> Site:
    """MLflow keeps absolute paths of artifacts: both sites read the first one's, each writes its own."""
    shutil.copytree(refreshed, to, dirs_exist_ok=True)
    return Site(to)


def fill(site: Site, walks: Sequence[tuple[str, Sequence[tuple[str, datetime]]]]) -> None:
    """A catalogue of 24 lessons and a skill, the learners of `walks` with what they took up and when, and the recipe."""
    site.recipe(RECIPE)
    rows: list[CatalogueRow] = [Skill(id="walking", name="Walking"), *(Item(id=x, title=f"Lesson {x}") for x in ITEMS)]
    rows += [Learner(id=name, audiences=(("even", "odd")[number % 2],)) for number, (name, _) in enumerate(walks)]
    store = EventStore.open(site.places.store)
    session = store.tenant(TENANT)
    session.put(rows, at=NOW)
    taken = [(name, item, at) for name, steps in walks for item, at in steps]
    session.append([event(f"e{number}", *one) for number, one in enumerate(taken)])
    store.close()


def summary(run: subprocess.CompletedProcess[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(run.stdout)
    return found
