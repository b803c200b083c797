"""Publishing: a verified copy of a bundle beside the ones that serve, then one atomic move of the pointer."""

import re
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from training.bundle import (
    CHALLENGER,
    Bundle,
    BundleError,
    Pointer,
    bundle_folder,
    flush_to_disk,
    load_bundle,
    put_in_place,
    read_manifest,
    read_pointer,
    write_pointer,
)

KEPT = 10
"""Bundles of a tenant that stay published beside the pointers' own."""

_INCOMING = ".incoming-"
_FORGOTTEN_S = 3600.0  # an unfinished copy that old is of a process that was killed


def publish(source: Path, bundles: Path, tenant: str) -> Pointer:
    """Copy the bundle folder `source` to `bundles/TENANT/NAME/`, verify the copy, point at it.

    Publishing what already serves changes nothing. Raises BundleError before the pointer moves when the source or its copy
    does not verify or belongs to another tenant.
    """
    bundle = _of_tenant(source, tenant)
    install(source, bundle, bundles)
    current = current_pointer(bundles, tenant)
    if current is not None and current.bundle == bundle.name:
        return current
    pointer = Pointer(bundle=bundle.name, previous=current.bundle if current else None)
    write_pointer(bundles, tenant, pointer)
    return pointer


def shadow(source: Path, bundles: Path, tenant: str) -> Pointer:
    """Copy and verify a bundle as `publish` does, and let the service score it beside the one that serves.

    Raises BundleError as `publish`, and where it serves already.
    """
    bundle = _of_tenant(source, tenant)
    if read_pointer(bundles, tenant).bundle == bundle.name:
        raise BundleError(f"{tenant}: bundle {bundle.name} serves already; a challenger is another one: fit first")
    install(source, bundle, bundles)
    pointer = Pointer(bundle=bundle.name)
    write_pointer(bundles, tenant, pointer, CHALLENGER)
    return pointer


def end_shadow(bundles: Path, tenant: str) -> bool:
    """Let no challenger be scored any longer; whether there was one."""
    pointer = bundles / tenant / CHALLENGER
    there = pointer.exists()
    pointer.unlink(missing_ok=True)
    return there


def _of_tenant(source: Path, tenant: str) -> Bundle:
    bundle = load_bundle(source)
    if bundle.manifest.tenant != tenant:
        raise BundleError(f"{source}: belongs to tenant {bundle.manifest.tenant!r}, not to {tenant!r}")
    return bundle


def install(source: Path, bundle: Bundle, bundles: Path) -> Path:
    """A verified copy of `source` at `bundles/TENANT/NAME/`; a kill on the way leaves no folder of that name.

    What an earlier kill left behind is removed when it is an hour old.
    """
    final = bundle_folder(bundles, bundle.manifest.tenant, bundle.name)
    final.parent.mkdir(parents=True, exist_ok=True)
    _sweep(final.parent)
    with tempfile.TemporaryDirectory(prefix=_INCOMING, dir=final.parent) as incoming:
        copied = Path(shutil.copytree(source, Path(incoming) / bundle.name))
        for file in copied.rglob("*"):
            flush_to_disk(file)
        load_bundle(copied)
        return put_in_place(copied, final)


def _sweep(folder: Path) -> None:
    for left in folder.glob(f"{_INCOMING}*"):
        try:
            forgotten = time.time() - left.stat().st_mtime > _FORGOTTEN_S
        except FileNotFoundError:  # another publish has just finished
            continue
        if forgotten:
            shutil.rmtree(left, ignore_errors=True)


def roll_back(bundles: Path, tenant: str) -> Pointer:
    """Point at the previous bundle again, which must still verify. Raises BundleError when there is none."""
    current = read_pointer(bundles, tenant)
    if current.previous is None:
        raise BundleError(f"{tenant}: nothing to roll back to; {current.bundle} is the only bundle this pointer knows")
    load_bundle(bundle_folder(bundles, tenant, current.previous))
    pointer = Pointer(bundle=current.previous)
    write_pointer(bundles, tenant, pointer)
    return pointer


def prune(bundles: Path, tenant: str, *, keep: int = KEPT) -> tuple[str, ...]:
    """Remove all but the newest `keep` bundles of a tenant, and those that were to be retrained by now; returns their names.

    What a pointer names stays, as bundle or as previous: the pointer `champion`, and any other file in the folder that reads
    as a pointer, which is how a deployment that holds on to a bundle says so. So does what is younger than an hour: another
    process may be about to point at it. MLflow keeps every bundle.
    """
    folder = bundles / tenant
    found = sorted(_bundles(folder), key=lambda path: -path.stat().st_mtime)
    pinned = _pinned(folder)
    if pinned is None:
        return ()
    now = time.time()
    gone = {path for path in found if _overdue(path)}.union(found[keep:])
    old = [p for p in found if p in gone and p.name not in pinned and now - p.stat().st_mtime > _FORGOTTEN_S]
    for path in old:
        hidden = path.with_name(f"{_INCOMING}{path.name}")  # out of sight at once: a kill leaves no half bundle of that name
        path.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)
    return tuple(path.name for path in old)


def _overdue(bundle: Path) -> bool:
    """Whether the day is over by which a bundle was to be retrained; of one that cannot be read nobody knows."""
    try:
        return read_manifest(bundle).overdue(datetime.now(UTC).date())
    except BundleError:
        return False


def _bundles(folder: Path) -> list[Path]:
    named = folder.iterdir() if folder.is_dir() else ()
    return [path for path in named if re.fullmatch("[0-9a-f]{16}", path.name) and path.is_dir()]


def _pinned(folder: Path) -> set[str] | None:
    """Names in any pointer file of the folder; None where `champion` cannot be read: then nothing may go."""
    pointers = {path.name: _pointer(path) for path in folder.glob("[!.]*") if path.is_file()} if folder.is_dir() else {}
    if pointers.get("champion") is None:
        return None
    return {name for found in pointers.values() if found for name in (found.bundle, found.previous) if name}


def _pointer(path: Path) -> Pointer | None:
    try:
        return Pointer.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def current_pointer(bundles: Path, tenant: str) -> Pointer | None:
    """The pointer as it stands; None where nothing was published or it cannot be read (publishing repairs it)."""
    try:
        return read_pointer(bundles, tenant)
    except BundleError:
        return None
