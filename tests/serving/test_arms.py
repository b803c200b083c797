"""Experiments in the running service: who is in an arm is ranked by its policy or bundle, says so, and can be replayed."""

import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from acme import ITEMS, LEARNERS, NOW, TENANT, event, publish
from starlette.testclient import TestClient

from experiments.assignment.phases import record_file
from experiments.assignment.units import held_out
from experiments.design import design_of
from experiments.lifecycle import reallocate, start, stop
from features.decisions import Decision
from features.events import Verb
from features.store import EventStore
from serving import service
from serving.arms import Arms, Experiments
from serving.bundles import Bundles
from serving.nudging.settings import NudgeSettings
from serving.pipeline import BUNDLE_UNAVAILABLE
from serving.policy import Policy, changed
from serving.replay import replay
from serving.settings import Settings
from training.bundle import read_pointer

ANA = LEARNERS[0]
BOLD = {"policy": {"epsilon": 0.5}}
NEARLY_ALL = {"control": 0.0001, "treatment": 0.9999}
Start = Callable[..., str]


@pytest.fixture
def begin(settings: Settings) -> Start:
    """Starts an experiment that has nearly everybody in its treatment; its name."""

    def begin(name: str = "bolder", treatment: dict[str, Any] | None = None, **more: Any) -> str:
        given = {"name": name, "unit": "learner", "horizon_days": 14, "allocation": NEARLY_ALL, **more}
        given["variants"] = {} if treatment is None else {"treatment": treatment}
        design = design_of({"primary": {"metric": "completion", "relative": False}, **given}, "test")
        start(settings.experiments, TENANT, design, at=NOW)
        return name

    return begin


