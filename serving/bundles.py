"""The bundles that serve: follows each tenant's pointers, loads beside, verifies, warms, then swaps between two requests."""

import asyncio
import logging
import math
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

import numpy as np

from features.catalogue import Item
from features.interactions import Histories
from features.pieces import Rest, between, resting
from serving.prepared import Prepared, prepare
from serving.rules.matching import labels
from training.bundle import CHALLENGER, CHAMPION, BundleError, bundle_folder, load_bundle, read_pointer

AGAIN_S: Final = 15.0
"""Seconds until a refused bundle is tried again: its files may still be on their way, or their server may be back."""
_LOADING: Final = 2
"""Tenants whose bundles are loaded at once: one whose files do not come holds up nobody else."""
_LOG = logging.getLogger("nextwise.bundles")


@dataclass(frozen=True, eq=False)
class Served:
    """A bundle in service since `since`, and the one before it, kept for decisions that still run on it."""

    stock: Prepared
    since: datetime
    previous: Prepared | None


class Bundles:
    """The current bundle of each tenant under `folder`. A bundle that cannot be loaded is refused and the old one stays.

    A refused one is tried again every `AGAIN_S` seconds. Where none serves yet (a start), the pointer's previous bundle is
    loaded in its place. `wanted`: the bundles of a tenant that arms of experiments want, whichever serves. `rest` is called
    between the pieces of loading; `first` ranks once with a bundle before it serves.
    """

    def __init__(
        self,
        folder: Path,
        wanted: Callable[[str], Collection[str]] = lambda tenant: (),
        *,
        rest: Rest = lambda: None,
        first: Callable[[Prepared], object] = lambda stock: None,
    ) -> None:
        self._folder, self._wanted, self._rest, self._first = folder, wanted, rest, first
        self._beside: dict[tuple[str, str], Prepared | None] = {}
        self._served: dict[str, Served] = {}
        self._challengers: dict[str, Prepared] = {}
        self._refused: dict[str, str] = {}
        self._seen: dict[Path, tuple[int, int, int] | None] = {}
        self._again: dict[Path, float] = {}
        self._loading: dict[str, asyncio.Future[None]] = {}
        # Of its own: a bundle that cannot be read to its end must not hold a thread that others wait for.
        self._loaders = ThreadPoolExecutor(_LOADING, thread_name_prefix="bundles")
        self._task: asyncio.Task[None] | None = None

    def current(self, tenant: str) -> Prepared | None:
        """What serves a tenant now, None when nothing could be loaded yet."""
        served = self._served.get(tenant)
        return None if served is None else served.stock

    def challenger(self, tenant: str) -> Prepared | None:
        """What is scored beside it and shown to nobody; None where nothing is, or it serves by now."""
        found = self._challengers.get(tenant)
        served = self.current(tenant)
        return None if found is None or served is None or found.bundle.name == served.bundle.name else found

    def named(self, tenant: str, name: str) -> Prepared | None:
        """The bundle of this name, where it serves, did before the one that does, or is an experiment's."""
        served = self._served.get(tenant)
        known = () if served is None else (served.stock, served.previous)
        found = next((one for one in known if one is not None and one.bundle.name == name), None)
        return found or self._beside.get((tenant, name))

    def looked(self, tenant: str, name: str) -> bool:
        """Whether a bundle that an experiment wants was loaded, or found to be none."""
        return (tenant, name) in self._beside or self.named(tenant, name) is not None

    @property
    def served(self) -> dict[str, Served]:
        """All tenants that are served."""
        return dict(self._served)

    @property
    def refused(self) -> dict[str, str]:
        """Tenant -> why its newest bundle does not serve."""
        return dict(self._refused)

    def start(self, poll_s: float) -> None:
        """Look at the pointers every `poll_s` seconds."""
        self._task = asyncio.create_task(self._follow(poll_s), name="bundle-watcher")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._loaders.shutdown(wait=False, cancel_futures=True)

    def refresh(self) -> None:
        """Load what the pointers name and is not served yet. Never raises for a bad bundle."""
        for tenant in self._changed():
            self._look(tenant)

    def _changed(self) -> list[str]:
        """The tenants with something to load, a challenger that is gone, or a bundle that no experiment wants any more."""
        pointers = [pointer for name in (CHAMPION, CHALLENGER) for pointer in self._folder.glob(f"*/{name}")]
        moved = {pointer.parent.name for pointer in pointers if self._moved(pointer)}
        gone = self._challengers.keys() - {pointer.parent.name for pointer in pointers if pointer.name == CHALLENGER}
        beside = {tenant for tenant in list(self._served) if self._missing(tenant) or self._idle(tenant)}
        return sorted(moved | gone | beside)

    def _look(self, tenant: str) -> None:
        champion, challenger = self._folder / tenant / CHAMPION, self._folder / tenant / CHALLENGER
        if self._moved(champion):
            self._seen[champion] = _mark(champion)
            self._again.pop(champion, None)
            self._load(tenant)
        if not challenger.exists():
            self._challengers.pop(tenant, None)
        elif self._moved(challenger):
            self._seen[challenger] = _mark(challenger)
            self._challenge(tenant)
        for name in self._idle(tenant):
            del self._beside[tenant, name]
        for name in self._missing(tenant):
            self._beside[tenant, name] = self._of_arm(tenant, name)

    def _missing(self, tenant: str) -> list[str]:
        """What experiments want and nobody looked at, or what is to be tried again."""
        return [
            name
            for name in sorted(self._wanted(tenant))
            if (tenant, name) not in self._beside
            or (self._beside[tenant, name] is None and self._moved(bundle_folder(self._folder, tenant, name)))
        ]

    def _idle(self, tenant: str) -> list[str]:
        wanted = self._wanted(tenant)
        return [name for of, name in list(self._beside) if of == tenant and name not in wanted]

    def _moved(self, pointer: Path) -> bool:
        """Whether a pointer, or an arm's bundle, is not as it was when it was looked at, or is to be tried again."""
        mark = _mark(pointer)
        return mark is not None and (self._seen.get(pointer) != mark or self._again.get(pointer, math.inf) <= monotonic())

    def _of_arm(self, tenant: str, name: str) -> Prepared | None:
        folder = bundle_folder(self._folder, tenant, name)
        self._seen[folder] = _mark(folder)
        try:
            stock = self.named(tenant, name) or self._ready(tenant, name)
        except Exception as error:
            self._again[folder] = monotonic() + AGAIN_S
            _LOG.error("tenant %s: bundle %s of an experiment cannot be loaded, the champion ranks: %s", tenant, name, error)
            return None
        _LOG.info("tenant %s: bundle %s is an arm's", tenant, name)
        return stock

    def _challenge(self, tenant: str) -> None:
        try:
            self._challengers[tenant] = self._ready(tenant, read_pointer(self._folder, tenant, CHALLENGER).bundle)
        except Exception as error:
            self._challengers.pop(tenant, None)
            _LOG.error("tenant %s: the challenger is refused: %s", tenant, error)
        else:
            _LOG.info("tenant %s: bundle %s is scored beside", tenant, self._challengers[tenant].bundle.name)

    def _load(self, tenant: str) -> None:
        try:
            pointer = read_pointer(self._folder, tenant)
        except BundleError as error:
            self._refuse(tenant, error)
            return
        try:
            self._serve(tenant, pointer.bundle)
            self._refused.pop(tenant, None)
        except Exception as error:  # whatever is wrong with a new bundle, the old one goes on serving
            self._refuse(tenant, error)
            if tenant not in self._served and pointer.previous is not None:
                self._serve_previous(tenant, pointer.previous)

    def _serve(self, tenant: str, name: str) -> None:
        before = self._served.get(tenant)
        if before is not None and before.stock.bundle.name == name:
            return
        stock = self._ready(tenant, name)
        self._served[tenant] = Served(stock, datetime.now(UTC), None if before is None else before.stock)
        _LOG.info("tenant %s is served by bundle %s", tenant, name)
        rows = [] if before is None or before.previous is None else list(before.previous.bundle.catalogue.items.values())
        del before
        with resting(self._rest):
            _let_go(rows)

    def _ready(self, tenant: str, name: str) -> Prepared:
        with resting(self._rest):
            stock = _warm(prepare(load_bundle(bundle_folder(self._folder, tenant, name))))
            if stock.bundle.manifest.tenant != tenant:
                raise BundleError(f"{self._folder / tenant}: bundle {name} belongs to another tenant")
            self._rank_once(stock)
            return stock

    def _rank_once(self, stock: Prepared) -> None:
        """What a first ranking makes for those after it is made before anybody waits for it."""
        between()
        try:
            self._first(stock)
        except Exception as error:  # what the model can do was seen; a ranking that fails is answered by popularity
            _LOG.warning("bundle %s: the first ranking by it failed: %s", stock.bundle.name, error)

    def _serve_previous(self, tenant: str, name: str) -> None:
        """After a start: the bundle before the refused one is better than none."""
        try:
            self._serve(tenant, name)
        except Exception as error:
            self._refused[tenant] += f"; nor does the previous one: {error}"
            _LOG.error("tenant %s: the previous bundle is refused as well: %s", tenant, error)

    def _refuse(self, tenant: str, error: Exception) -> None:
        self._again[self._folder / tenant / CHAMPION] = monotonic() + AGAIN_S
        if str(error) not in self._refused.get(tenant, ""):
            _LOG.error("tenant %s: the new bundle is refused, what serves goes on: %s", tenant, error)
        self._refused[tenant] = str(error)

    async def _follow(self, poll_s: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(poll_s)
            self._loading = {tenant: one for tenant, one in self._loading.items() if not one.done()}
            for tenant in await asyncio.to_thread(self._changed):
                if tenant not in self._loading:
                    self._loading[tenant] = loop.run_in_executor(self._loaders, self._look, tenant)


def _mark(pointer: Path) -> tuple[int, int, int] | None:
    try:
        stat = pointer.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _warm(stock: Prepared) -> Prepared:
    """Score once, so that memory-mapped arrays are read before the first request, and a model that cannot score is refused.

    What rules look at is made ready too: a request that brings some may come at any time.
    """
    labels(stock)
    able = [_scores(stock, history) for history in ([], [0] if len(stock) else [])]  # both, for each reads other arrays
    if not any(able):
        raise BundleError(f"bundle {stock.bundle.name}: its model scores nothing")
    return stock


def _let_go(rows: list[Item]) -> None:
    """The last to hold so many rows lets go of some after the other: all of 20,000 at once hold everybody up for 12 ms."""
    while rows:
        del rows[-500:]
        between()


def _scores(stock: Prepared, history: list[int]) -> bool:
    """Whether a model can score with a history. One alone takes the way that a request takes."""
    between()
    scores = stock.bundle.model.score(Histories.of([history], len(stock)))
    return scores.shape == (1, len(stock)) and bool(np.isfinite(scores).any())
