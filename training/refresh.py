"""The nightly job of one tenant: materialize, check, fit, evaluate, drift, gate, publish, report.

What is done is told from facts, not from a diary: the lake's manifest, the fingerprint and verdict on MLflow's versions, the
pointer. So a run that was killed at any moment is simply run again: it goes on behind the last finished step, and what
serves changes only by the one atomic move of the pointer. The journal holds hints that save time.
"""

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from threadpoolctl import threadpool_limits

from features.checks import check
from features.lake import LakeReport, materialize
from features.lock import held
from features.store import EventStore
from training import news, observe
from training.adopt import adopt
from training.bundle import Bundle, BundleError, bundle_folder, load_bundle
from training.config import Config, read_config
from training.drift import DriftReport
from training.fit import DataError, Incumbent, Table, fit
from training.inputs import THREADS, read_table
from training.journal import Journal
from training.parts import Sides
from training.promote import promote, rolled_back
from training.publish import current_pointer, prune, publish
from training.record import incumbent, record
from training.reissue import reissue
from training.tracking import CHAMPION, Registry, TrackingError, Version

DRIFT_FILE = "drift.json"
STEPS = ("materialize", "check data", "compare", "fit", "evaluate", "drift", "gate", "publish", "report")
Ending = Literal["published", "champion stays", "nothing new", "stopped by drift"]


@dataclass(frozen=True)
class Places:
    """Where a tenant's things are."""

    tenant: str
    store: str = "sqlite:///var/events.db"
    lake: Path = Path("var/lake")
    config: Path = Path("training/configs/default.toml")
    tracking: str = "sqlite:///var/mlflow.db"
    artifacts: Path = Path("var/mlartifacts")
    bundles: Path = Path("bundles")
    journal: Path = Path("var/refresh")


@dataclass(frozen=True)
class Options:
    """`force`: fit though nothing is new. `max_age_days`: fit after so long in any case. `keep`: bundles left published."""

    force: bool = False
    max_age_days: float = 30.0
    stop_on_drift: bool = False
    keep: int = 10


@dataclass(frozen=True)
class Step:
    """One step as it went: what it did in words, and seconds."""

    name: str
    words: str
    seconds: float


@dataclass(frozen=True)
class Summary:
    """A whole run. `bundle` is what serves at its end, `verdict` and `reason` are the gate's."""

    tenant: str
    ending: Ending
    started: str
    seconds: float
    steps: tuple[Step, ...]
    bundle: str
    previous: str | None
    verdict: str
    reason: str
    drift: Mapping[str, Any] | None
    removed: tuple[str, ...]


class Watch(Protocol):
    """What a caller is told on the way: a step begins, what it does, and how it went."""

    def begin(self, step: str) -> None: ...
    def detail(self, words: str) -> None: ...
    def end(self, step: Step) -> None: ...


class Silence:
    """Tells nobody."""

    def begin(self, step: str) -> None:
        return

    def detail(self, words: str) -> None:
        return

    def end(self, step: Step) -> None:
        return


def refresh(places: Places, options: Options | None = None, watch: Watch | None = None) -> Summary:
    """Bring what serves a tenant up to date with its store; alone, or not at all.

    Raises LockedError when another process is at it, DataError for data that must not be learned from, ConfigError for the
    recipe, TrackingError and BundleError for what MLflow or the disk do not hold; the champion serves on in every case.
    """
    if not re.fullmatch("[a-z0-9-]{1,63}", places.tenant):  # it names folders
        raise DataError(f"{places.tenant!r} is no tenant: a tenant is a-z, 0-9 and -, at most 63 characters")
    with held(places.lake, places.tenant, places.store, work="refresh"):
        return _Run(places, options or Options(), watch or Silence()).go()


