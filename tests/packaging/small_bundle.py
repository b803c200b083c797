"""Publish a tiny popularity bundle and an event store for it: what the packaging check serves.

python tests/packaging/small_bundle.py STATE_FOLDER BUNDLES_FOLDER
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from features.catalogue import Catalogue, Item, Learner
from features.interactions import Histories, Interactions
from features.store import EventStore
from features.vocabulary import Vocabulary
from training.bundle import Pointer, Provenance, write_bundle, write_pointer
from training.models.popularity import Popularity

TITLES = {"welcome": "Welcome aboard", "tables": "Tables that others can read", "feedback": "Feedback that helps"}


def main(state: Path, bundles: Path) -> None:
    """Three items, two learners with histories, one learner to ask for."""
    items = {item_id: Item(id=item_id, title=title) for item_id, title in TITLES.items()}
    vocabulary = Vocabulary.of(items)
    interactions = Interactions.of_histories(Histories.of([[0, 1], [1]], n_items=3))
    folder = write_bundle(
        bundles / "demo",
        tenant="demo",
        model=Popularity().fit(interactions, rng=np.random.default_rng(1)),
        vocabulary=vocabulary,
        catalogue=Catalogue(items=items, skills={}, roles={}),
        audiences=(),
        population={"popularity": interactions.item_counts().astype(np.float32)},
        provenance=Provenance(recipe={}, data_digest=interactions.digest(), split_digest="none"),
    )
    write_pointer(bundles, "demo", Pointer(bundle=folder.name, previous=None))
    state.mkdir(parents=True, exist_ok=True)
    store = EventStore.open(f"sqlite:///{state / 'events.db'}")
    store.tenant("demo").put([*items.values(), Learner(id="L1")], at=datetime.now(UTC))
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
