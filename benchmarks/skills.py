"""Proposed skills and profiles: how often a proposal is right, whether its confidence can be believed, what a profile costs.

python -m benchmarks.skills [--data DIR]     prints the figures and the machine; writes benchmarks/results/skills.json
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from features.catalogue import Catalogue, Item, Skill
from features.events import Event, Verb
from features.propose import DEFAULT, Candidates, bare_text, logistic, propose, skill_text
from features.readers import read
from features.skills import profile
from features.synthetic import synthesize
from features.text import encode

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "skills.json"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
FOLDS, FLOORS, BINS = 5, (0.3, 0.5, 0.7), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

Pair = tuple[float, bool]
"""Confidence of a proposal, and whether the catalogue gives the item that skill."""


def main() -> int:
    """Nothing here has a target; exit 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("NEXTWISE_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--cache", type=Path, default=ROOT / "var" / "cache", help="where vectors of texts are kept")
    given = parser.parse_args()
    into = partial(encode, cache=given.cache, threads=1)
    found: dict[str, Any] = {"profile_ms": {n: profile_ms(n) for n in (100, 1_000, 10_000)}}
    print("profile, ms:", found["profile_ms"])
    for name, catalogue in _catalogues(given.data):
        found[name] = measure(catalogue, into)
        _print(name, found[name])
    RESULT.write_text(json.dumps({"machine": machine(), **found}, indent=1) + "\n")
    return 0


def measure(catalogue: Catalogue, into: Any) -> dict[str, Any]:
    """Each item's skills hidden once, a fifth of the items at a time; then all of them, which leaves the default weights.

    The default was fitted to MARS: there its row is no test, on any other catalogue it is.
    """
    taught = [item for item in catalogue.items.values() if item.skills]
    order = np.random.default_rng(0).permutation(len(taught))
    hidden = [{taught[k].id for k in order[fold::FOLDS]} for fold in range(FOLDS)]
    total = sum(len(item.skills) for item in taught)
    own = [pair for some in hidden for pair in _pairs(catalogue, some, into)]
    default = _pairs(catalogue, {item.id for item in taught}, into)
    return {
        "items": len(taught),
        "skills": len(catalogue.skills),
        "right_first": _right_first(catalogue, hidden, into),
        "calibrated": _quality(own, total, len(taught)),
        "default": _quality(default, total, len(taught)),
        "weights": _weights(catalogue, taught, into),
    }


def profile_ms(n: int) -> float:
    """Milliseconds for the profile of a learner with n events (best of 5): two skills an item, verbs of a mixed log."""
    rng = random.Random(1)
    items = {f"i{k}": Item(id=f"i{k}", title="x", skills={f"s{rng.randrange(70)}": 3.0 for _ in range(2)}) for k in range(400)}
    verbs = [verb for verb in Verb if verb is not Verb.REVOKED]
    events = [_event(k, rng.choice(verbs), f"i{rng.randrange(400)}", rng.random() * 700) for k in range(n)]
    return round(min(_seconds(events, items) for _ in range(5)) * 1000, 2)


def _seconds(events: Sequence[Event], items: dict[str, Item]) -> float:
    started = time.perf_counter()
    profile(events, items, NOW)
    return time.perf_counter() - started


def _event(k: int, verb: Verb, item: str, days: float) -> Event:
    at = NOW - timedelta(days=days)
    return Event(tenant="t", event_id=f"e{k}", learner_id="l", verb=verb, object_id=item, occurred_at=at, recorded_at=at)


def _catalogues(data: Path) -> Iterable[tuple[str, Catalogue]]:
    with tempfile.TemporaryDirectory() as folder:
        synthesize(Path(folder), None, 7)
        yield "embedded organisation", _catalogue(read("events", Path(folder), tenant="t", timezone=None, now=NOW))
    if not (data / "mars").is_dir():
        print(f"{data / 'mars'} is missing: give --data DIR for the real log")
        return
    mars = _catalogue(read("mars", data / "mars", tenant="t", timezone="Europe/Paris", now=NOW))
    # The attributes spell out the software that the skills are made of.
    bare = {item.id: item.model_copy(update={"attributes": {}}) for item in mars.items.values()}
    yield "MARS", Catalogue(bare, mars.skills, {})


