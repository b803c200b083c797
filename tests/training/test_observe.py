"""Online against offline, end to end: decisions in the store, what was shown and taken up, the finding of the next refresh."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from nightly import ITEMS, NOW, TENANT, WALK, copy, event, walks

from features.decisions import Decision, Randomisation, Row, SlateItem
from features.events import Event, Verb
from features.store import EventStore
from training import observe

DECIDED = NOW + timedelta(days=1)
SHOWN = 1


def unseen(number: int) -> list[str]:
    """What a learner has not taken up of the club's items, in order."""
    return [name for name in ITEMS[number % 2 * WALK :][:WALK] if name not in dict(walks()[number][1])]


def slate(number: int, bundle: str, **more: Any) -> Decision:
    """The first items that are unseen, in order."""
    items = [
        SlateItem(item_id=name, position=place, score=1.0 - place, propensity=1.0, source="linear")
        for place, name in enumerate(unseen(number)[:SHOWN])
    ]
    body = {"decision_id": f"d-{bundle}-{number}", "tenant": TENANT, "learner_id": f"l{number:02d}", "decided_at": DECIDED}
    chance = Randomisation(epsilon=0.0, seed=0, support=0)
    made = {"bundle": bundle, "policy": "blend", "randomisation": chance, "rows": (Row(title="For you", items=tuple(items)),)}
    return Decision.model_validate(body | made | more)


def answered(number: int, item: str, bundle: str) -> list[Event]:
    """The slate was seen, and the item taken up a day later."""
    shown = [event(f"s{number}-{name}", f"l{number:02d}", name, DECIDED, Verb.SHOWN) for name in unseen(number)[:SHOWN]]
    shown = [one.model_copy(update={"decision_id": f"d-{bundle}-{number}"}) for one in shown]
    return [*shown, event(f"t{number}", f"l{number:02d}", item, DECIDED + timedelta(days=1))]


@pytest.mark.parametrize(
    ("hits", "drifted", "words"), [pytest.param(39, False, "online 0.975", marks=pytest.mark.slow), (3, True, "online 0.075")]
)
def test_slates_in_the_store_are_held_against_what_was_measured(
    tmp_path: Path, refreshed: Path, monkeypatch: pytest.MonkeyPatch, hits: int, drifted: bool, words: str
) -> None:
    """40 learners saw an item: `hits` of them take it up, the others something that was not there.

    Offline most next items are at the top, for the clubs walk in order.
    """
    site = copy(refreshed, tmp_path)
    bundle = site.serving()
    store = EventStore.open(site.places.store)
    session = store.tenant(TENANT)
    old = [slate(number, bundle, decision_id=f"older-{number}") for number in range(40)]
    mine = [slate(number, bundle) for number in range(40)]
    others = [slate(number, "0" * 16) for number in range(40)]  # of another bundle, and of a fallback: neither counts
    lost = [slate(number, bundle, decision_id=f"f-{number}", fallback="popular") for number in range(40)]
    session.record([*old, *mine, *others, *lost])
    store.close()
    events: list[Event] = []
    for number in range(40):
        item = unseen(number)[0] if number < hits else ITEMS[(number + 1) % 2 * WALK]  # the first one of the other club
        events += answered(number, item, bundle)
    site.append(events)

    read: list[int] = []
    monkeypatch.setattr(observe, "DECISIONS_READ", 120)  # the older ones are not read
    real = observe.answers
    monkeypatch.setattr(observe, "answers", lambda slates, *rest: read.append(len(slates)) or real(slates, *rest))
    found = site.refresh()
    assert read == [40]
    assert found.drift is not None
    recall = next(one for one in found.drift["findings"] if one["name"] == "recall at 1, online against offline")
    assert recall["drifted"] == drifted
    assert words in recall["words"]
    assert recall["detail"]["online by position"] == [hits / 40]
