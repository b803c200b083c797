"""The bundle: arrays and a manifest, the same bytes in MLflow, on disk and in the Bento. No pickle, every file hashed.

    DIR/manifest.json       format number, recipe, digests of data, split, vocabulary; sha256, dtype and shape of every file
    DIR/catalogue.json      items, skills and roles at the moment of training (no person)
    DIR/vocabulary.json     item ids in index order
    DIR/proposals.json      skills that a text model proposes for items without any; absent where there are none
    DIR/arrays/NAME.npy     one file per array, memory-mapped when loaded

The bundle's name is the first 16 hex digits of the SHA-256 of its manifest: equal content has an equal name. Bundles are
published as `BUNDLES/TENANT/NAME/`; the pointer file `BUNDLES/TENANT/champion` says which of them serves, and is only
ever replaced whole.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from features.catalogue import Catalogue
from features.events import Instant, Tenant
from features.pieces import between
from features.proposals import Proposals, from_json, to_json
from features.vocabulary import Vocabulary
from training.catalogue_text import catalogue_of, catalogue_text
from training.models.base import Fitted
from training.models.probability import Calibration
from training.models.registry import FITTED

FORMAT = 1
_MANIFEST = "manifest.json"
_CATALOGUE = "catalogue.json"
_VOCABULARY = "vocabulary.json"
_PROPOSALS = "proposals.json"
CHAMPION: Final = "champion"
"""The pointer that serves."""
CHALLENGER: Final = "challenger"
"""The pointer to what is scored beside it, and shown to nobody."""
_AT_ONCE: Final = 1 << 20  # bytes of a file that are hashed in one go: a millisecond
_POPULATION = "population."
_CALIBRATION = "calibration."

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
BundleName = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class BundleError(Exception):
    """A bundle that must not be served; the message names the file and what is wrong with it."""


class ArrayFile(BaseModel):
    """One `.npy` file as the manifest describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    dtype: str
    shape: tuple[int, ...]


class Provenance(BaseModel):
    """Where a bundle comes from: the resolved recipe, digests of data and split, and what the data knew last.

    `costs` holds only what equal data and recipe reproduce exactly; seconds and memory belong to the run, not here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: dict[str, JsonValue]
    data_digest: str
    split_digest: str
    data_until: Instant | None = None
    timezone: str | None = None
    costs: dict[str, float] = {}


class Manifest(BaseModel):
    """The content of `manifest.json`.

    `retrain_by`: the day (UTC) by whose end a bundle from newer data is to take its place, so that no model keeps what it
    learned from somebody who was erased. None where nothing was learned of people, or in bundles of before it was named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    tenant: Tenant
    kind: str
    params: dict[str, JsonValue]
    audiences: tuple[str, ...]
    roles: tuple[str, ...] = ()
    org_units: tuple[str, ...] = ()
    vocabulary_digest: str
    catalogue_digest: str
    provenance: Provenance
    arrays: dict[FileName, ArrayFile]
    files: dict[FileName, str]
    retrain_by: date | None = None

    @property
    def content(self) -> str:
        """The name that the bundle has without its deadline: equal for what was learned from equal data on different days."""
        return _name(self.text(exclude={"retrain_by"}))

    def text(self, *, exclude: Collection[str] = ()) -> str:
        """As it is written; a deadline that there is not is left out, as in bundles of before."""
        return self.model_dump_json(indent=1, exclude={*exclude, *(() if self.retrain_by else ("retrain_by",))}) + "\n"

    def overdue(self, today: date) -> bool:
        """Whether the day to retrain by is over."""
        return self.retrain_by is not None and today > self.retrain_by


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Bundle:
    """A loaded, verified bundle.

    `population` holds statistics of the whole population by name, each float32[n_items] (`popularity`: learners per item).
    `proposals`: skills of items that the catalogue gives none. `calibration`: the map from the model's scores to probabilities.
    """

    name: str
    manifest: Manifest
    catalogue: Catalogue
    vocabulary: Vocabulary
    model: Fitted
    population: Mapping[str, NDArray[np.float32]]
    proposals: Proposals = field(default_factory=dict)
    calibration: Calibration | None = None

    def audience_index(self, audience: str | None) -> int:
        """Index of an audience in the model's order, -1 when unknown."""
        return _place(self.manifest.audiences, audience)

    def role_index(self, role: str | None) -> int:
        """Index of a role in the model's order, -1 when unknown."""
        return _place(self.manifest.roles, role)

    def org_unit_index(self, org_unit: str | None) -> int:
        """Index of an org unit in the model's order, -1 when unknown."""
        return _place(self.manifest.org_units, org_unit)


def _place(names: tuple[str, ...], name: str | None) -> int:
    return names.index(name) if name in names else -1


