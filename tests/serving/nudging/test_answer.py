"""Nudges through the whole service: what is said, what withholds it, what is recorded, and two requests at once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import KEY, LEARNERS, NOW, TENANT, event
from starlette.testclient import TestClient

from features.catalogue import Assignment, Item, Learner
from features.decisions import Decision
from features.events import Verb
from features.nudges import Arm, Channel, Choice, Limit, NudgeChoice
from features.store import EventStore
from serving import service
from serving.client import Client
from serving.nudging.payloads import NudgeIn
from serving.nudging.policy import draw
from serving.replay import replay
from serving.runtime import Runtime
from serving.settings import Settings

DAY = timedelta(days=1)
ASKED = {"learner_id": "ana", "channel": "slack"}
DUTY = Assignment(id="duty", item_id="safe", learner_id="ana", due_at=NOW + 3 * DAY)
SURE = "[nudges]\nholdout = 0\nfloor = 0.000001\n"
"""A policy that leaves next to nothing to chance."""
AT_ONCE = SURE + "least_hours_between = 0\n"


@pytest.fixture
def serving(settings: Settings, store: EventStore, tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Starts the service with a policy, at a moment."""
    opened: list[TestClient] = []

    def start(policy: str = SURE, now: Callable[[], datetime] = lambda: NOW) -> TestClient:
        path = tmp_path / "policy.toml"
        path.write_text(policy)
        service.pages.runtime = Runtime(settings.model_copy(update={"policy": path}), clock=now)
        opened.append(TestClient(service.Nextwise.to_asgi(), headers=KEY))
        return opened[-1].__enter__()

    yield start
    for one in opened:
        one.__exit__(None, None, None)


def said(client: TestClient, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/nudge", json=ASKED | more)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def stored(store: EventStore, answer: dict[str, Any]) -> Decision:
    found = store.tenant(TENANT).decision(answer["decision_id"])
    assert found is not None
    return found


def test_a_deadline_is_said_with_what_a_card_needs_and_recorded(serving: Callable[..., TestClient], store: EventStore) -> None:
    store.tenant(TENANT).put([DUTY], at=NOW - DAY)
    client = serving()
    answer = said(client)
    assert {name: answer[name] for name in ("arm", "withheld", "next_allowed_at", "reason", "channel", "fallback")} == {
        "arm": "deadline",
        "withheld": None,
        "next_allowed_at": None,
        "reason": "Fire safety is due on 2026-06-04",
        "channel": "slack",
        "fallback": None,
    }
    assert answer["item"] == {"item_id": "safe", "title": "Fire safety", "minutes": 15.0}
    assert (answer["skill"], answer["assignment_id"], answer["due_at"]) == (None, "duty", "2026-06-04T12:00:00Z")
    assert answer["propensity"] == pytest.approx(1 - 1e-6)
    decision = stored(store, answer)
    assert (decision.kind, decision.surface, decision.candidates) == ("nudge", "slack", {"deadline": 1})
    assert decision.nudge is not None
    assert draw(decision.nudge.offered, decision.randomisation.seed) == decision.nudge.arm == Arm.DEADLINE
    assert decision.policy == answer["policy"] == service.pages.runtime.policy.nudges.digest
    assert [one.decision_id for one in store.tenant(TENANT).nudges("ana", since=NOW - DAY)] == [answer["decision_id"]]
    assert said(client)["arm"] == "nothing"  # it was said just now


def test_an_item_that_no_bundle_knows_has_its_title_in_answer_and_card(
    serving: Callable[..., TestClient], store: EventStore
) -> None:
    push = Item(id="push", title="New protocol", duration_s=300)
    store.tenant(TENANT).put([push, DUTY.model_copy(update={"item_id": "push"})], at=NOW - DAY)
    answer = said(serving(), format="plain")
    assert answer["item"] == {"item_id": "push", "title": "New protocol", "minutes": 5.0}
    assert answer["card"]["headline"] == "To do: New protocol"


def test_what_the_catalogue_does_not_have_is_not_spoken_of(serving: Callable[..., TestClient], store: EventStore) -> None:
    store.tenant(TENANT).put([DUTY.model_copy(update={"item_id": "NOITEM"})], at=NOW - DAY)
    answer = said(serving())
    assert answer["arm"] == "nothing"
    assert stored(store, answer).removed == {"unknown_item": ("NOITEM",)}


def test_a_rule_in_the_policys_file_holds_for_nudges(
    serving: Callable[..., TestClient], store: EventStore, tmp_path: Path
) -> None:
    store.tenant(TENANT).put([DUTY.model_copy(update={"mandatory": False})], at=NOW - DAY)
    rule = '[[rules]]\nid = "no-safe"\nkind = "exclude"\nmatch = { items = ["safe"] }\n'
    client = serving(rule + SURE)
    assert said(client)["arm"] == "nothing"
    (tmp_path / "policy.toml").write_text(SURE)
    assert said(client)["arm"] == "deadline"


def test_what_a_nudge_was_about_counts_in_the_limits_of_rankings_and_is_replayed(
    serving: Callable[..., TestClient], store: EventStore
) -> None:
    limit = '[[rules]]\nid = "week"\nkind = "limit"\nmost = 1\ndays = 7\n'
    store.tenant(TENANT).put([DUTY.model_copy(update={"mandatory": False})], at=NOW - DAY)
    client = serving("epsilon = 0\n" + limit + SURE)

    def shown() -> Decision:
        answer = client.post("/v1/rank", json={"learner_id": "ana", "candidates": ["calm", "data", "safe"]})
        return stored(store, answer.json())

    before = shown()
    assert ([one.item_id for one in before.slate], before.nudges_read) == (["calm"], ())
    nudge = said(client)
    after = shown()
    assert ([one.item_id for one in after.slate], after.nudges_read) == (["safe"], (nudge["decision_id"],))
    assert after.removed["rule:week"] == ("calm", "data")
    runtime = service.pages.runtime
    for decision in (before, after):
        made = replay(store.tenant(TENANT), runtime.stock(TENANT), runtime.policy, decision)
        assert made.slate == decision.slate
    why = client.post("/v1/explain", json={"learner_id": "ana", "items": ["calm"]}).json()["items"][0]
    assert why["rule"] == "rule:week"


def test_the_budget_of_the_week_is_over_all_channels(serving: Callable[..., TestClient], store: EventStore) -> None:
    duties = [Assignment(id=f"d{n}", item_id="safe", learner_id="ana", due_at=NOW + DAY * (n + 1)) for n in range(6)]
    store.tenant(TENANT).put(duties, at=NOW - DAY)
    client = serving(AT_ONCE)
    answers = [said(client, channel=channel) for channel in ("slack", "teams", "email", "push", "json")]
    assert [one["arm"] for one in answers] == ["deadline"] * 3 + ["nothing"] * 2
    assert [one["withheld"] for one in answers] == [None] * 3 + ["weekly_budget"] * 2
    assert answers[-1]["next_allowed_at"] == "2026-06-08T12:00:00Z"
    assert stored(store, answers[-1]).candidates == {"deadline": 1}


def test_requests_that_come_at_once_do_not_cross_the_budget(serving: Callable[..., TestClient], store: EventStore) -> None:
    duties = [Assignment(id=f"d{n}", item_id="safe", learner_id="ana", due_at=NOW + DAY) for n in range(12)]
    store.tenant(TENANT).put(duties, at=NOW - DAY)
    client = serving(AT_ONCE)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: said(client), range(12)))
    spoke = [one for one in answers if one["arm"] != "nothing"]
    assert len(spoke) == 3
    assert len({one["assignment_id"] for one in spoke}) == 3
    assert len(store.tenant(TENANT).nudges("ana", since=NOW - DAY)) == 3


