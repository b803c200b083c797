"""An item that appears after the fit: the champion is issued anew, without one, and the item is recommended with its reason."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from acme import CUSTOMERS, NOW, TENANT, event

from features.catalogue import Catalogue, Item
from features.events import Verb
from features.interactions import Histories, Interactions
from features.side import SideInformation
from features.vocabulary import Vocabulary
from serving.payloads import RecommendationsRequest
from serving.pipeline import rank
from serving.policy import Policy
from serving.prepared import prepare
from training.bundle import Bundle, Provenance, load_bundle, write_bundle
from training.fit import Table
from training.models.blend import Blend
from training.models.linear import Linear
from training.models.popularity import Popularity
from training.models.probability import Calibration
from training.models.similarity import Similarity
from training.reissue import renewed

TOPICS = ("cooking", "budgets")
OLD = tuple(
    Item(id=f"{topic}-{n}", title=f"{topic.title()} {n}", attributes={"topic": topic}) for topic in TOPICS for n in range(4)
)
NEW = Item(id="a-new-one", title="Brand new", attributes={"topic": "budgets"})
"""Its id comes before all others in sorted order: it must not take the place of one of them."""


def table(*items: Item) -> Table:
    """Learners keep to one topic. Rows of the table are those of the sorted ids, as a lake has them."""
    ids = Vocabulary.of(item.id for item in items)
    taken = [[f"{topic}-{(start + step) % 4}" for step in range(3)] for topic in TOPICS for start in range(4)]
    rows = [[ids.index(item) for item in row if item in ids] for row in taken]
    return Table(TENANT, ids, Interactions.of_histories(Histories.of(rows, len(ids))), (CUSTOMERS,), catalogue(*items))


def catalogue(*items: Item) -> Catalogue:
    return Catalogue({item.id: item for item in items}, {}, {})


def sides(of: Table, encoder: str | None) -> SideInformation:
    text = None if encoder is None else np.ones((len(of.items), 2), dtype=np.float32)
    return SideInformation.of_catalogue(of.catalogue, of.items, text=text)


@pytest.fixture
def before(tmp_path: Path) -> Bundle:
    """A champion that was fitted before the new item appeared."""
    known = table(*OLD)
    parts = (Linear(ridge=1, next_ridge=1), Popularity(), Similarity().bind(sides(known, None)))
    weights = {"linear": 0.5, "popularity": 0.1, "similarity": 1}
    folder = write_bundle(
        tmp_path,
        tenant=TENANT,
        model=Blend(parts=parts, weights=weights).fit(known.interactions, rng=np.random.default_rng(0)),
        vocabulary=known.items,
        catalogue=known.catalogue,
        audiences=known.audiences,
        population={"popularity": known.interactions.item_counts().astype(np.float32)},
        provenance=Provenance(recipe={"models": {"content": {"encoder": "words"}}}, data_digest="d", split_digest="s"),
    )
    return load_bundle(folder)


def recommended(bundle: Bundle, *taken: str) -> dict[str, tuple[str, ...]]:
    """What is shown to a learner of this history, the best first, and why."""
    events = tuple(event("ana", Verb.COMPLETED, item) for item in taken)
    request, policy = RecommendationsRequest(learner_id="ana"), Policy(epsilon=0.0)
    decision = rank(prepare(bundle), request, None, events, policy=policy, at=NOW, decision_id="d", fallback=None)
    return {shown.item_id: shown.reasons for shown in decision.slate}


def test_a_new_item_is_recommended_after_a_reissue_with_an_honest_reason(before: Bundle, tmp_path: Path) -> None:
    now = table(*OLD, NEW)
    after = load_bundle(renewed(tmp_path / "after", before, now, lambda encoder: sides(now, encoder)))
    assert after.vocabulary.ids == (*before.vocabulary.ids, NEW.id)
    assert NEW.id not in recommended(before, "budgets-0", "budgets-1")
    shown = recommended(after, "budgets-0", "budgets-1")
    assert list(shown).index(NEW.id) < min(list(shown).index(f"cooking-{n}") for n in range(4))
    assert shown[NEW.id] == ("Related to Budgets 1", "New here: nobody has taken it up yet")
    cooking = recommended(after, "cooking-0", "cooking-1")
    assert next(iter(cooking)).startswith("cooking")
    assert list(cooking).index(NEW.id) > list(cooking).index("cooking-2")


def test_what_the_old_items_score_by_their_take_ups_stays_as_it_was(before: Bundle, tmp_path: Path) -> None:
    now = table(*OLD, NEW)
    after = load_bundle(renewed(tmp_path / "after", before, now, lambda encoder: sides(now, encoder)))
    histories = [[0, 1], [5]]
    for name in ("linear", "popularity"):
        old, new = (
            bundle.model.parts[name].score(Histories.of(histories, len(bundle.vocabulary)))  # type: ignore[attr-defined]
            for bundle in (before, after)
        )
        np.testing.assert_allclose(new[:, : len(OLD)], old, rtol=1e-6)


def test_a_new_item_in_a_history_and_one_that_left_the_catalogue_mislead_nobody(before: Bundle, tmp_path: Path) -> None:
    now = table(*OLD[1:], NEW)  # cooking-0 has left, and stays in the vocabulary
    now = replace(now, interactions=Interactions.of_histories(Histories.of([[now.items.index(NEW.id)]], len(now.items))))
    after = load_bundle(renewed(tmp_path / "after", before, now, lambda encoder: sides(now, encoder)))
    assert after.population["popularity"][after.vocabulary.index(NEW.id)] == 1
    shown = recommended(after, "cooking-0", NEW.id)
    assert "cooking-0" not in shown
    assert NEW.id not in shown
    assert next(iter(shown)).startswith("budgets")


def test_a_model_that_knows_take_ups_alone_keeps_its_items(before: Bundle, tmp_path: Path) -> None:
    now = table(*OLD, NEW)
    plain = replace(before, model=Popularity().fit(table(*OLD).interactions, rng=np.random.default_rng(0)))
    after = load_bundle(renewed(tmp_path / "after", plain, now, lambda encoder: sides(now, encoder)))
    assert after.vocabulary.ids == before.vocabulary.ids
    assert NEW.id in after.catalogue.items


def test_a_reissue_keeps_the_map_to_probabilities(before: Bundle, tmp_path: Path) -> None:
    calibration = Calibration(2.0, np.array([[-8.0, -9.0], [0.0, -1.0]], dtype=np.float32))
    now = table(*OLD, NEW)
    after = load_bundle(renewed(tmp_path, replace(before, calibration=calibration), now, lambda encoder: sides(now, encoder)))
    assert after.calibration is not None
    assert after.calibration.temperature == 2.0
    np.testing.assert_array_equal(after.calibration.knots, calibration.knots)