def write_bundle(
    parent: Path,
    *,
    tenant: str,
    model: Fitted,
    vocabulary: Vocabulary,
    catalogue: Catalogue,
    audiences: tuple[str, ...],
    population: Mapping[str, NDArray[np.float32]],
    provenance: Provenance,
    proposals: Proposals | None = None,
    roles: tuple[str, ...] = (),
    org_units: tuple[str, ...] = (),
    calibration: Calibration | None = None,
    retrain_by: date | None = None,
) -> Path:
    """Write a bundle under `parent` and return its folder `parent/NAME`. Writing equal content again changes nothing."""
    parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=parent))
    (staging / "arrays").mkdir()
    named = {**model.arrays(), **{_POPULATION + key: value for key, value in population.items()}}
    named |= {} if calibration is None else {_CALIBRATION + key: value for key, value in calibration.arrays().items()}
    arrays = {name: _write_array(staging / "arrays" / f"{name}.npy", array) for name, array in sorted(named.items())}
    files = {
        _CATALOGUE: _write_text(staging / _CATALOGUE, catalogue_text(catalogue)),
        _VOCABULARY: _write_text(staging / _VOCABULARY, json.dumps(vocabulary.ids, ensure_ascii=False)),
    }
    if proposals:
        files[_PROPOSALS] = _write_text(staging / _PROPOSALS, to_json(proposals))
    manifest = Manifest(
        format=FORMAT,
        tenant=tenant,
        kind=model.kind,
        params=dict(model.params()),
        audiences=audiences,
        roles=roles,
        org_units=org_units,
        vocabulary_digest=vocabulary.digest,
        catalogue_digest=catalogue.digest,
        provenance=provenance,
        arrays=arrays,
        files=files,
        retrain_by=retrain_by,
    )
    name = _write_text(staging / _MANIFEST, manifest.text())[:16]
    return put_in_place(staging, parent / name)


def put_in_place(staging: Path, final: Path) -> Path:
    """Rename a complete bundle folder to its final name; a sound bundle that is there already stays, a damaged one goes."""
    if final.exists():
        try:
            load_bundle(final)
        except BundleError:
            shutil.rmtree(final)
        else:
            shutil.rmtree(staging)
            return final
    staging.chmod(0o755)
    staging.replace(final)
    flush_to_disk(final.parent)
    return final


def read_manifest(folder: Path) -> Manifest:
    """What a bundle says of itself, no file of it verified. BundleError as `load_bundle`."""
    return _read_manifest(folder)[0]


def load_bundle(folder: Path, *, verify: bool = True) -> Bundle:
    """Load a bundle, arrays memory-mapped read-only; in pieces (`features.pieces`), for a service that answers meanwhile.

    Raises BundleError for a missing, damaged, truncated or tampered file and for a format this version does not know.
    `verify=False` skips hashing the arrays (a bundle that this process verified before).
    """
    manifest, name = _read_manifest(folder)
    for file in {_CATALOGUE, _VOCABULARY, *manifest.files}:
        _verify(folder / file, manifest.files.get(file, ""))
    vocabulary, catalogue = _read_vocabulary(folder / _VOCABULARY), _read_catalogue(folder / _CATALOGUE)
    if (vocabulary.digest, catalogue.digest) != (manifest.vocabulary_digest, manifest.catalogue_digest):
        raise BundleError(f"{folder}: vocabulary or catalogue differs from the manifest's digest; publish the bundle again")
    arrays = {key: _read_array(folder, key, spec, verify=verify) for key, spec in manifest.arrays.items()}
    own = {key: value for key, value in arrays.items() if not key.startswith((_POPULATION, _CALIBRATION))}
    population, calibration = (_named(prefix, arrays) for prefix in (_POPULATION, _CALIBRATION))
    model = _read_model(folder, manifest, own)
    _check_items(folder, len(vocabulary), model, population)
    proposals = _read_proposals(folder / _PROPOSALS) if _PROPOSALS in manifest.files else {}
    chances = _read_calibration(folder, calibration) if calibration else None
    return Bundle(name, manifest, catalogue, vocabulary, model, population, proposals, chances)


