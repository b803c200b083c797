"""A learner nobody has seen: their role and unit, what they say they can, and nothing of either where they want none of it."""

from dataclasses import replace

import numpy as np
import pytest
from acme import CUSTOMERS, LEARNERS, NOW, event

from features.catalogue import Learner
from features.decisions import Decision
from features.events import Event, Verb
from features.interactions import Histories, Interactions
from features.store import EventStore
from serving.payloads import RankRequest, RecommendationsRequest
from serving.pipeline import BUNDLE_UNAVAILABLE, MODEL_FAILED, rank
from serving.policy import Policy
from serving.prepared import Prepared
from serving.replay import replay
from training.models.catalogue_order import FittedCatalogueOrder
from training.models.segments import Segments

ANA = LEARNERS[0]
SURE = Policy(epsilon=0.0, gap_share=0.5)


def ask(stock: Prepared, learner: Learner | None = ANA, *events: Event, fallback: str | None = None) -> Decision:
    request = RecommendationsRequest(learner_id="ana", limit=3)
    return rank(stock, request, learner, events, at=NOW, decision_id="d", policy=SURE, fallback=fallback)


def order(stock: Prepared, *events: Event, learner: Learner = ANA) -> list[str]:
    """What `/v1/rank` makes of calm, data and safe."""
    request = RankRequest(learner_id="ana", candidates=("safe", "data", "calm"))
    found = rank(stock, request, learner, events, at=NOW, decision_id="d", policy=SURE)
    return [item.item_id for item in found.slate]


def says(skill: str, level: float, verb: Verb = Verb.KNOWN) -> Event:
    return event("ana", verb, f"skill:{skill}", context={"level": level}, at=NOW)


@pytest.fixture
def grouped(stock: Prepared) -> Prepared:
    """Agents take up data, everybody else calm, the depot safe; both groups known to the bundle."""
    rows, role, unit = [(1,)] * 6 + [(0,)] * 9 + [(3,)] * 4, [0] * 6 + [-1] * 13, [-1] * 15 + [0] * 4
    table = Interactions.of_histories(Histories.of(rows, len(stock), role=role, org_unit=unit))
    fitted = Segments(prior=1).fit(table, rng=np.random.default_rng(0))
    manifest = stock.bundle.manifest.model_copy(update={"roles": ("agent",), "org_units": ("depot",)})
    return replace(stock, bundle=replace(stock.bundle, manifest=manifest)).with_model(fitted)


def test_a_new_learner_gets_what_their_role_or_unit_takes_up_and_is_told_so(grouped: Prepared) -> None:
    first = {name: ask(grouped, learner).slate[0] for name, learner in SOME.items()}
    assert {name: item.item_id for name, item in first.items()} == {"agent": "data", "depot": "safe", "nobody": "calm"}
    assert "Popular in your role, Agent" in first["agent"].reasons
    assert first["depot"].reasons == ("Popular in your unit, depot",)
    assert first["nobody"].reasons == ("Popular in your organisation",)


SOME = {
    "agent": Learner(id="ana", role_id="agent"),
    "depot": Learner(id="ana", org_unit="depot"),
    "nobody": Learner(id="ana", role_id="smith", org_unit="elsewhere"),
}


def test_with_personalisation_off_neither_role_nor_unit_counts(grouped: Prepared) -> None:
    off = Learner(id="ana", role_id="agent", org_unit="depot", audiences=(CUSTOMERS,), personalisation=False)
    assert [item.item_id for item in ask(grouped, off).slate] == [item.item_id for item in ask(grouped, None).slate]
    assert ask(grouped, off, says("listening", 2)).slate == ask(grouped, off).slate


def test_what_a_learner_knows_already_does_not_lead_and_what_the_role_lacks_does(stock: Prepared) -> None:
    assert order(stock) == ["calm", "data", "safe"]
    knows = [says("listening", 4, Verb.ATTESTED)]
    assert order(stock, *knows) == ["data", "safe", "calm"]
    found = ask(stock, ANA, *knows)
    assert found.slate[0].source == "gaps"
    assert found.slate[0].reasons[0] == "Your role expects Analysis at level 2; your record shows 0"
    assert found.slate[-1].item_id == "calm"
    assert "Your record shows what it teaches" in found.slate[-1].reasons


def test_a_claim_counts_up_to_the_level_that_claims_count(stock: Prepared) -> None:
    """Listening at 5 is believed up to 2: calm, at 3, still teaches something."""
    found = ask(stock, ANA, says("listening", 5))
    assert found.rows[0].items[0].item_id in ("calm", "data")
    assert all("what it teaches" not in reason for item in found.slate for reason in item.reasons)


def test_the_parts_add_up_to_the_score(stock: Prepared) -> None:
    for item in ask(stock, ANA, says("listening", 4, Verb.ATTESTED)).slate:
        assert sum(item.parts.values()) == pytest.approx(item.score, abs=1e-5)
        assert set(item.parts) == {"popularity", "gaps"}


def test_gaps_come_first_where_skills_are_all_that_is_known(stock: Prepared) -> None:
    wide = RecommendationsRequest(learner_id="ana", limit=1)
    policy = Policy(epsilon=0.0, gap_share=1.0)
    tall = replace(stock, table=replace(stock.table, levels=stock.table.levels.copy()))
    tall.table.levels[3] = 0
    popular = tall.with_model(type(stock.bundle.model)(np.array([0, 0, 0, 90, 0, 0], dtype=np.float32)))  # type: ignore[call-arg]
    found = rank(popular, wide, ANA, (says("listening", 1),), at=NOW, decision_id="d", policy=policy)
    assert found.rows[0].title == "For your role's gaps"


def test_a_take_up_or_a_failing_model_ends_it(stock: Prepared) -> None:
    knows = says("listening", 4, Verb.ATTESTED)
    assert order(stock, knows, event("ana", Verb.STARTED, "safe"))[0] == "calm"
    failed = ask(stock, ANA, knows, fallback=MODEL_FAILED)
    assert all(set(item.parts) == {"popularity"} for item in failed.slate)
    champion = ask(stock, ANA, knows, fallback=BUNDLE_UNAVAILABLE)  # in the place of an arm's bundle: as it always ranks
    assert champion.rows == ask(stock, ANA, knows).rows != failed.rows


def test_a_logged_decision_on_declared_skills_is_replayed_equal(stock: Prepared, store: EventStore) -> None:
    session = store.tenant("acme")
    session.append([says("listening", 4, Verb.ATTESTED)])
    events = session.history("ana")
    logged = ask(stock, session.learner("ana"), *events)
    assert logged.events_read
    again = replay(session, stock, SURE, logged)
    assert again.model_copy(update={"stages_ms": logged.stages_ms}) == logged


def test_before_anything_was_taken_up_the_catalogue_leads_and_the_role_still_counts(stock: Prepared) -> None:
    untaken = replace(stock, table=replace(stock.table, popularity=np.zeros(len(stock), dtype=np.float32)))
    started = untaken.with_model(FittedCatalogueOrder.of(stock.bundle.catalogue, stock.bundle.vocabulary))
    found = ask(started, None)
    assert [(row.title, [item.item_id for item in row.items]) for row in found.rows] == [
        ("From the catalogue", ["calm", "data", "safe"])
    ]
    assert found.slate[2].reasons == ("New here: nobody has taken it up yet",)
    assert ask(started, ANA, says("listening", 4, Verb.ATTESTED)).slate[0].item_id == "data"
