"""Publishing moves one pointer, to a bundle that was verified where it will be read."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from training.bundle import BundleError, Pointer, bundle_folder, load_bundle, read_pointer, write_pointer
from training.publish import prune, publish, roll_back

WriteBundle = Callable[..., Path]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def first(tmp_path: Path, tiny_bundle: WriteBundle) -> Path:
    return tiny_bundle(tmp_path / "registry", seed=1)


@pytest.fixture
def second(tmp_path: Path, tiny_bundle: WriteBundle) -> Path:
    return tiny_bundle(tmp_path / "registry", seed=2)


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


def test_a_published_bundle_is_pointed_at_and_loads(first: Path, bundles: Path) -> None:
    assert publish(first, bundles, "acme") == Pointer(bundle=first.name)
    assert load_bundle(bundle_folder(bundles, "acme", read_pointer(bundles, "acme").bundle)).name == first.name


def test_the_next_one_remembers_the_one_before(first: Path, second: Path, bundles: Path) -> None:
    publish(first, bundles, "acme")
    assert publish(second, bundles, "acme") == Pointer(bundle=second.name, previous=first.name)


def test_publishing_the_same_again_keeps_the_way_back(first: Path, second: Path, bundles: Path) -> None:
    publish(first, bundles, "acme")
    publish(second, bundles, "acme")
    assert publish(second, bundles, "acme") == Pointer(bundle=second.name, previous=first.name)


def test_only_bundles_and_the_pointer_are_left(first: Path, second: Path, bundles: Path) -> None:
    publish(first, bundles, "acme")
    publish(second, bundles, "acme")
    assert {path.name for path in (bundles / "acme").iterdir()} == {first.name, second.name, "champion"}


def test_copies_that_a_kill_left_are_swept_after_an_hour(first: Path, bundles: Path) -> None:
    """A younger one may be another publish at work."""
    now = time.time()
    for name, minutes in ((".incoming-old", 61), (".incoming-young", 59), ("notes", 61)):
        shutil.copytree(first, bundles / "acme" / name / first.name)
        os.utime(bundles / "acme" / name, (now - 60 * minutes,) * 2)
    publish(first, bundles, "acme")
    assert {path.name for path in (bundles / "acme").iterdir()} == {first.name, ".incoming-young", "notes", "champion"}


def test_a_damaged_bundle_is_not_published(first: Path, second: Path, bundles: Path) -> None:
    publish(first, bundles, "acme")
    (second / "arrays" / "counts.npy").write_bytes(b"damaged")
    with pytest.raises(BundleError, match="does not match its hash"):
        publish(second, bundles, "acme")
    assert read_pointer(bundles, "acme").bundle == first.name
    assert not bundle_folder(bundles, "acme", second.name).exists()


def test_a_damaged_copy_is_mended(first: Path, bundles: Path) -> None:
    publish(first, bundles, "acme")
    copy = bundle_folder(bundles, "acme", first.name)
    (copy / "catalogue.json").unlink()
    publish(first, bundles, "acme")
    assert load_bundle(copy).name == first.name


def test_a_broken_pointer_is_mended(first: Path, bundles: Path) -> None:
    publish(first, bundles, "acme")
    (bundles / "acme" / "champion").write_text("{")
    assert publish(first, bundles, "acme") == Pointer(bundle=first.name)


def test_a_bundle_of_another_tenant_is_not_published(tmp_path: Path, bundles: Path, tiny_bundle: WriteBundle) -> None:
    with pytest.raises(BundleError, match="belongs to tenant 'globex', not to 'acme'"):
        publish(tiny_bundle(tmp_path / "registry", tenant="globex"), bundles, "acme")
    assert not (bundles / "acme").exists()


def test_rolling_back_points_at_the_previous_once(first: Path, second: Path, bundles: Path) -> None:
    publish(first, bundles, "acme")
    publish(second, bundles, "acme")
    assert roll_back(bundles, "acme") == Pointer(bundle=first.name)
    assert read_pointer(bundles, "acme") == Pointer(bundle=first.name)
    with pytest.raises(BundleError, match="nothing to roll back to"):
        roll_back(bundles, "acme")


def test_rolling_back_to_a_damaged_bundle_is_refused(first: Path, second: Path, bundles: Path) -> None:
    publish(first, bundles, "acme")
    publish(second, bundles, "acme")
    (bundle_folder(bundles, "acme", first.name) / "vocabulary.json").unlink()
    with pytest.raises(BundleError, match=r"vocabulary.json: missing"):
        roll_back(bundles, "acme")
    assert read_pointer(bundles, "acme").bundle == second.name


def test_nothing_published_nothing_to_roll_back(bundles: Path) -> None:
    with pytest.raises(BundleError, match="nothing is published for acme"):
        roll_back(bundles, "acme")


def test_a_kill_at_any_moment_leaves_a_pointer_to_a_sound_bundle(first: Path, second: Path, bundles: Path) -> None:
    publish(first, bundles, "acme")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import shutil, pathlib; from training.publish import publish\n"
        f"bundles = pathlib.Path({str(bundles)!r}); sources = [pathlib.Path(p) for p in {[str(second), str(first)]!r}]\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for source, other in zip(sources, reversed(sources)):\n"
        "        publish(source, bundles, 'acme')\n"
        "        (bundles / 'acme' / other.name).rename(bundles / 'gone')\n"  # so that the next round copies again
        "        shutil.rmtree(bundles / 'gone')\n"
    )
    for round_ in range(6):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.02 + 0.013 * round_)
            os.kill(process.pid, signal.SIGKILL)
        pointer = read_pointer(bundles, "acme")
        assert load_bundle(bundle_folder(bundles, "acme", pointer.bundle)).name == pointer.bundle
        assert all(load_bundle(folder) for folder in (bundles / "acme").iterdir() if len(folder.name) == 16)
        shutil.rmtree(bundles / "gone", ignore_errors=True)
        publish(first, bundles, "acme")


def old(folder: Path, hours: float) -> None:
    os.utime(folder, (time.time() - 3600 * hours,) * 2)


def test_pruning_keeps_the_newest_and_what_any_pointer_names(tmp_path: Path, bundles: Path, tiny_bundle: WriteBundle) -> None:
    """Seven bundles, the first two of which a pointer of a deployment's own and the way back name."""
    made = [tiny_bundle(tmp_path / "registry", seed=seed) for seed in range(7)]
    for source in made:
        publish(source, bundles, "acme")
    names = [source.name for source in made]
    write_pointer(bundles, "acme", Pointer(bundle=names[1], previous=names[0]))
    (bundles / "acme" / "kiosk").write_text(Pointer(bundle=names[2]).model_dump_json())
    for age, name in enumerate(reversed(names)):
        old(bundles / "acme" / name, 2 + age)
    assert prune(bundles, "acme", keep=2) == (names[4], names[3])
    left = {path.name for path in (bundles / "acme").iterdir()}
    assert left == {*names[:3], *names[5:], "champion", "kiosk"}


def test_a_bundle_that_was_to_be_retrained_by_now_goes_unless_a_pointer_names_it(
    tmp_path: Path, tiny_bundle: WriteBundle, bundles: Path
) -> None:
    """What it learned may be of people who were erased since."""
    over, still = date(2020, 1, 1), date(2999, 1, 1)
    days = (over, still, over, still)
    names = [tiny_bundle(tmp_path / "made", seed=seed, retrain_by=day).name for seed, day in enumerate(days)]
    for name in names:
        publish(tmp_path / "made" / name, bundles, "acme")
        old(bundles / "acme" / name, 2)
    assert prune(bundles, "acme", keep=9) == (names[0],)


def test_nothing_goes_while_the_pointer_cannot_be_read_or_it_is_young(first: Path, second: Path, bundles: Path) -> None:
    publish(first, bundles, "acme")
    publish(second, bundles, "acme")
    roll_back(bundles, "acme")
    assert prune(bundles, "acme", keep=1) == ()
    (bundles / "acme" / "champion").write_text("{")
    for path in (bundles / "acme").glob("[0-9a-f]" * 16):
        old(path, 5)
    assert prune(bundles, "acme", keep=0) == ()
    assert prune(bundles, "globex") == ()