def test_an_item_rests_for_as_long_as_the_policy_says(serving: Callable[..., TestClient], store: EventStore) -> None:
    duties = [Assignment(id=name, item_id="safe", learner_id="ana", due_at=NOW + DAY) for name in ("d1", "d2")]
    store.tenant(TENANT).put(duties, at=NOW - DAY)
    now = [NOW]
    client = serving(AT_ONCE + "item_rest_days = 3\n", lambda: now[0])
    assert said(client)["arm"] == "deadline"
    now[0] = NOW + 2 * DAY
    assert (said(client)["arm"], said(client)["withheld"]) == ("nothing", None)
    now[0] = NOW + 3 * DAY
    assert said(client)["arm"] == "deadline"


def test_a_choice_holds_from_the_next_request_on(serving: Callable[..., TestClient], store: EventStore) -> None:
    store.tenant(TENANT).put([DUTY], at=NOW - DAY)
    client = serving()
    times = {"occurred_at": NOW, "recorded_at": NOW}
    snooze = NudgeChoice(action_id="1", learner_id="ana", choice=Choice.SNOOZE, until=NOW + DAY, **times)  # type: ignore[arg-type]
    store.tenant(TENANT).choose_nudges(snooze)
    answer = said(client)
    assert (answer["withheld"], answer["next_allowed_at"]) == ("snoozed", "2026-06-02T12:00:00Z")
    store.tenant(TENANT).choose_nudges(snooze.model_copy(update={"action_id": "2", "choice": Choice.STOP, "until": None}))
    assert said(client)["withheld"] == "stopped"
    store.tenant(TENANT).choose_nudges(snooze.model_copy(update={"action_id": "3", "choice": Choice.RESUME, "until": None}))
    assert said(client)["arm"] == "deadline"


