"""The company's items with providers, topics and languages, and a shorthand to rank them under rules."""

from pathlib import Path
from typing import Any

from acme import CUSTOMERS, ITEMS, LEARNERS, NOW, event, publish
from pydantic import TypeAdapter

from features.catalogue import Learner
from features.decisions import Decision
from features.duties import NOTHING, Assigned
from features.events import Event
from serving.payloads import RankRequest, RecommendationsRequest
from serving.pipeline import Ranked, ranked
from serving.policy import Policy
from serving.prepared import Prepared, prepare
from serving.rules.language import Rule
from training.bundle import load_bundle

ANA, BEN, OFF = LEARNERS
MORE: dict[str, dict[str, Any]] = {
    "calm": {"provider": "Nord", "attributes": {"topic": ("service", "voice")}, "aliases": ("calls",)},
    "data": {"provider": "Nord", "attributes": {"topic": "numbers"}, "languages": ("en", "de-AT")},
    "more": {"provider": "Nord", "prerequisites": (), "attributes": {"topic": "numbers"}},
    "safe": {"provider": "Sud", "skills": {"safety": 1}},
}
SHOP = tuple(item.model_copy(update=MORE.get(item.id, {})) for item in ITEMS)
"""By score: calm 4, data 2, more 1, safe 1; lead is for leaders, soon is not available."""
ADAPTER: TypeAdapter[Rule] = TypeAdapter(Rule)


def shop(folder: Path) -> Prepared:
    return prepare(load_bundle(publish(folder, items=SHOP)))


def rule(kind: str, name: str = "r", **fields: Any) -> Rule:
    return ADAPTER.validate_python({"id": name, "kind": kind, **fields})


def exclude(name: str = "r", *, audiences: tuple[str, ...] = (), **match: Any) -> Rule:
    return rule("exclude", name, audiences=audiences, match=match)


def decided(
    stock: Prepared,
    *rules: Rule,
    asked: tuple[Rule, ...] = (),
    learner: Learner | None = ANA,
    events: tuple[Event, ...] = (),
    assigned: Assigned = NOTHING,
    **more: Any,
) -> Ranked:
    """Without a coin, unless `epsilon` says otherwise."""
    policy = Policy(
        **{"epsilon": 0.0, **{name: more.pop(name) for name in list(more) if name in Policy.model_fields}, "rules": rules}
    )
    decision_id, at = more.pop("decision_id", "d-1"), more.pop("at", NOW)
    kind = RankRequest if "candidates" in more else RecommendationsRequest
    request = kind(learner_id="ana", rules=asked, **more)
    return ranked(stock, request, learner, events, at=at, decision_id=decision_id, policy=policy, assigned=assigned)


def slate(decision: Decision | Ranked) -> list[str]:
    found = decision.decision if isinstance(decision, Ranked) else decision
    return [item.item_id for item in found.slate]


__all__ = ["ANA", "BEN", "CUSTOMERS", "NOW", "OFF", "SHOP", "decided", "event", "exclude", "rule", "shop", "slate"]