@dataclass
class _Run:
    places: Places
    options: Options
    watch: Watch
    steps: list[Step] = field(default_factory=list)
    drift: DriftReport | None = None
    due: date | None = None

    def __post_init__(self) -> None:
        self.started = datetime.now(UTC)
        self._clock = time.perf_counter()
        self.journal = Journal(self.places.journal, self.places.tenant)
        self.recipe: Config = read_config(self.places.config)
        self._recipe_text = self.places.config.read_text("utf-8")  # now: the file may change while a fit runs

    def go(self) -> Summary:
        lake = self.materialize()
        self.check(lake)
        version, fresh = self.compare(lake)
        if version is None:
            version = self.fit()
        if fresh:
            self.find_drift(version)
            if self.options.stop_on_drift and self.drift is not None and self.drift.drifted:
                return self.report("stopped by drift", version)
            self.gate(version)
        moved = self.publish(version)
        return self.report(moved if moved == "published" or fresh else "nothing new", version)

    # -- the steps --

    def materialize(self) -> LakeReport:
        with self._step("materialize") as say:
            store = EventStore.open(self.places.store)
            try:
                found = materialize(store.tenant(self.places.tenant), self.places.lake)
            except ValueError as error:
                raise DataError(str(error)) from error
            finally:
                store.close()
            say(f"{found.events:,} events, {found.days_written} of {found.days} days written")
        return found

    def check(self, lake: LakeReport) -> None:
        with self._step("check data") as say:
            if self.journal.read().get("checked") == lake.digest:
                say("the same lake passed before")
                return
            store = EventStore.open(self.places.store)
            try:
                found = check(store.tenant(self.places.tenant), now=datetime.now(UTC))
            finally:
                store.close()
            bad = [str(one) for one in found if not one.passed]
            if bad:
                raise DataError("\n".join(bad))
            self.journal.note(checked=lake.digest)
            say(f"{len(found)} checks passed")

    def compare(self, lake: LakeReport) -> tuple[Version | None, bool]:
        """The version to go on with (None: fit one), and whether the gate has yet to judge it."""
        with self._step("compare") as say:
            self.fingerprint = news.Fingerprint(self._data(lake), news.recipe_digest(self.recipe), news.program_digest())
            judged = news.judged(self.registry, self.fingerprint.whole)
            self._adopt(say)
            hint = self.journal.hint("fit")
            self.due = news.due(self.registry.aliased(CHAMPION), self.started)
            old = judged is not None and news.overdue(judged, self.options.max_age_days, self.started)
            late = old or self.due is not None
            ended = judged is not None and hint.get("run_id") == judged.run_id
            begun = judged is not None and not ended and news.unfinished(self.registry, self.fingerprint.whole, hint)
            if judged is not None and not (late or begun or self.options.force):
                say(f"nothing new since version {judged.number} was judged: {judged.tags['gate.verdict']}")
                return judged, False
            found = news.waiting(self.registry, self.fingerprint.whole, hint)
            if found is not None:
                self._tag(found)
                say(f"version {found.number} was fitted by a run that did not end: go on from there")
                return found, True
            say(f"fit again: {self._why(judged, late)}")
            return None, True

    def fit(self) -> Version:
        with threadpool_limits(THREADS), self.registry.run(f"refresh {self.places.tenant}") as run:
            with self._step("fit") as say:
                self.journal.note(fit={"fingerprint": self.fingerprint.whole, "run_id": run.run_id})
                champion = self.registry.aliased(CHAMPION)
                known = self._incumbent(champion)
                start = time.perf_counter()
                table, _, sides = self.inputs
                outcome = fit(table, self.recipe, sides=sides, champion=known, step=self.watch.detail)
                seconds = time.perf_counter() - start
                n_learners, n_items = table.interactions.shape
                say(f"{len(self.recipe.models.names)} models on {n_learners:,} learners and {n_items:,} items")
            with self._step("evaluate") as say:
                given: dict[str, Any] = {"source": self._recipe_text, "timezone": self.inputs[1], "against": champion}
                found = record(outcome, self.registry, run, fit_seconds=seconds, **given)
                self._tag(found.challenger)
                best = found.rows[0][0]
                if outcome.note:
                    say(f"ranker: {outcome.note}")
                say(f"best by {best.protocol}: {best.model}, NDCG {best.metrics['ndcg'][0]:.4f}; run {run.run_id}")
        return found.challenger

    def find_drift(self, version: Version) -> None:
        with self._step("drift") as say, tempfile.TemporaryDirectory() as scratch:
            champion = self.registry.aliased(CHAMPION)
            served = self._bundle(champion, Path(scratch)) if champion is not None else None
            store = EventStore.open(self.places.store)
            try:
                self.drift = observe.drift(
                    self.inputs[0],
                    observe.Lake(self.places.lake, self.places.tenant),
                    served=served,
                    challenger=self._bundle(version, Path(scratch)),
                    offline=self._offline(champion, Path(scratch)),
                    session=store.tenant(self.places.tenant),
                )
            finally:
                store.close()
            self.registry.write(version.run_id, self.drift.to_json(), DRIFT_FILE)
            say(self.drift.summary)

    def gate(self, version: Version) -> None:
        with self._step("gate") as say:
            if version.content in rolled_back(self.registry):
                reason = f"bundle {version.bundle} was rolled back by a person, and the same data and recipe made it again"
                self.registry.tag(version, gate_verdict="champion stays", gate_reason=reason)
                say(f"champion stays: {reason}")
                return
            verdict, _ = promote(self.registry, due=self.due)
            say(f"{verdict.words}: {verdict.reason}")

    def publish(self, version: Version) -> Ending:
        with self._step("publish") as say:
            self._see_to_catalogue(version)
            champion = self.registry.aliased(CHAMPION)
            if champion is None:
                raise TrackingError(f"{self.registry.name} has no champion; run refresh with --force")
            pointer = current_pointer(self.places.bundles, self.places.tenant)
            if pointer is not None and pointer.bundle == champion.bundle and self._sound(champion.bundle):
                say(f"{champion.bundle} serves already")
                return "champion stays"
            with tempfile.TemporaryDirectory() as scratch:
                pointer = publish(self._folder(champion, Path(scratch)), self.places.bundles, self.places.tenant)
            say(f"{pointer.bundle} serves now, before it {pointer.previous or 'nothing'}")
        return "published"

    def report(self, ending: Ending, version: Version) -> Summary:
        removed = prune(self.places.bundles, self.places.tenant, keep=self.options.keep)
        pointer = current_pointer(self.places.bundles, self.places.tenant)
        tags = self.registry.again(version).tags
        found = Summary(
            self.places.tenant,
            ending,
            self.started.isoformat(timespec="seconds"),
            time.perf_counter() - self._clock,
            tuple(self.steps),
            pointer.bundle if pointer else "",
            pointer.previous if pointer else None,
            tags.get("gate.verdict", ""),
            tags.get("gate.reason", ""),
            None if self.drift is None else self.drift.body(),
            removed,
        )
        self.journal.report(asdict(found))
        return found

    # -- what the steps share --

    @contextmanager
    def _step(self, name: str) -> Iterator[Callable[[str], None]]:
        self.watch.begin(name)
        said: list[str] = []
        start = time.perf_counter()
        yield said.append
        self.steps.append(Step(name, "; ".join(said), time.perf_counter() - start))
        self.watch.end(self.steps[-1])

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.places.tenant, self.places.tracking, self.places.artifacts)

    @cached_property
    def inputs(self) -> tuple[Table, str | None, Sides]:
        return read_table(self.places.lake, self.places.tenant, self.watch.detail)

    def _data(self, lake: LakeReport) -> str:
        """The digest of the table, remembered by the digest of what it was read from."""
        known, source = self.journal.hint("data"), news.source_digest(self.places.lake, self.places.tenant, lake.digest)
        if known.get("source") == source and "digest" in known:
            return known["digest"]
        digest = news.data_digest(self.inputs[0])
        self.journal.note(data={"source": source, "digest": digest})
        return digest

    def _adopt(self, say: Callable[[str], None]) -> None:
        """A bundle that serves and that MLflow does not hold becomes the champion: MLflow was deleted, restored or replaced."""
        pointer, champion = current_pointer(self.places.bundles, self.places.tenant), self.registry.aliased(CHAMPION)
        if pointer is None or (champion is not None and champion.bundle == pointer.bundle):
            return
        if any(version.bundle == pointer.bundle for version in self.registry.versions()):
            return
        if self._sound(pointer.bundle):
            found = adopt(self.registry, self._published(pointer.bundle))
            say(f"{pointer.bundle} serves and MLflow did not know it: version {found.number}, champion")

    def _why(self, judged: Version | None, late: bool) -> str:
        if judged is not None:
            old = f"the last fit is older than {self.options.max_age_days:g} days"
            if self.due is not None:
                old = f"the champion is to be retrained by {self.due.isoformat()}"
            return "asked for" if self.options.force else old if late else "the one that was begun did not end"
        last = next((v for v in self.registry.versions() if news.FINGERPRINT in v.tags), None)
        if last is None:
            return "the first refresh"
        parts = {"data": news.DATA, "recipe": news.RECIPE, "program": news.PROGRAM}
        changed = [name for name, tag in parts.items() if last.tags.get(tag) != getattr(self.fingerprint, name)]
        return f"new since version {last.number}: {', '.join(changed) or 'that version was never judged'}"

    def _tag(self, version: Version) -> None:
        part = self.fingerprint
        tags = {"refresh_data": part.data, "refresh_recipe": part.recipe, "refresh_program": part.program}
        at = version.tags.get(news.FITTED_AT) or datetime.now(UTC).isoformat(timespec="seconds")
        self.registry.tag(version, **tags, refresh_at=at, refresh_fingerprint=part.whole)

    def _incumbent(self, champion: Version | None) -> Incumbent | None:
        if champion is None:
            return None
        with tempfile.TemporaryDirectory() as scratch:
            found = incumbent(self._folder(champion, Path(scratch)))
        if found is None:
            self.watch.detail("the champion's recipe is of another version of this program: it stays until it is replaced")
        return found

    def _folder(self, version: Version, scratch: Path) -> Path:
        """The bundle of a version: the published copy where it is sound, else MLflow's."""
        return self._published(version.bundle) if self._sound(version.bundle) else self.registry.fetch_bundle(version, scratch)

    def _published(self, bundle: str) -> Path:
        return bundle_folder(self.places.bundles, self.places.tenant, bundle)

    def _sound(self, bundle: str) -> bool:
        try:
            return load_bundle(self._published(bundle)).manifest.tenant == self.places.tenant
        except BundleError:
            return False

    def _bundle(self, version: Version, scratch: Path) -> Bundle:
        return load_bundle(self._folder(version, scratch / str(version.number)))

    def _offline(self, champion: Version | None, scratch: Path) -> Any:
        return None if champion is None else observe.offline(self.registry, champion, scratch)

    def _see_to_catalogue(self, version: Version) -> None:
        """A champion that stays gets today's catalogue, once after each verdict (a rollback later is a person's will)."""
        champion = self.registry.aliased(CHAMPION)
        if champion is None or news.CATALOGUE in self.registry.again(version).tags:
            return
        with tempfile.TemporaryDirectory() as scratch:
            bundle, (table, _, sides) = self._bundle(champion, Path(scratch)), self.inputs
            found = reissue(self.registry, champion, bundle, table, sides)
        self.registry.tag(version, refresh_catalogue="as it was" if found is None else f"reissued as {found.bundle}")
