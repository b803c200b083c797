"""What rules cost a ranking: `python -m benchmarks.rules`.

20,000 items ranked by popularity, which is the cheapest model, for one learner: without rules, with each kind alone, with ten,
and with one that leaves slots empty and names nearly all items. Taken in turns, because a shared machine is not equally fast
from one minute to the next. `cpu_ms` is processor time, the median of the rounds. Writes benchmarks/results/rules.json.
"""

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Annotated, Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: one request, one thread
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import typer

from benchmarks.machine import machine
from features.catalogue import Catalogue, Item, Learner
from features.interactions import Histories, Interactions
from features.vocabulary import Vocabulary
from serving.payloads import RecommendationsRequest
from serving.pipeline import rank
from serving.policy import Policy
from serving.prepared import Prepared, prepare
from serving.rules.matching import labels
from training.bundle import Provenance, load_bundle, write_bundle
from training.models.popularity import Popularity

RESULTS = Path(__file__).parent / "results" / "rules.json"
ITEMS = 20_000
AT = datetime(2026, 6, 1, tzinfo=UTC)
LEARNER = Learner(id="ana", audiences=("hall",))
ONE: dict[str, dict[str, Any]] = {
    "exclude": {"kind": "exclude", "match": {"providers": ["p-1", "p-2"]}},
    "only": {"kind": "only", "match": {"types": ["course"], "languages": ["en"]}, "audiences": ["hall"]},
    "boost": {"kind": "boost", "match": {"skills": ["s-1"]}, "add": 1.0},
    "limit": {"kind": "limit", "most": 2, "per": "provider"},
    "pin": {"kind": "pin", "items": ["i-1", "i-2"]},
}
TEN = [
    *(ONE[kind] for kind in ("exclude", "only", "boost", "limit", "pin")),
    {"kind": "exclude", "match": {"attributes": {"topic": ["t-1", "t-2"]}}},
    {"kind": "exclude", "match": {"items": [f"i-{n}" for n in range(100)]}},
    {"kind": "boost", "match": {"providers": ["p-3"]}, "add": -0.5},
    {"kind": "limit", "most": 3, "per": "skill", "days": 7},
    {"kind": "limit", "most": 5, "match": {"providers": [f"p-{n}" for n in range(20)]}},
]
SHORT = {"kind": "limit", "most": 5}
"""Leaves slots empty, so that whatever it keeps out is named: all items but five."""


def main(rounds: Annotated[int, typer.Option(min=10)] = 300, out: Annotated[Path, typer.Option()] = RESULTS) -> None:
    """Measure, print, and write the result with the machine it was measured on."""
    with tempfile.TemporaryDirectory() as folder:
        stock = _stock(Path(folder))
    began = thread_time()
    labels(stock)
    found: dict[str, Any] = {"items": len(stock), "rounds": rounds, "labels_cpu_ms": round((thread_time() - began) * 1000, 1)}
    given = {"none": [], **{kind: [one] for kind, one in ONE.items()}, "ten": TEN, "short": [SHORT]}
    policies = {name: _policy(rules) for name, rules in given.items()}
    request = RecommendationsRequest(learner_id="ana")
    took: dict[str, list[float]] = {name: [] for name in policies}
    for _ in range(rounds):
        for name, policy in policies.items():
            start = thread_time()
            rank(stock, request, LEARNER, (), at=AT, decision_id="d", policy=policy)
            took[name].append((thread_time() - start) * 1000)
    found |= {"cpu_ms": {name: round(median(times), 3) for name, times in took.items()}, "machine": machine()}
    out.write_text(json.dumps(found, indent=1) + "\n")
    typer.echo(json.dumps({name: found[name] for name in ("labels_cpu_ms", "cpu_ms")}, indent=1))


def _policy(rules: list[dict[str, Any]]) -> Policy:
    return Policy.model_validate({"rules": [{"id": f"r-{number}", **rule} for number, rule in enumerate(rules)]})


def _stock(folder: Path) -> Prepared:
    """Items of 200 providers, 50 skills, 40 topics and two languages, their popularity drawn; one seed."""
    rng = np.random.default_rng(1)
    items = {
        f"i-{n}": Item(
            id=f"i-{n}",
            title=f"Item {n}",
            provider=f"p-{n % 200}",
            skills={f"s-{n % 50}": 2, f"s-{n * 7 % 50}": 1},
            languages=("en",) if n % 3 else ("de",),
            attributes={"topic": f"t-{n % 40}"},
        )
        for n in range(ITEMS)
    }
    histories = Histories.of([np.unique((ITEMS * rng.random(9) ** 2).astype(int)).tolist() for _ in range(5_000)], ITEMS)
    table = Interactions.of_histories(histories)
    written = write_bundle(
        folder,
        tenant="benchmark",
        model=Popularity().fit(table, rng=rng),
        vocabulary=Vocabulary(list(items)),
        catalogue=Catalogue(items, {}, {}),
        audiences=("hall",),
        population={"popularity": table.item_counts().astype(np.float32)},
        provenance=Provenance(recipe={}, data_digest="d", split_digest="s", data_until=AT),
    )
    return prepare(load_bundle(written))


if __name__ == "__main__":
    typer.run(main)