def ranked(client: TestClient, learner: str = "ana") -> dict[str, Any]:
    answer = client.post("/v1/recommendations", json={"learner_id": learner, "limit": 3})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def until(client: TestClient, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first answer of which it holds: bundles are looked at beside the requests."""
    for _ in range(100):
        if holds(answer := ranked(client)):
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never: {answer}")


def logged(store: EventStore, answer: dict[str, Any]) -> Decision:
    found = store.tenant(TENANT).decision(answer["decision_id"])
    assert found is not None
    return found


def beside(bundles: Path) -> tuple[str, str]:
    """The champion, and another bundle that lies beside it and never served."""
    made = publish(bundles.parent / "elsewhere", recipe={"n": 2})
    shutil.copytree(made, bundles / TENANT / made.name)
    return read_pointer(bundles, TENANT).bundle, made.name


def test_starting_reallocating_and_stopping_hold_from_the_next_request_on(
    client: TestClient, begin: Start, settings: Settings
) -> None:
    before = ranked(client)
    assert before["arms"] == {}
    begin(treatment=BOLD)
    inside = ranked(client)
    assert inside["arms"] == {"bolder": "treatment"}
    assert inside["policy"] == changed(Policy(), {"epsilon": 0.5}).digest != before["policy"]
    asked = client.post("/v1/rank", json={"learner_id": "ana", "candidates": ["calm"]}).json()
    assert asked["arms"] == {"bolder": "treatment"}
    reallocate(settings.experiments, TENANT, "bolder", at=NOW, allocation={"control": 0.9999, "treatment": 0.0001})
    control = ranked(client)
    assert (control["arms"], control["policy"]) == ({"bolder": "control"}, before["policy"])
    stop(settings.experiments, TENANT, "bolder", at=NOW + timedelta(days=1))
    after = ranked(client)
    assert (after["arms"], after["policy"]) == ({}, before["policy"])


def test_a_dry_run_goes_by_the_policy_of_the_learners_arm(client: TestClient, begin: Start) -> None:
    """At most one item in the treatment's slates, so that what a rule removes there is that one."""
    rule = {"id": "one", "kind": "limit", "most": 1}
    begin(treatment={"policy": {"rules": [rule], "epsilon": 0.0}})
    answer = ranked(client)
    assert answer["arms"] == {"bolder": "treatment"}
    asked = {"rules": [{"id": "r", "kind": "exclude", "match": {"items": ["calm"]}}]}
    found = client.post("/v1/rules:dry-run", json=asked).json()
    assert found["sample"]["as_recorded"] == found["sample"]["decisions"] == 1
    assert {one["item_id"] for one in found["items"]} == {"calm", "data"}


def test_an_exposure_is_what_was_decided_in_the_arm_and_nothing_else(
    client: TestClient, begin: Start, store: EventStore
) -> None:
    begin("rows", BOLD)
    begin("words", {"policy": {"nudges": {"floor": 0.1}}})
    row = logged(store, ranked(client))
    assert row.arms == {"rows": "treatment"}
    nudge = client.post("/v1/nudge", json={"learner_id": "ana", "channel": "slack"}).json()
    assert nudge["arms"] == {"nudge holdout": "nudged", "words": "treatment"}
    said = logged(store, nudge)
    assert (said.arms, said.policy) == (nudge["arms"], NudgeSettings(floor=0.1).digest)
    assert said.randomisation.epsilon == 0.1
    client.get("/v1/learners/ana/skills")  # what no arm changes is no exposure


def test_arms_that_do_not_differ_are_told_all_the_same(client: TestClient, begin: Start) -> None:
    begin("a-a")
    assert ranked(client)["arms"] == {"a-a": "treatment"}


def test_the_bundle_of_an_arm_ranks_and_the_champion_all_others(
    client: TestClient, begin: Start, bundles: Path, settings: Settings
) -> None:
    champion, other = beside(bundles)
    begin("model", {"bundle": other}, audience=["customer-care"])
    answer = until(client, lambda answer: answer["arms"] != {})
    assert (answer["arms"], answer["bundle"], answer["fallback"]) == ({"model": "treatment"}, other, None)
    outside = ranked(client, "ben")
    assert (outside["arms"], outside["bundle"]) == ({}, champion)
    explained = client.post("/v1/explain", json={"learner_id": "ana", "items": ["calm"]}).json()
    assert explained["bundle"] == other  # asked about now: by what would rank now
    stop(settings.experiments, TENANT, "model", at=NOW)
    assert ranked(client)["bundle"] == champion


def test_what_other_tenants_grant_is_read_for_the_bundle_of_an_arm(
    client: TestClient, begin: Start, bundles: Path, store: EventStore
) -> None:
    borrowed = ITEMS[0].model_copy(update={"granted_by": "other"})
    made = publish(bundles.parent / "elsewhere", items=(borrowed, *ITEMS[1:]))
    shutil.copytree(made, bundles / TENANT / made.name)
    store.tenant("other").put([ITEMS[0]], at=NOW - timedelta(days=9))
    store.grants().add("other", TENANT, at=NOW - timedelta(days=8), items=["calm"])
    begin("model", {"bundle": made.name})
    answer = until(client, lambda answer: answer["bundle"] == made.name)
    assert "calm" in [item["item_id"] for row in answer["rows"] for item in row["items"]]


def test_in_place_of_a_bundle_that_vanished_the_champion_ranks_and_says_so(
    client: TestClient, begin: Start, bundles: Path, store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    champion, other = beside(bundles)
    moved = shutil.move(bundles / TENANT / other, bundles.parent / "moved")
    begin("model", {"bundle": other})
    answer = until(client, lambda answer: answer["arms"] != {})
    assert (answer["arms"], answer["bundle"], answer["fallback"]) == ({"model": "treatment"}, champion, BUNDLE_UNAVAILABLE)
    explained = client.post("/v1/explain", json={"learner_id": "ana", "items": ["calm"]}).json()
    assert (explained["bundle"], explained["fallback"]) == (champion, BUNDLE_UNAVAILABLE)
    assert f"bundle {other} of an experiment cannot be loaded, the champion ranks" in caplog.text
    decision, stock = logged(store, answer), service.pages.runtime.stock(TENANT)
    again = replay(store.tenant(TENANT), stock, Policy(), decision)
    assert (again.rows, again.fallback) == (decision.rows, BUNDLE_UNAVAILABLE)
    shutil.move(moved, bundles / TENANT / other)
    assert until(client, lambda answer: answer["fallback"] is None)["bundle"] == other  # put back, it is found


def test_what_was_decided_in_arms_is_replayed_exactly(
    client: TestClient, begin: Start, bundles: Path, store: EventStore, settings: Settings
) -> None:
    _, other = beside(bundles)
    begin("model", {"bundle": other})
    begin("bolder", BOLD)
    store.tenant(TENANT).append([event("ana", Verb.COMPLETED, "data")])
    until(client, lambda answer: answer["bundle"] == other)
    decisions = [logged(store, ranked(client)) for _ in range(10)]
    runtime, session = service.pages.runtime, store.tenant(TENANT)
    for decision in decisions:
        assert decision.arms == {"bolder": "treatment", "model": "treatment"}
        stock = runtime.bundles.named(TENANT, decision.bundle)
        assert stock is not None
        again = replay(session, stock, runtime.arms.policy_of(decision, runtime.policy), decision)
        assert again.model_copy(update={"stages_ms": decision.stages_ms}) == decision
    assert any(item.source == "explore" for one in decisions for item in one.slate)
    stop(settings.experiments, TENANT, "bolder", at=NOW)  # what stopped can still be explained
    asked = {"learner_id": "ana", "decision_id": decisions[0].decision_id, "items": ["calm"]}
    assert client.post("/v1/explain", json=asked).json()["source"] == "replay"


def test_holdout_and_those_who_want_no_personalisation_are_in_no_arm(begin: Start, settings: Settings, stock: Any) -> None:
    begin(treatment=BOLD)
    arms = Arms(Experiments(settings.experiments), Bundles(settings.bundles))
    many = [f"l{n}" for n in range(400)]
    inside = {who for who in many if arms.treatment("ranking", TENANT, who, None, Policy(), stock).arms}
    assert set(many) - inside == {who for who in many if held_out("nudges", 0.05, TENANT, who, None)} != set()
    none = Policy(nudges=NudgeSettings(holdout=0))
    assert all(arms.treatment("ranking", TENANT, who, None, none, stock).arms for who in many)
    off = LEARNERS[2]
    assert arms.treatment("ranking", TENANT, off.id, off, none, stock).arms == {}
    assert arms.treatment("ranking", "other", "l0", None, none, stock).arms == {}


def test_until_its_bundles_are_looked_at_nobody_is_in_it(begin: Start, settings: Settings, bundles: Path, stock: Any) -> None:
    _, other = beside(bundles)
    begin("model", {"bundle": other})
    experiments = Experiments(settings.experiments)
    served = Bundles(bundles, experiments.bundles)
    arms, none = Arms(experiments, served), Policy(nudges=NudgeSettings(holdout=0))
    assert arms.treatment("ranking", TENANT, "ana", ANA, none, stock).arms == {}
    served.refresh()
    found = arms.treatment("ranking", TENANT, "ana", ANA, none, stock)
    assert (found.arms, found.stock.bundle.name) == ({"model": "treatment"}, other)
    stop(settings.experiments, TENANT, "model", at=NOW)
    served.refresh()
    assert served.named(TENANT, other) is None  # let go of


def test_kill_switches_hold_in_every_arm(begin: Start, settings: Settings, stock: Any) -> None:
    begin("words", {"policy": {"nudges": {"killed_arms": ["teach"]}}})
    arms = Arms(Experiments(settings.experiments), Bundles(settings.bundles))
    switched = Policy(nudges=NudgeSettings(holdout=0, killed=True, killed_arms=("quest",)))  # type: ignore[arg-type]
    found = arms.treatment("nudge", TENANT, "ana", ANA, switched, stock)
    assert found.arms == {"words": "treatment"}
    assert found.policy.nudges.killed
    assert found.policy.nudges.killed_arms == ("quest", "teach")


@pytest.mark.parametrize("field", ["killed", "killed_tenants", "calendar", "calendars", "holdout", "holdout_seed"])
def test_no_arm_changes_what_is_the_same_for_all(field: str) -> None:
    with pytest.raises(ValueError, match=f"nudges.{field}: kill switches, hours and holdout are the same in every arm"):
        changed(Policy(), {"nudges": {field: False}})


def test_in_a_record_that_was_edited_is_nobody(
    client: TestClient, begin: Start, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    begin(treatment=BOLD)
    begin("a-a")
    assert set(ranked(client)["arms"]) == {"bolder", "a-a"}
    path = record_file(settings.experiments, TENANT, "bolder")
    body = json.loads(path.read_text())
    body["phases"][0]["design"]["variants"]["treatment"]["policy"]["epsilon"] = 0.9
    path.with_suffix(".new").write_text(json.dumps(body))
    path.with_suffix(".new").replace(path)
    assert set(ranked(client)["arms"]) == {"a-a"}
    assert "its design was edited after it began" in caplog.text


def test_without_a_history_nobody_is_in_an_arm(client: TestClient, begin: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(treatment=BOLD)

    def down(*given: Any) -> Any:
        raise OSError("the store is down")

    monkeypatch.setattr(service.pages.runtime._storage, "read", down)
    answer = ranked(client)
    assert (answer["arms"], answer["fallback"]) == ({}, "history_unavailable")


def test_what_progress_is_worth_is_the_same_in_every_arm() -> None:
    with pytest.raises(ValueError, match="field progress"):
        changed(Policy(), {"progress": {"learned": 99}})


def test_a_record_that_is_edited_in_place_is_seen(client: TestClient, begin: Start, settings: Settings) -> None:
    """Only the folder's time was looked at, which an edit in place leaves alone."""
    begin(treatment=BOLD)
    path = record_file(settings.experiments, TENANT, "bolder")
    for file in (path, path.parent):
        os.utime(file, (1_700_000_000, 1_700_000_000))  # long ago: what is read now is kept
    assert ranked(client)["arms"] == {"bolder": "treatment"}
    said, folder = path.read_text(), os.stat(path.parent)
    with path.open("r+") as file:
        file.write(said.replace("0.9999", "0.9998"))
    os.utime(path.parent, ns=(folder.st_atime_ns, folder.st_mtime_ns))
    assert ranked(client)["arms"] == {}
    with path.open("r+") as file:
        file.write(said)
    assert ranked(client)["arms"] == {"bolder": "treatment"}
