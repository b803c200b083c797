"""The bundle contract: what was written loads again, and whatever was changed on the way does not."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from features.catalogue import Catalogue, Item, Role, Skill
from features.interactions import Histories, Interactions
from features.vocabulary import Vocabulary
from training.bundle import (
    Bundle,
    BundleError,
    Pointer,
    Provenance,
    bundle_folder,
    load_bundle,
    read_pointer,
    write_bundle,
    write_pointer,
)
from training.models.base import Fitted
from training.models.content import FittedContent
from training.models.popularity import FittedPopularity, Popularity
from training.models.probability import Calibration

IDS = ("excel", "teams", "word")
NO_WORDS = sparse.csr_matrix((3, 0), dtype=np.float32)


def write(
    parent: Path,
    *,
    rows: list[list[int]] | None = None,
    ids: tuple[str, ...] = IDS,
    tenant: str = "acme",
    model: Fitted | None = None,
    calibration: Calibration | None = None,
    retrain_by: date | None = None,
) -> Path:
    table = Interactions.of_histories(Histories.of(rows or [[0, 1], [0], [0, 2]], len(ids)))
    catalogue = Catalogue(
        items={i: Item(id=i, title=f"Über {i}", skills={"office": 1.0}) for i in ids},
        skills={"office": Skill(id="office", name="Office")},
        roles={"clerk": Role(id="clerk", name="Clerk", expects={"office": 2.0})},
    )
    provenance = Provenance(recipe={"model": "popularity"}, data_digest=table.digest(), split_digest="")
    return write_bundle(
        parent,
        tenant=tenant,
        model=model or Popularity().fit(table, rng=np.random.default_rng(0)),
        vocabulary=Vocabulary(ids),
        catalogue=catalogue,
        audiences=("sales", "technical"),
        population={"popularity": table.item_counts().astype(np.float32)},
        provenance=provenance,
        roles=("clerk", "smith"),
        org_units=("depot",),
        calibration=calibration,
        retrain_by=retrain_by,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path)


def test_what_was_written_loads_again(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert bundle.name == folder.name
    assert bundle.vocabulary.ids == IDS
    assert bundle.catalogue.items["word"].title == "Über word"
    assert bundle.population["popularity"].tolist() == [3, 1, 1]
    assert bundle.model.score(Histories.of([[]], 3)).tolist() == [[3, 1, 1]]
    assert (bundle.audience_index("technical"), bundle.audience_index("nobody"), bundle.audience_index(None)) == (1, -1, -1)
    assert (bundle.role_index("smith"), bundle.role_index(None), bundle.org_unit_index("depot")) == (1, -1, 0)


def test_a_bundle_from_before_roles_and_units_loads_and_knows_none(folder: Path) -> None:
    body = json.loads((folder / "manifest.json").read_text("utf-8"))
    del body["roles"], body["org_units"]
    (folder / "manifest.json").write_text(json.dumps(body), "utf-8")
    name = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()[:16]
    older = load_bundle(folder.rename(folder.parent / name))
    assert (older.role_index("clerk"), older.org_unit_index("depot"), older.audience_index("sales")) == (-1, -1, 0)


def test_a_bundle_names_the_day_by_which_it_is_to_be_retrained(tmp_path: Path, folder: Path) -> None:
    day = date(2026, 4, 1)
    manifest = load_bundle(write(tmp_path / "with", retrain_by=day)).manifest
    assert (manifest.retrain_by, json.loads(manifest.model_dump_json())["retrain_by"]) == (day, "2026-04-01")
    assert [manifest.overdue(date(2026, 4, one)) for one in (1, 2)] == [False, True]
    assert not load_bundle(folder).manifest.overdue(date(9999, 1, 1))


def test_what_was_learned_again_on_another_day_has_another_name_and_equal_content(tmp_path: Path, folder: Path) -> None:
    """As the name of a bundle without a deadline, which is written as in the versions before there were any."""
    assert "retrain_by" not in (folder / "manifest.json").read_text("utf-8")
    days = [load_bundle(write(tmp_path / str(day), retrain_by=date(2026, 4, day))) for day in (1, 2)]
    assert len({folder.name, *(one.name for one in days)}) == 3
    assert {load_bundle(folder).manifest.content, *(one.manifest.content for one in days)} == {folder.name}


def test_a_map_to_probabilities_comes_back_and_a_bundle_without_one_loads(tmp_path: Path, folder: Path) -> None:
    knots = np.array([[-9, -5], [0, -1]], dtype=np.float32)
    found = load_bundle(write(tmp_path / "with", calibration=Calibration(0.5, knots))).calibration
    assert found is not None
    assert (found.temperature, found.knots.tolist()) == (0.5, knots.tolist())
    assert load_bundle(folder).calibration is None


def test_arrays_are_mapped_and_read_only(folder: Path) -> None:
    model = load_bundle(folder).model
    assert isinstance(model, FittedPopularity)
    assert isinstance(model.counts.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        model.counts[0] = 99


def test_equal_content_has_an_equal_name_and_other_content_another(tmp_path: Path, folder: Path) -> None:
    assert write(tmp_path) == folder
    assert write(tmp_path / "elsewhere").name == folder.name
    assert write(tmp_path, rows=[[1], [1], [1]]).name != folder.name
    assert write(tmp_path, tenant="globex").name != folder.name
    assert not list(tmp_path.glob(".staging-*"))


def test_writing_again_mends_a_damaged_bundle(tmp_path: Path, folder: Path) -> None:
    (folder / "arrays" / "counts.npy").write_bytes(b"")
    write(tmp_path)
    assert load_bundle(folder).name == folder.name


def _array(folder: Path) -> Path:
    return folder / "arrays" / "counts.npy"


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(bytes(raw))


def _edit_manifest(folder: Path, change: Callable[[dict[str, object]], object], *, rename: bool = True) -> Path:
    """Edit the manifest; renamed to its new hash, so that only the check under test can refuse it."""
    path = folder / "manifest.json"
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))
    return folder.rename(folder.with_name(hashlib.sha256(path.read_bytes()).hexdigest()[:16])) if rename else folder


def _rehash(folder: Path, file: str, text: str) -> Path:
    """Tamper with a text file and adjust its hash in the manifest, as a careful attacker would."""
    (folder / file).write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return _edit_manifest(folder, lambda body: body["files"].update({file: digest}))  # type: ignore[attr-defined]


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "array truncated": (lambda f: _truncate(_array(f)), "counts.npy.*does not match its hash"),
    "array empty": (lambda f: _array(f).write_bytes(b""), "counts.npy.*does not match its hash"),
    "one bit of an array": (lambda f: _flip(_array(f)), "counts.npy.*does not match its hash"),
    "array missing": (lambda f: _array(f).unlink(), "counts.npy.*missing"),
    "array is a folder": (lambda f: (_array(f).unlink(), _array(f).mkdir()), "counts.npy.*missing"),
    "population array missing": (lambda f: (f / "arrays" / "population.popularity.npy").unlink(), "population.*missing"),
    "catalogue changed": (lambda f: _flip(f / "catalogue.json"), "catalogue.json.*does not match its hash"),
    "catalogue missing": (lambda f: (f / "catalogue.json").unlink(), "catalogue.json.*missing"),
    "vocabulary truncated": (lambda f: _truncate(f / "vocabulary.json"), "vocabulary.json.*does not match its hash"),
    "vocabulary missing": (lambda f: (f / "vocabulary.json").unlink(), "vocabulary.json.*missing"),
    "manifest missing": (lambda f: (f / "manifest.json").unlink(), "no manifest here"),
    "manifest truncated": (lambda f: _truncate(f / "manifest.json"), "not readable as JSON"),
    "manifest empty": (lambda f: (f / "manifest.json").write_text(""), "not readable as JSON"),
    "manifest not UTF-8": (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe{"), "not readable as JSON"),
    "manifest a list": (lambda f: (f / "manifest.json").write_text("[1]"), "format None"),
    "manifest changed": (lambda f: _edit_manifest(f, lambda b: b.update(tenant="evil"), rename=False), "tampered or copied"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_does_not_load(folder: Path, case: str) -> None:
    damage, message = DAMAGE[case]
    damage(folder)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


FORGED: dict[str, tuple[Callable[[dict[str, object]], object], str]] = {
    "newer format": (lambda b: b.update(format=2), "format 2, this version reads 1; upgrade"),
    "no format": (lambda b: b.pop("format"), "format None"),
    "format is true": (lambda b: b.update(format=True), "format True"),
    "unknown kind": (lambda b: b.update(kind="oracle"), "unknown model kind 'oracle'; known: .*popularity"),
    "another kind": (lambda b: b.update(kind="als"), "do not make a als model"),
    "unknown field": (lambda b: b.update(extra=1), "field extra"),
    "field missing": (lambda b: b.pop("tenant"), "field tenant"),
    "array not listed": (lambda b: b["arrays"].pop("counts"), "do not make a popularity model"),  # type: ignore[attr-defined]
    "other dtype": (lambda b: b["arrays"]["counts"].update(dtype="float64"), "manifest says float64"),  # type: ignore[index]
    "other shape": (lambda b: b["arrays"]["counts"].update(shape=[4]), r"manifest says float32\(4,\)"),  # type: ignore[index]
    "other vocabulary digest": (lambda b: b.update(vocabulary_digest="0" * 64), "differs from the manifest's digest"),
    "other catalogue digest": (lambda b: b.update(catalogue_digest="0" * 64), "differs from the manifest's digest"),
    "catalogue not listed": (lambda b: b["files"].pop("catalogue.json"), "catalogue.json"),  # type: ignore[attr-defined]
    "path outside": (lambda b: b["files"].update({"../secret": "0"}), "field files"),  # type: ignore[attr-defined]
    "array path outside": (lambda b: b["arrays"].update({"../../x": b["arrays"]["counts"]}), "field arrays"),  # type: ignore[attr-defined,index]
}


@pytest.mark.parametrize("case", FORGED)
def test_a_forged_manifest_does_not_load(folder: Path, case: str) -> None:
    change, message = FORGED[case]
    with pytest.raises(BundleError, match=message):
        load_bundle(_edit_manifest(folder, change))


@pytest.mark.parametrize("text", ['["excel", "excel", "word"]', '{"a": 1', "7"])
def test_a_forged_vocabulary_does_not_load(folder: Path, text: str) -> None:
    with pytest.raises(BundleError, match="vocabulary"):
        load_bundle(_rehash(folder, "vocabulary.json", text))


@pytest.mark.parametrize("text", ["{}", "[]", '{"items": [{"id": "x"}], "skills": [], "roles": []}'])
def test_a_forged_catalogue_does_not_load(folder: Path, text: str) -> None:
    with pytest.raises(BundleError, match="catalogue"):
        load_bundle(_rehash(folder, "catalogue.json", text))


DEEP = "[" * 100_000


def test_a_deeply_nested_manifest_does_not_load(folder: Path) -> None:
    (folder / "manifest.json").write_text(DEEP)
    with pytest.raises(BundleError, match="not readable as JSON"):
        load_bundle(folder)


@pytest.mark.parametrize("file", ["catalogue.json", "vocabulary.json"])
def test_a_deeply_nested_table_does_not_load(folder: Path, file: str) -> None:
    with pytest.raises(BundleError, match=f"{file}: not a"):
        load_bundle(_rehash(folder, file, DEEP))


def forge_array(folder: Path, name: str, array: np.ndarray) -> Path:
    """Replace an array and everything that the manifest says of it."""
    path = folder / "arrays" / f"{name}.npy"
    np.save(path, array)
    spec = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "dtype": str(array.dtype), "shape": array.shape}
    return _edit_manifest(folder, lambda body: body["arrays"].update({name: spec}))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("population.popularity", np.array([3, np.nan, 1], dtype=np.float32), "population.popularity is not float32"),
        ("population.popularity", np.array([3, np.inf, 1], dtype=np.float32), "population.popularity is not float32"),
        ("population.popularity", np.ones(2, dtype=np.float32), r"population.popularity is not float32\[3\]"),
        ("population.popularity", np.ones((3, 1), dtype=np.float32), r"population.popularity is not float32\[3\]"),
        ("population.popularity", np.ones(3), r"population.popularity is not float32\[3\]"),
        ("calibration.knots", np.ones((2, 2), dtype=np.float32), r"calibration.\* is no map to probabilities"),
        ("counts", np.ones(4, dtype=np.float32), "the model knows 4 items, the vocabulary 3"),
        ("counts", np.ones((3, 1), dtype=np.float32), "counts is float32.*not float32"),
        ("counts", np.array(["a", "b", "c"]), "counts is <U1.*not float32"),
    ],
)
def test_forged_arrays_do_not_load(folder: Path, name: str, array: np.ndarray, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        load_bundle(forge_array(folder, name, array))


@pytest.mark.parametrize("decay", ["much", None, {}, 10**400])
def test_a_forged_parameter_does_not_load(tmp_path: Path, decay: object) -> None:
    folder = write(tmp_path, model=FittedContent(np.eye(3, dtype=np.float32), 0.5, NO_WORDS))
    with pytest.raises(BundleError, match="do not make a content model"):
        load_bundle(_edit_manifest(folder, lambda body: body["params"].update(decay=decay)))  # type: ignore[attr-defined]


def test_a_pickled_array_does_not_load(folder: Path) -> None:
    np.save(_array(folder), np.array([{"code": "runs"}], dtype=object), allow_pickle=True)
    digest = hashlib.sha256(_array(folder).read_bytes()).hexdigest()
    forged = _edit_manifest(folder, lambda b: b["arrays"]["counts"].update(sha256=digest))  # type: ignore[index]
    with pytest.raises(BundleError, match="not a readable array"):
        load_bundle(forged)


def test_without_hashing_a_truncated_array_still_does_not_load(folder: Path) -> None:
    _truncate(_array(folder))
    with pytest.raises(BundleError, match="not a readable array"):
        load_bundle(folder, verify=False)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BundleError, match="no manifest here"):
            load_bundle(path)


def test_the_pointer_is_read_as_written(tmp_path: Path) -> None:
    (tmp_path / "acme").mkdir()
    pointer = Pointer(bundle="0" * 16, previous="1" * 16)
    write_pointer(tmp_path, "acme", pointer)
    assert read_pointer(tmp_path, "acme") == pointer
    assert [path.name for path in (tmp_path / "acme").iterdir()] == ["champion"]


@pytest.mark.parametrize("text", ["", "{", '{"bundle": "../../etc"}', '{"bundle": "0000000000000000", "next": 1}', "[]"])
def test_a_broken_pointer_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "champion").write_text(text)
    with pytest.raises(BundleError, match="not a readable pointer"):
        read_pointer(tmp_path, "acme")


def test_no_pointer_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nothing is published for acme; run `python -m training publish`"):
        read_pointer(tmp_path, "acme")


@pytest.mark.parametrize("tenant", ["../acme", "", "Acme", "a/b", "."])
def test_a_tenant_cannot_name_a_path(tmp_path: Path, tenant: str) -> None:
    with pytest.raises(BundleError, match="is not a tenant name"):
        bundle_folder(tmp_path, tenant, "0" * 16)


def test_scoring_needs_no_heavy_import(folder: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from pathlib import Path; from training.bundle import load_bundle; from features.interactions import Histories\n"
        f"load_bundle(Path({str(folder)!r})).model.score(Histories.of([[0]], 3))\n"
        "print([m for m in ('pandas', 'torch', 'mlflow', 'ibis', 'duckdb', 'implicit') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_name_of_a_loaded_bundle_is_its_manifest_hash(folder: Path) -> None:
    bundle: Bundle = load_bundle(folder)
    assert bundle.name == hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()[:16]