def test_berlin_in_the_week_when_summer_time_ends(serving: Callable[..., TestClient], store: EventStore) -> None:
    now = [datetime.fromisoformat("2027-10-29T06:30:00+00:00")]
    due = DUTY.model_copy(update={"due_at": now[0] + 6 * DAY, "urgent": True})
    store.tenant(TENANT).put([due, Learner(id="ana", timezone="Europe/Berlin")], at=NOW)
    client = serving(now=lambda: now[0])
    assert said(client)["arm"] == "deadline"
    now[0] = datetime.fromisoformat("2027-11-02T06:30:00+00:00")
    answer = said(client)
    assert (answer["arm"], answer["withheld"]) == ("nothing", "quiet_hours")
    assert answer["next_allowed_at"] == "2027-11-02T07:00:00Z"


def test_an_import_of_three_years_triggers_no_nudge(serving: Callable[..., TestClient], store: EventStore) -> None:
    things = [(Verb.STARTED, "data"), (Verb.COMPLETED, "calm"), (Verb.COMPLETED, "safe"), (Verb.ATTESTED, "skill:listening")]
    history = [
        event("ana", verb, thing, at=NOW - days * DAY, recorded_at=NOW, backfill=True, context={"level": 5})
        for days in range(1, 1_096, 15)
        for verb, thing in things
    ]
    store.tenant(TENANT).append(history)
    store.tenant(TENANT).put([DUTY.model_copy(update={"due_at": None})], at=NOW - DAY)
    answer = said(serving())
    assert (answer["arm"], answer["withheld"], answer["propensity"]) == ("nothing", None, 1.0)
    assert stored(store, answer).candidates == {}


def test_a_holdout_is_silent_and_recorded_as_such(serving: Callable[..., TestClient], store: EventStore) -> None:
    store.tenant(TENANT).put([DUTY], at=NOW - DAY)
    answer = said(serving("[nudges]\nholdout = 1\n"))
    assert (answer["arm"], answer["withheld"]) == ("nothing", "holdout")
    decision = stored(store, answer)
    assert (decision.arms, decision.candidates) == ({"nudge holdout": "holdout"}, {"deadline": 1})


@pytest.mark.parametrize(
    ("switch", "withheld"), [('killed_arms = ["deadline"]', None), (f'killed_tenants = ["{TENANT}"]', "killed")]
)
def test_kill_switches_silence_an_arm_or_a_tenant(
    serving: Callable[..., TestClient], store: EventStore, switch: str, withheld: str | None
) -> None:
    store.tenant(TENANT).put([DUTY], at=NOW - DAY)
    answer = said(serving(SURE + switch))
    assert (answer["arm"], answer["withheld"]) == ("nothing", withheld)


def test_somebody_the_catalogue_does_not_know_is_not_spoken_to(serving: Callable[..., TestClient]) -> None:
    assert said(serving(), learner_id="nobody")["withheld"] == "unknown_zone"


def test_nothing_is_said_while_the_store_is_down(
    serving: Callable[..., TestClient], store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.tenant(TENANT).put([DUTY], at=NOW - DAY)
    client = serving()
    with monkeypatch.context() as broken:
        broken.setattr("features.store.nudges.NudgeRows.nudges", lambda *_, **__: 1 / 0)
        answers = [said(client)]
    with monkeypatch.context() as broken:
        broken.setattr("features.store.nudges.NudgeRows.nudge", lambda *_, **__: 1 / 0)
        answers.append(said(client))
    assert [(one["arm"], one["withheld"], one["fallback"]) for one in answers] == [
        ("nothing", Limit.HISTORY_UNAVAILABLE, "history_unavailable")
    ] * 2
    assert stored(store, answers[0]).fallback == "history_unavailable"
    assert said(client)["arm"] == "deadline"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"channel": "fax"}, "channel"), ({"at": "2026-06-01T12:00:00Z"}, "at"), ({"learner_id": ""}, "learner_id")],
)
def test_a_wrong_request_names_its_field(client: TestClient, wrong: dict[str, Any], field: str) -> None:
    answer = client.post("/v1/nudge", json=ASKED | wrong)
    assert (answer.status_code, answer.json()["field"]) == (400, field)


def test_the_client_asks_as_a_host_does(client: TestClient) -> None:
    with Client("http://service", "test-key", http=client) as nextwise:
        answer = nextwise.nudge(NudgeIn(learner_id=LEARNERS[0].id, channel=Channel.JSON))
    assert (answer.arm, answer.propensity) == (Arm.NOTHING, 1)


def test_a_switch_in_the_policys_file_holds_from_the_next_request_on(
    serving: Callable[..., TestClient], store: EventStore, tmp_path: Path
) -> None:
    store.tenant(TENANT).put([DUTY], at=NOW - DAY)
    client = serving(SURE + "killed = true\n")
    assert said(client)["withheld"] == "killed"
    (tmp_path / "policy.toml").write_text(SURE)
    assert said(client)["arm"] == "deadline"
