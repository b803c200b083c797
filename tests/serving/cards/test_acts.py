"""What a learner answers through a link, on both databases: done once, by whoever has the link, and by nobody else."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from acme import KEY, LEARNERS, NOW, TENANT, Clock
from decided import decision, nudge
from messages import HOSTILE, PUBLIC, SECRET, SIGNER
from pydantic import SecretStr
from starlette.testclient import TestClient

from features.catalogue import Item, Learner, Skill
from features.nudges import Arm, Choice, NudgeChoice
from features.store import EventStore
from features.store.opening import connect
from features.store.tables import METADATA
from features.store.wall import across
from serving import service
from serving.cards.acts import SNOOZE
from serving.cards.links import LIFE, Action, Link, token
from serving.claims import Claim, Signer, TokenScope
from serving.rates import Rates
from serving.runtime import TOKEN_PER_S, Runtime, StoreDownError
from serving.settings import Settings
from serving.strangers import Strangers

PATH = "/nudges/act"
URL = "https://lms.example/calm?from=card"
CALM = Item(id="calm", title="Calm calls", skills={"listening": 3}, attributes={"url": URL})
BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9", "Accept-Language": "fr-CH, de;q=0.8"}
ENDS = int((NOW + LIFE).timestamp())
SAID = nudge(Arm.APPLY, item_id="calm", skill_id="listening")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(store_url: str) -> Iterator[EventStore]:
    """A store in which ana was told of something, and so was somebody of another tenant."""
    opened = EventStore.open(store_url)
    ana = Learner(id="ana", languages=("de", "en"), timezone="Europe/Berlin", role_id="agent")
    opened.tenant(TENANT).put([ana, *LEARNERS[1:], CALM, Skill(id="listening", name="Zuhören")], at=NOW - timedelta(days=30))
    opened.tenant(TENANT).record([decision(SAID)])
    opened.tenant("bolt").record([decision(SAID, "theirs", "bo", "bolt")])
    yield opened
    opened.close()


@pytest.fixture
def client(settings: Settings, people: EventStore, store_url: str, clock: Clock) -> Iterator[TestClient]:
    more = {"store": store_url, "public_url": PUBLIC, "token_secret": SecretStr(SECRET)}
    service.pages.runtime = Runtime(settings.model_copy(update=more), clock=clock)
    runtime = service.pages.runtime  # rates go by the test's clock: a slow machine gives no more room
    runtime.token_rates = Rates(TOKEN_PER_S, timer=lambda: clock.now.timestamp())
    runtime.link_strangers = Strangers(timer=lambda: clock.now.timestamp())
    with TestClient(service.Nextwise.to_asgi(), follow_redirects=False) as opened:
        yield opened


def link(action: Action, decision_id: str = "d1", tenant: str = TENANT, ends: int = ENDS) -> str:
    return token(SIGNER, Link(tenant, decision_id, action, ends))


def look(client: TestClient, text: str, **more: Any) -> Any:
    return client.get(PATH, params={"t": text}, **more)


def do(client: TestClient, text: str, **more: Any) -> Any:
    return client.post(PATH, params={"t": text}, **more)


def rows(url: str) -> dict[str, list[Any]]:
    """All that is stored, of all tenants."""
    engine, _ = connect(url, wait_s=10)
    with across(engine).connect() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in METADATA.sorted_tables
        }
    engine.dispose()
    return found


@pytest.mark.parametrize("action", Action)
def test_to_look_changes_nothing(client: TestClient, store_url: str, action: Action) -> None:
    before = rows(store_url)
    for _ in range(2):
        page = look(client, link(action))
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert client.head(PATH, params={"t": link(action)}).status_code == 200
    assert rows(store_url) == before
    assert page.text.count('<form method="post">') == 1


@pytest.mark.parametrize("action", Action)
def test_what_was_done_is_done_once_and_the_second_time_says_so(
    client: TestClient, store_url: str, clock: Clock, action: Action
) -> None:
    before = rows(store_url)
    first = do(client, link(action))
    done = rows(store_url)
    assert done != before
    for later in (timedelta(0), timedelta(hours=1), timedelta(days=20)):
        clock.now = NOW + later
        again = do(client, link(action, ends=ENDS + 5))
        assert rows(store_url) == done
        if action is Action.OPEN:
            assert (first.status_code, again.status_code, again.headers["location"]) == (303, 303, URL)
        else:
            assert (first.status_code, again.status_code) == (200, 200)
            assert "Das wurde schon beantwortet." not in first.text
            assert "Das wurde schon beantwortet. Es hat sich nichts geändert." in again.text


def test_open_leads_to_the_item_and_says_that_it_was_seen(client: TestClient, people: EventStore) -> None:
    answer = do(client, link(Action.OPEN))
    assert (answer.status_code, answer.headers["location"], answer.headers["referrer-policy"]) == (303, URL, "no-referrer")
    (event,) = people.tenant(TENANT).history("ana")
    assert (event.verb, event.object_id, event.decision_id, event.context) == ("shown", "calm", "d1", {"nudge": "open"})


def test_later_is_a_week_without_nudges(client: TestClient, people: EventStore) -> None:
    assert "Bis Montag, 8. Juni 2026, 14:00 Uhr kommt nichts." in do(client, link(Action.LATER)).text
    (choice,) = people.tenant(TENANT).nudge_choices("ana")
    assert (choice.choice, choice.until, choice.occurred_at) == (Choice.SNOOZE, NOW + SNOOZE, NOW)


def test_stop_holds_and_does_not_come_back_after_a_resume(client: TestClient, people: EventStore, clock: Clock) -> None:
    do(client, link(Action.STOP))
    session = people.tenant(TENANT)
    assert [one.choice for one in session.nudge_choices("ana")] == [Choice.STOP]
    moment = NOW + timedelta(hours=1)
    resumed = NudgeChoice(action_id="r", learner_id="ana", choice=Choice.RESUME, occurred_at=moment, recorded_at=moment)
    session.choose_nudges(resumed)
    clock.now = NOW + timedelta(hours=2)
    do(client, link(Action.STOP))
    assert [one.choice for one in session.nudge_choices("ana")] == [Choice.STOP, Choice.RESUME]


def test_not_relevant_is_feedback_and_the_item_stays_away(client: TestClient, people: EventStore) -> None:
    def shown() -> list[str]:
        answer = client.post("/v1/recommendations", json={"learner_id": "ana"}, headers=KEY)
        return [item["item_id"] for row in answer.json()["rows"] for item in row["items"]]

    assert "calm" in shown()
    do(client, link(Action.NOT_RELEVANT))
    (event,) = people.tenant(TENANT).history("ana")
    assert (event.verb, event.object_id, event.context) == ("dismissed", "calm", {"feedback": "not_relevant"})
    assert "calm" not in shown()


@pytest.mark.parametrize(("action", "verb", "success"), [(Action.HELPED, "known", None), (Action.NOT_YET, "answered", False)])
def test_whether_it_helped_is_the_learners_own_follow_up(
    client: TestClient, people: EventStore, action: Action, verb: str, success: bool | None
) -> None:
    do(client, link(action))
    (event,) = people.tenant(TENANT).history("ana")
    assert (event.verb, event.object_id, event.decision_id) == (verb, "skill:listening", "d1")
    assert (event.context["kind"], event.context["item"]) == ("follow_up", "calm")
    assert (None if event.result is None else event.result.success) is success


@pytest.mark.parametrize(
    "form",
    [
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b""},
    ],
)
def test_a_mail_program_stops_them_in_one_click_without_a_redirect(
    client: TestClient, people: EventStore, form: dict[str, Any]
) -> None:
    assert do(client, link(Action.STOP), **form).status_code == 200
    assert [one.choice for one in people.tenant(TENANT).nudge_choices("ana")] == [Choice.STOP]


def test_what_is_no_form_or_too_large_is_refused(client: TestClient, store_url: str) -> None:
    before = rows(store_url)
    assert do(client, link(Action.STOP), json={"List-Unsubscribe": "One-Click"}).status_code == 415
    assert do(client, link(Action.STOP), data={"x": "y" * 20_000}).status_code == 413
    assert client.put(PATH, params={"t": link(Action.STOP)}).status_code == 405
    assert rows(store_url) == before


def forged() -> dict[str, str]:
    good = link(Action.STOP)
    other = token(Signer(["o" * 32]), Link(TENANT, "d1", Action.STOP, ENDS))
    claim = Claim(tenant=TENANT, learner_id="ana", key_id="development", scopes=frozenset(TokenScope), expires_at=ENDS)
    swapped = good.partition(".")[0] + "." + link(Action.LATER).split(".")[1] + "." + good.split(".")[2]
    return {
        "none": "",
        "cut": good[:-1],
        "another secret": other,
        "another action's signature": swapped,
        "a learner token": SIGNER.token(claim),
        "hostile": HOSTILE[0],
        "long": "nwa1." * 2_000,
    }


@pytest.mark.parametrize("what", forged())
def test_a_forged_link_does_nothing(client: TestClient, store_url: str, what: str) -> None:
    before = rows(store_url)
    for ask in (look, do):
        answer = ask(client, forged()[what])
        assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert rows(store_url) == before


def test_a_link_opens_nothing_that_a_token_or_key_opens(client: TestClient) -> None:
    for header in (f"Bearer {link(Action.STOP)}", f"Basic {link(Action.STOP)}"):
        answer = client.get("/v1/learners/ana/skills", headers={"Authorization": header})
        assert answer.status_code == 401


def test_a_link_of_one_tenant_does_nothing_in_another(client: TestClient, store_url: str) -> None:
    before = rows(store_url)
    for tenant, decision_id in (("bolt", "d1"), (TENANT, "theirs"), ("nowhere", "d1")):
        for ask in (look, do):
            assert ask(client, link(Action.STOP, decision_id, tenant)).status_code == 404
    assert rows(store_url) == before


def test_a_decision_that_is_no_nudge_has_no_links(client: TestClient, people: EventStore) -> None:
    plain = decision(SAID, "ranking").model_copy(update={"kind": "ranking", "nudge": None})
    people.tenant(TENANT).record([plain])
    assert look(client, link(Action.STOP, "ranking")).status_code == 404


@pytest.mark.parametrize("action", Action)
def test_the_link_of_an_erased_learner_does_nothing_and_reveals_nothing(
    client: TestClient, people: EventStore, store_url: str, clock: Clock, action: Action
) -> None:
    people.tenant(TENANT).erase("ana", at=NOW)
    clock.now = NOW + timedelta(days=2)
    before = rows(store_url)
    for ask in (look, do):
        for headers in ({}, BROWSER):
            erased = ask(client, link(action), headers=headers)
            never = ask(client, link(action, "never"), headers=headers)
            expired = ask(client, link(action, ends=int(NOW.timestamp())), headers=headers)
            assert erased.status_code == 404
            assert {(one.status_code, one.text) for one in (erased, never, expired)} == {(404, erased.text)}
    assert rows(store_url) == before


def test_a_learner_who_is_erased_while_it_is_done_is_not_begun_anew(
    client: TestClient, people: EventStore, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = service.pages.runtime
    write = runtime.write

    async def erased_before(*given: Any, **how: Any) -> Any:
        people.tenant(TENANT).erase("ana", at=NOW)
        return await write(*given, **how)

    monkeypatch.setattr(runtime, "write", erased_before)
    for action in (Action.STOP, Action.HELPED, Action.NOT_RELEVANT, Action.OPEN):
        people.tenant(TENANT).record([decision(SAID, f"d-{action}").model_copy(update={"decided_at": NOW + timedelta(days=1)})])
        assert do(client, link(action, f"d-{action}")).status_code == 404
    assert (people.tenant(TENANT).history("ana"), people.tenant(TENANT).nudge_choices("ana")) == ([], [])


def test_an_expired_link_does_nothing(client: TestClient, store_url: str, clock: Clock) -> None:
    before = rows(store_url)
    clock.now = NOW + LIFE
    assert do(client, link(Action.STOP)).status_code == 404
    clock.now -= timedelta(seconds=1)
    assert do(client, link(Action.STOP)).status_code == 200
    assert rows(store_url) != before


def test_what_is_no_longer_offered_is_not_opened(client: TestClient, people: EventStore, store_url: str) -> None:
    gone = CALM.model_copy(update={"available_until": NOW - timedelta(days=1)})
    people.tenant(TENANT).put([gone], at=NOW - timedelta(hours=1))
    before = rows(store_url)
    answer = do(client, link(Action.OPEN), headers=BROWSER)
    assert answer.status_code == 410
    assert "Ce n’est plus proposé." in answer.text
    assert rows(store_url) == before


def test_the_page_speaks_the_learners_language_and_what_is_wrong_the_browsers(client: TestClient) -> None:
    page = look(client, link(Action.HELPED), headers=BROWSER).text
    assert '<html lang="de">' in page
    assert "Hat es bei der Arbeit geholfen?" in page
    assert "Calm calls" in page
    wrong = look(client, "nwa1.x.y", headers=BROWSER)
    assert (wrong.status_code, wrong.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "Ce lien est incomplet." in wrong.text


def test_the_page_is_closed_to_scripts_caches_frames_and_other_sites(client: TestClient) -> None:
    page = look(client, link(Action.STOP))
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert not any(sign in page.text for sign in ("<script", "<link", "src=", "http://", "https://"))


@pytest.mark.parametrize("title", HOSTILE)
def test_a_hostile_title_is_only_text_on_the_page(client: TestClient, people: EventStore, title: str) -> None:
    people.tenant(TENANT).put([CALM.model_copy(update={"title": title[:500]})], at=NOW - timedelta(hours=1))
    page = look(client, link(Action.OPEN)).text
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("<p") == 2
    assert len(page) < 4_000


def test_a_flood_of_forged_links_is_held_back_and_good_ones_open(client: TestClient) -> None:
    found = [look(client, "nwa1.x.y").status_code for _ in range(30)]
    assert (found[0], found[-1]) == (403, 429)
    assert int(look(client, "nwa1.x.y", headers=BROWSER).headers["retry-after"]) >= 1
    assert look(client, link(Action.STOP)).status_code == 200


def test_one_link_asked_for_too_often_is_held_back_and_others_open(
    client: TestClient, people: EventStore, clock: Clock
) -> None:
    people.tenant(TENANT).record([decision(SAID, "d2")])
    found = [look(client, link(Action.STOP)).status_code for _ in range(22)]
    assert found == [200] * 20 + [429] * 2
    clock.now += timedelta(seconds=0.25)
    assert [look(client, link(Action.STOP)).status_code for _ in range(3)] == [200, 200, 429]
    assert look(client, link(Action.STOP, "d2")).status_code == 200


def test_while_the_store_is_down_nothing_is_said_to_be_done(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: Any, **__: Any) -> Any:
        raise StoreDownError("the store is down")

    monkeypatch.setattr(service.pages.runtime, "write", down)
    for action in Action:
        answer = do(client, link(action), headers=BROWSER)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    monkeypatch.setattr(service.pages.runtime, "beside", down)
    assert look(client, link(Action.STOP)).status_code == 503