class Pointer(BaseModel):
    """The content of `BUNDLES/TENANT/champion`: the bundle that serves, and the one before it (None: no way back)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: BundleName
    previous: BundleName | None = None


def bundle_folder(bundles: Path, tenant: str, name: str) -> Path:
    """Where the bundle `name` of a tenant lies once published."""
    return bundles / _tenant(tenant) / name


def read_pointer(bundles: Path, tenant: str, name: str = CHAMPION) -> Pointer:
    """Which bundle of a tenant serves, or is its `CHALLENGER`. Raises BundleError where none is or it cannot be read."""
    path = bundles / _tenant(tenant) / name
    try:
        return Pointer.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(f"{path}: nothing is published for {tenant}; run `python -m training publish`") from error
    except (OSError, ValidationError) as error:
        raise BundleError(f"{path}: not a readable pointer ({error}); run `python -m training publish`") from error


def write_pointer(bundles: Path, tenant: str, pointer: Pointer, name: str = CHAMPION) -> None:
    """Replace the pointer in one step: a reader, or a power cut, sees the old content or the new, never a part."""
    folder = bundles / _tenant(tenant)
    handle, written = tempfile.mkstemp(prefix=".pointer-", dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(pointer.model_dump_json() + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.chmod(written, 0o644)
    os.replace(written, folder / name)
    flush_to_disk(folder)


def _tenant(tenant: str) -> str:
    try:
        return _TENANT.validate_python(tenant)
    except ValidationError as error:
        raise BundleError(f"tenant {tenant!r} is not a tenant name (a-z, 0-9 and -, at most 63 characters)") from error


_TENANT: TypeAdapter[str] = TypeAdapter(Tenant)


def _read_model(folder: Path, manifest: Manifest, arrays: Mapping[str, NDArray[Any]]) -> Fitted:
    if manifest.kind not in FITTED:
        raise BundleError(f"{folder / _MANIFEST}: unknown model kind {manifest.kind!r}; known: {', '.join(sorted(FITTED))}")
    try:
        return FITTED[manifest.kind].from_arrays(arrays, manifest.params)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BundleError(
            f"{folder}: arrays or params do not make a {manifest.kind} model ({error!r}); publish again"
        ) from error


def _named(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def _read_calibration(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
    try:
        return Calibration.from_arrays(arrays)
    except (KeyError, ValueError) as error:
        raise BundleError(f"{folder}: {_CALIBRATION}* is no map to probabilities ({error!r}); publish again") from error


def _check_items(folder: Path, n_items: int, model: Fitted, population: Mapping[str, NDArray[Any]]) -> None:
    if model.n_items != n_items:
        raise BundleError(f"{folder}: the model knows {model.n_items} items, the vocabulary {n_items}; publish again")
    for name, array in population.items():
        if array.dtype != np.float32 or array.shape != (n_items,) or not np.isfinite(array).all():
            raise BundleError(f"{folder}: {_POPULATION}{name} is not float32[{n_items}] of finite numbers; publish again")


def _read_manifest(folder: Path) -> tuple[Manifest, str]:
    path = folder / _MANIFEST
    try:
        raw = path.read_bytes()
        body: Any = json.loads(raw)
    except OSError as error:
        raise BundleError(f"{path}: no manifest here; is this a bundle folder?") from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not readable as JSON ({error}); publish the bundle again") from error
    found = body.get("format") if isinstance(body, dict) else None
    if type(found) is not int or found != FORMAT:
        raise BundleError(f"{path}: format {found!r}, this version reads {FORMAT}; upgrade nextwise or publish again")
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise BundleError(f"{path}: field {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    name = hashlib.sha256(raw).hexdigest()[:16]
    if folder.resolve().name != name:
        raise BundleError(
            f"{path}: its content hashes to {name}, but the folder is named {folder.resolve().name}: tampered or copied"
        )
    return manifest, name


def _write_text(path: Path, text: str) -> str:
    raw = text.encode()
    path.write_bytes(raw)
    flush_to_disk(path)
    return hashlib.sha256(raw).hexdigest()


def _write_array(path: Path, array: NDArray[Any]) -> ArrayFile:
    array = np.asarray(array, order="C")
    np.save(path, array, allow_pickle=False)
    flush_to_disk(path)
    return ArrayFile(sha256=_file_hash(path), dtype=str(array.dtype), shape=array.shape)


def _read_array(folder: Path, name: str, spec: ArrayFile, *, verify: bool) -> NDArray[Any]:
    path = folder / "arrays" / f"{name}.npy"
    if verify or not path.exists():
        _verify(path, spec.sha256)
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r" if 0 not in spec.shape else None, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: not a readable array ({error}); publish the bundle again") from error
    if (str(array.dtype), array.shape) != (spec.dtype, spec.shape):
        raise BundleError(f"{path}: is {array.dtype}{array.shape}, the manifest says {spec.dtype}{spec.shape}")
    return np.asarray(array)  # a plain view of the mapped file: numpy is much slower with its memmap type


def _verify(path: Path, expected: str) -> None:
    if not path.is_file():
        raise BundleError(f"{path}: missing; publish the bundle again")
    if _file_hash(path) != expected:
        raise BundleError(
            f"{path}: content does not match its hash in the manifest (damaged or tampered); publish the bundle again"
        )


def _file_hash(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while part := file.read(_AT_ONCE):
            found.update(part)
            between()
    return found.hexdigest()


def _read_vocabulary(path: Path) -> Vocabulary:
    try:
        return Vocabulary(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise BundleError(f"{path}: not a list of distinct item ids ({error}); publish the bundle again") from error


def _read_catalogue(path: Path) -> Catalogue:
    try:
        return catalogue_of(path.read_text("utf-8"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BundleError(f"{path}: not a catalogue ({error!r}); publish the bundle again") from error


def _read_proposals(path: Path) -> Proposals:
    try:
        return from_json(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not proposals of skills ({error}); publish the bundle again") from error


def flush_to_disk(path: Path) -> None:
    """Force a file or folder to the disk, so that what the pointer names survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
