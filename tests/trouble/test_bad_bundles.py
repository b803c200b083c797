"""Bundles that come slowly, half, or one after the other: what serves goes on, and what is whole in the end serves."""

import asyncio
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from acme import TENANT, publish
from running import ITEMS

from serving import bundles as watched
from serving.bundles import Bundles
from training.bundle import Bundle


def current(bundles: Bundles) -> str | None:
    stock = bundles.current(TENANT)
    return None if stock is None else stock.bundle.name


def test_a_bundle_whose_files_come_after_its_pointer_serves_once_it_is_whole(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a mirror copies the folder file by file."""
    monkeypatch.setattr(watched, "AGAIN_S", 0.0)
    served = Bundles(bundles)
    served.refresh()
    old = current(served)
    folder = publish(bundles, items=ITEMS, recipe={"n": 2}, previous=old)
    counts = folder / "arrays" / "counts.npy"
    whole = counts.rename(tmp_path / "counts.npy")
    served.refresh()
    assert (current(served), "counts.npy" in served.refused[TENANT]) == (old, True)
    shutil.copy(whole, counts)
    served.refresh()
    assert (current(served), served.refused) == (folder.name, {})


def test_a_refused_bundle_is_not_read_at_every_look_and_told_once(bundles: Path, caplog: pytest.LogCaptureFixture) -> None:
    served = Bundles(bundles)
    served.refresh()
    folder = publish(bundles, items=ITEMS, recipe={"n": 2}, previous=current(served))
    (folder / "arrays" / "counts.npy").unlink()
    for _ in range(5):
        served.refresh()
    assert caplog.text.count("is refused") == 1


def test_a_bundle_that_does_not_end_holds_up_neither_answers_nor_other_tenants(
    bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it stops in the middle, as on a file server that does not answer."""
    publish(bundles, tenant="other", items=ITEMS)
    gate, load = threading.Event(), watched.load_bundle

    def slowly(folder: Path) -> Bundle:
        assert folder.parent.name != TENANT or gate.wait(10)
        return load(folder)

    async def follow() -> None:
        served = Bundles(bundles)
        served.refresh()
        old, others = current(served), served.served["other"].stock.bundle.name
        monkeypatch.setattr(watched, "load_bundle", slowly)
        slow = publish(bundles, items=ITEMS, recipe={"n": 2}, previous=old).name
        served.start(0.01)
        try:
            await asyncio.sleep(0.1)
            new = publish(bundles, tenant="other", items=ITEMS, recipe={"n": 3}, previous=others).name
            await until(lambda: served.served["other"].stock.bundle.name == new)
            assert current(served) == old
            gate.set()
            await until(lambda: current(served) == slow)
        finally:
            gate.set()
            await served.stop()

    asyncio.run(follow())


async def until(true: Callable[[], bool]) -> None:
    for _ in range(300):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within 3 s")
