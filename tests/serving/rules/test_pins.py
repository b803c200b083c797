"""Pins: what comes first on a page, where nothing keeps it away."""

from shop import BEN, CUSTOMERS, NOW, decided, event, exclude, rule, slate

from features.catalogue import Assignment
from features.decisions import RowKind
from features.duties import Assigned, Duty
from features.events import Verb
from serving.payloads import RowIn
from serving.prepared import Prepared

PIN = rule("pin", items=["safe", "more", "gone"], audiences=[CUSTOMERS])


def test_pinned_items_come_first_in_the_order_of_the_rule_and_chance_has_no_say(house: Prepared) -> None:
    found = decided(house, PIN, epsilon=0.9).decision
    row = found.rows[0]
    assert (row.title, row.row, [item.item_id for item in row.items]) == ("Selected for you", "pinned", ["safe", "more"])
    assert {(item.propensity, item.source, item.reasons[0]) for item in row.items} == {
        (1.0, "pinned", "Your organisation puts it first")
    }
    assert sorted(slate(found)) == ["calm", "data", "more", "safe"]
    assert slate(decided(house, PIN, learner=BEN))[0] == "calm"


def test_a_pin_gives_way_to_whatever_keeps_an_item_from_the_learner(house: Prepared) -> None:
    done = (event("ana", Verb.COMPLETED, "safe"),)
    assert slate(decided(house, PIN, events=done)) == ["more", "calm", "data"]
    assert slate(decided(house, PIN, exclude("x", items=["more"]))) == ["safe", "calm", "data"]
    assert slate(decided(house, rule("pin", items=["lead", "soon"]))) == ["calm", "data", "more", "safe"]
    begun = decided(house, PIN, events=(event("ana", Verb.STARTED, "safe"),), limit=8).decision
    assert [(row.row, row.items[0].item_id) for row in begun.rows][:2] == [("pinned", "more"), ("continue", "safe")]


def test_duties_come_before_and_each_item_once(house: Prepared) -> None:
    duty = Duty(Assignment(id="d", item_id="safe", learner_id="ana", mandatory=True), NOW)
    found = decided(house, PIN, assigned=Assigned((duty,), (), {}, NOW)).decision
    assert [(row.row, [item.item_id for item in row.items]) for row in found.rows] == [
        ("mandatory", ["safe"]),
        ("pinned", ["more"]),
        ("recommended", ["calm", "data"]),
    ]


def test_no_more_are_pinned_than_were_asked_for_and_asked_rows_have_theirs(house: Prepared) -> None:
    assert slate(decided(house, PIN, limit=1)) == ["safe"]
    rows = (RowIn(row=RowKind.RECOMMENDED, limit=2), RowIn(row=RowKind.PINNED))
    assert slate(decided(house, PIN, rows=rows)) == ["calm", "data", "safe", "more"]


def test_the_callers_own_candidates_stay_in_order(house: Prepared) -> None:
    assert slate(decided(house, PIN, candidates=("more", "calm"))) == ["calm", "more"]
