"""The few experiments of `benchmarks.calibrate` that go all the way: through ranking, decisions, the store and the report."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from experiments.assignment.phases import read_record, record_file
from experiments.inference.estimates import Estimate
from experiments.simulate.scenario import SCENARIOS
from experiments.simulate.trial import Place, run
from experiments.stored import read_stored
from features.catalogue import Catalogue
from features.events import Verb
from features.interactions import Histories, Interactions
from features.lake import materialize
from features.store import EventStore
from features.synthetic.organisation import generate
from features.synthetic.parameters import Parameters, load
from features.vocabulary import Vocabulary
from training.bundle import Pointer, Provenance, write_bundle, write_pointer
from training.models.popularity import Popularity

TENANT = "demo"


def small(learners: int = 100) -> Parameters:
    """The embedded organisation with few learners, and as many slates and single duties less."""
    found = load()
    share = learners / found.people.learners
    return found.model_copy(
        update={
            "people": found.people.model_copy(update={"learners": learners}),
            "recommending": found.recommending.model_copy(update={"slates": round(found.recommending.slates * share)}),
            "duties": found.duties.model_copy(update={"individual": round(found.duties.individual * share)}),
        }
    )


def publish(shape: Parameters, bundles: Path) -> None:
    """Popularity over the organisation's catalogue as the tenant's champion."""
    organisation = generate(shape)
    items = {item.id: item for item in organisation.items}
    vocabulary = Vocabulary.of(items)
    taken = [[vocabulary.index(one.object_id)] for one in organisation.events if one.verb is Verb.STARTED]
    interactions = Interactions.of_histories(Histories.of(taken, n_items=len(items)))
    written = write_bundle(
        bundles / TENANT,
        tenant=TENANT,
        model=Popularity().fit(interactions, rng=np.random.default_rng(1)),
        vocabulary=vocabulary,
        catalogue=Catalogue(items=items, skills={}, roles={}),
        audiences=(),
        population={"popularity": interactions.item_counts().astype(np.float32)},
        provenance=Provenance(recipe={}, data_digest=interactions.digest(), split_digest="none"),
    )
    write_pointer(bundles, TENANT, Pointer(bundle=written.name, previous=None))


@cache
def _published(learners: int) -> Path:
    bundles = Path(tempfile.mkdtemp(prefix="nextwise-calibrate-"))
    publish(small(learners), bundles)
    return bundles


def trial(name: str, seed: int, learners: int) -> tuple[str, bool, bool]:
    """An experiment of a scenario: its verdict, whether the primary's interval leaves zero out, and whether all checks passed.

    The organisation is the same for all seeds; who comes, is shown what, and chooses what, is another.
    """
    bundles = _published(learners)
    with tempfile.TemporaryDirectory(prefix="nextwise-trial-") as folder:
        place = Place(Path(folder), bundles, TENANT)
        run(SCENARIOS[name], place, small(learners), days=28, seed=seed)
        store = EventStore.open(place.store)
        materialize(store.tenant(TENANT), place.folder / "lake")
        store.close()
        reading = read_stored(place.folder / "lake", read_record(record_file(place.records, TENANT, name)))
    found = reading.of("primary")[0].found if reading.comparisons else None
    return reading.verdict.kind, isinstance(found, Estimate) and found.excludes(0), not reading.health.failed
