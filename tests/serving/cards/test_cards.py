"""From a decision to its card, and `POST /v1/nudge` with one."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from acme import ITEMS, KEY, NOW, TENANT
from decided import decision, nudge
from messages import PUBLIC, SECRET, SIGNER
from pydantic import SecretStr
from starlette.testclient import TestClient

from features.catalogue import Assignment, Item, Learner
from features.nudges import Arm, Nudge
from features.store import EventStore
from serving import service
from serving.cards.cards import Format, Place, actions_of, card, message_of, url_of
from serving.cards.links import Action
from serving.cards.message import Reason
from serving.claims import Signer
from serving.prepared import Prepared
from serving.runtime import Runtime
from serving.settings import Settings

PLACE = Place(SIGNER, PUBLIC)
LATER = NOW + timedelta(days=1)
ANSWERS = (Action.LATER, Action.STOP)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (nudge(Arm.QUEST, item_id="calm", skill_id="listening"), Reason("role", {"skill": "Listening"})),
        (nudge(Arm.REFRESH, item_id="calm", skill_id="listening"), Reason("fades", {"skill": "Listening"})),
        (nudge(Arm.APPLY, item_id="calm", skill_id="listening"), Reason("finished", {"title": "Calm calls"})),
        (nudge(Arm.APPLY, skill_id="listening"), Reason("practise", {})),
        (nudge(Arm.TEACH, skill_id="listening"), Reason("teach", {})),
        (nudge(Arm.DEADLINE, item_id="safe", due_at=LATER), Reason("due", {"date": LATER})),
        (nudge(Arm.DEADLINE, item_id="safe", due_at=NOW), Reason("was_due", {"date": NOW})),
    ],
)
def test_each_arm_says_why_in_facts_that_the_decision_holds(said: Nudge, reason: Reason, stock: Prepared) -> None:
    assert message_of(decision(said), stock, None, PLACE).reasons == (reason,)


def test_it_speaks_to_its_learner_and_names_what_it_is_about(stock: Prepared) -> None:
    ana = Learner(id="ana", languages=("de",), timezone="Europe/Berlin")
    one = message_of(decision(nudge(Arm.QUEST, item_id="calm", skill_id="listening")), stock, ana, PLACE)
    assert (one.languages, one.zone, one.title, one.skill, one.minutes) == (
        ("de",),
        "Europe/Berlin",
        "Calm calls",
        "Listening",
        10,
    )


def test_what_the_bundle_does_not_know_goes_by_its_id(stock: Prepared) -> None:
    one = message_of(decision(nudge(Arm.DEADLINE, item_id="new", due_at=NOW)), stock, None, PLACE)
    assert (one.title, one.url, one.minutes) == ("new", None, None)


@pytest.mark.parametrize(
    ("said", "url", "offered"),
    [
        (nudge(Arm.QUEST, item_id="calm"), "https://a", (Action.OPEN, Action.LATER, Action.NOT_RELEVANT, Action.STOP)),
        (nudge(Arm.QUEST, item_id="calm"), None, (Action.LATER, Action.NOT_RELEVANT, Action.STOP)),
        (nudge(Arm.DEADLINE, item_id="safe"), "https://a", (Action.OPEN, *ANSWERS)),
        (nudge(Arm.TEACH, skill_id="listening"), None, ANSWERS),
        (nudge(Arm.APPLY, item_id="calm", skill_id="listening"), None, (Action.HELPED, Action.NOT_YET, *ANSWERS)),
        (
            nudge(Arm.APPLY, item_id="calm", skill_id="listening"),
            "https://a",
            (Action.HELPED, Action.NOT_YET, *ANSWERS, Action.OPEN),
        ),
        (nudge(Arm.APPLY, item_id="calm"), None, ANSWERS),
    ],
)
def test_what_is_offered_is_what_can_be_answered(said: Nudge, url: str | None, offered: tuple[Action, ...]) -> None:
    assert actions_of(said, url) == offered


@pytest.mark.parametrize(
    ("item", "url"),
    [
        (Item(id="a", title="A", attributes={"url": "https://lms/a"}, aliases=("https://other/a",)), "https://lms/a"),
        (Item(id="https://lms/a", title="A"), "https://lms/a"),
        (Item(id="a", title="A", aliases=("urn:a", "http://lms/a")), "http://lms/a"),
        (Item(id="a", title="A", aliases=("javascript:alert(1)",), attributes={"url": "data:text/html,x"}), None),
        (Item(id="a", title="A", attributes={"url": ("https://lms/a",)}), None),
    ],
)
def test_an_item_is_where_an_address_of_the_web_says(item: Item, url: str | None) -> None:
    assert url_of(item) == url


def test_without_a_secret_there_are_no_links_and_it_says_so(stock: Prepared) -> None:
    said = decision(nudge(Arm.QUEST, item_id="calm"))
    for place in (Place(Signer([]), PUBLIC), Place(SIGNER, "")):
        assert message_of(said, stock, None, place).links == {}
        assert "NEXTWISE_PUBLIC_URL" in (place.note or "")
    assert PLACE.note is None


def test_what_says_nothing_has_no_card(stock: Prepared) -> None:
    with pytest.raises(ValueError, match="no card"):
        card(Format.PLAIN, decision(nudge(Arm.NOTHING)), stock, None, PLACE)
    with pytest.raises(ValueError, match="is no nudge"):
        card(Format.PLAIN, decision(nudge(Arm.QUEST)).model_copy(update={"nudge": None}), stock, None, PLACE)


@pytest.fixture
def nudging(settings: Settings, store: EventStore, tmp_path: Path) -> Iterator[TestClient]:
    """A service with a secret and an address, whose policy leaves next to nothing to chance; ana has a duty."""
    policy = tmp_path / "policy.toml"
    policy.write_text("[nudges]\nholdout = 0\nfloor = 0.000001\n")
    more = {"policy": policy, "public_url": PUBLIC, "token_secret": SecretStr(SECRET)}
    ana = Learner(id="ana", languages=("de",), timezone="Europe/Berlin")
    safe = next(item for item in ITEMS if item.id == "safe")
    rows = [ana, safe, Assignment(id="duty", item_id="safe", learner_id="ana", due_at=NOW + timedelta(days=3))]
    store.tenant(TENANT).put(rows, at=datetime(2026, 1, 1, tzinfo=UTC))
    service.pages.runtime = Runtime(settings.model_copy(update=more), clock=lambda: NOW)
    with TestClient(service.Nextwise.to_asgi(), headers=KEY) as opened:
        yield opened


def asked(client: TestClient, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/nudge", json={"learner_id": "ana", "channel": "email", **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ("slack", {"text", "mrkdwn", "blocks"}),
        ("teams", {"type", "attachments"}),
        ("email", {"subject", "headers", "text", "html", "mime"}),
        ("push", {"title", "body", "data"}),
        ("plain", {"language", "headline", "lines", "item_id", "url", "actions"}),
    ],
)
def test_a_nudge_comes_as_a_card_in_the_form_that_is_asked_for(nudging: TestClient, form: str, fields: set[str]) -> None:
    answer = asked(nudging, format=form)
    assert (answer["arm"], answer["card_note"]) == ("deadline", None)
    assert set(answer["card"]) == fields
    assert "Zu erledigen: Fire safety" in str(answer["card"])


def test_a_card_says_when_it_is_due_where_the_learner_is(nudging: TestClient) -> None:
    assert asked(nudging, format="plain")["card"]["lines"][0] == "Fällig: Donnerstag, 4. Juni 2026, 14:00 Uhr."


def test_nothing_comes_without_a_card_and_so_does_what_asks_for_none(nudging: TestClient) -> None:
    assert asked(nudging)["card"] is None
    silent = asked(nudging, format="plain", learner_id="nobody")
    assert (silent["arm"], silent["card"], silent["card_note"]) == ("nothing", None, None)


def test_a_form_that_there_is_not_is_refused_by_name(nudging: TestClient) -> None:
    answer = nudging.post("/v1/nudge", json={"learner_id": "ana", "channel": "email", "format": "fax"})
    assert (answer.status_code, answer.json()["field"]) == (400, "format")


def test_one_click_in_a_mail_program_ends_all_nudges(nudging: TestClient) -> None:
    stop = asked(nudging, format="email")["card"]["headers"]["List-Unsubscribe"].strip("<>")
    url = urlsplit(stop)
    body = {"List-Unsubscribe": "One-Click"}
    answer = nudging.post(url.path, params=parse_qs(url.query), data=body, headers={"Authorization": ""})
    assert answer.status_code == 200
    again = asked(nudging, format="email")
    assert (again["withheld"], again["card"]) == ("stopped", None)


def test_a_card_without_links_says_what_to_set(nudging: TestClient) -> None:
    runtime = service.pages.runtime
    runtime.settings = runtime.settings.model_copy(update={"public_url": ""})
    answer = asked(nudging, format="plain")
    assert answer["card"]["actions"] == []
    assert "NEXTWISE_TOKEN_SECRET" in answer["card_note"]