def _catalogue(reading: Any) -> Catalogue:
    rows = [getattr(row, "row", row) for row in reading.catalogue]
    items = {row.id: row for row in rows if isinstance(row, Item)}
    return Catalogue(items, {row.id: row for row in rows if isinstance(row, Skill)}, {})


def _pairs(catalogue: Catalogue, hidden: set[str], into: Any) -> list[Pair]:
    """All candidates of the hidden items, whatever their confidence."""
    items = {k: one.model_copy(update={"skills": {}}) if k in hidden else one for k, one in catalogue.items.items()}
    found = propose(Catalogue(items, catalogue.skills, {}), into, at_most=5, floor=0.0005).proposals
    flat = ((item, skill, one.confidence) for item in hidden for skill, one in found.get(item, {}).items())
    return [(sure, skill in catalogue.items[item].skills) for item, skill, sure in flat]


def _right_first(catalogue: Catalogue, hidden: Sequence[set[str]], into: Any) -> float:
    """The share of items whose closest skill is one of theirs."""
    rights = []
    for some in hidden:
        items = {k: one.model_copy(update={"skills": {}}) if k in some else one for k, one in catalogue.items.items()}
        found = propose(Catalogue(items, catalogue.skills, {}), into, at_most=1, floor=0.0005).proposals
        rights += [bool(set(found.get(item, ())) & set(catalogue.items[item].skills)) for item in some]
    return round(float(np.mean(rights)), 3)


def _quality(pairs: Sequence[Pair], total: int, items: int) -> dict[str, Any]:
    """Precision, recall and proposals an item above each floor; by bin of confidence: pairs, mean confidence, share right."""
    sure, right = np.array([p for p, _ in pairs]), np.array([hit for _, hit in pairs])
    floors = {
        floor: {
            "precision": round(float(right[sure >= floor].mean()), 3),
            "recall": round(float(right[sure >= floor].sum() / total), 3),
            "an_item": round(float((sure >= floor).sum() / items), 2),
        }
        for floor in FLOORS
    }
    bins = [(sure >= low) & (sure < high) for low, high in pairwise(BINS)]
    table = [(int(b.sum()), round(float(sure[b].mean()), 3), round(float(right[b].mean()), 3)) for b in bins if b.any()]
    error = sum(n * abs(said - was) for n, said, was in table) / len(pairs)
    brier = float(((sure - right) ** 2).mean())
    return {"floors": floors, "bins": table, "calibration_error": round(error, 3), "brier": round(brier, 4)}


def _weights(catalogue: Catalogue, taught: Sequence[Item], into: Any) -> list[float]:
    """The weights fitted to all items with skills: where `DEFAULT` comes from."""
    skills = [catalogue.skills[skill] for skill in sorted(catalogue.skills)]
    vectors = into([*map(bare_text, taught), *map(skill_text, skills)]).astype(np.float64)
    candidates = Candidates.of(vectors[: len(taught)] @ vectors[len(taught) :].T)
    right = [[skills[k].id in item.skills for k in row] for item, row in zip(taught, candidates.skill.tolist(), strict=True)]
    return [round(w, 2) for w in logistic(candidates.signs.reshape(-1, 3), np.array(right, dtype=float).ravel()).tolist()]


def _print(name: str, found: dict[str, Any]) -> None:
    print(
        f"\n{name}: {found['items']} items, {found['skills']} skills; the closest skill is right for {found['right_first']:.1%}"
    )
    print(f"weights fitted to all: {found['weights']} (default {list(DEFAULT)})")
    for how in ("calibrated", "default"):
        own = found[how]
        print(f"{how}: calibration error {own['calibration_error']}, Brier {own['brier']}")
        for floor, row in own["floors"].items():
            print(f"  from {floor}: precision {row['precision']}, recall {row['recall']}, {row['an_item']} an item")
        for n, said, was in own["bins"]:
            print(f"  {n:>6,} pairs: said {said:.2f}, was {was:.2f}")


if __name__ == "__main__":
    sys.exit(main())
