"""Titles and reasons in the learner's language: every table says all of it, and English stands in."""

import re
from typing import Any

import pytest
from acme import LEARNERS, NOW, event
from starlette.testclient import TestClient

from features.catalogue import Assignment
from features.duties import Assigned, Duty
from serving.payloads import RecommendationsRequest
from serving.pipeline import rank
from serving.policy import Policy
from serving.prepared import Prepared
from serving.reasons import Gap, card, counts
from serving.wording import LANGUAGES, spoken, table, wording


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_table_has_the_same_sentences_with_the_same_values(language: str) -> None:
    def holes(part: str, of: str) -> dict[str, list[str]]:
        return {name: sorted(re.findall(r"{(\w+)}", text)) for name, text in table(of)[part].items()}

    for part in ("row", "reason", "about"):
        assert holes(part, language) == holes(part, "en")
        assert all(text.strip() == text and text for text in table(language)[part].values())


@pytest.mark.parametrize(
    ("wanted", "language"), [((), "en"), (("de-AT",), "de"), (("pt", "fr"), "fr"), (("nl",), "en"), (("ES",), "es")]
)
def test_the_first_language_with_a_table_is_spoken(wanted: tuple[str, ...], language: str) -> None:
    assert spoken(wanted).language == language


def test_numbers_and_titles_stand_in_the_sentence_as_the_language_has_them() -> None:
    sentence = card(("finished", "{x} & co"), "taken", Gap("Excel", 3, 1.5), wording("de"))
    assert sentence == (
        "Am meisten zählt hier seine Beliebtheit; außerdem passt es zu „{x} & co“, das du abgeschlossen hast;"
        " deine Rolle erwartet Excel auf Stufe 3, nachgewiesen ist 1,5"
    )


def test_rows_and_reasons_are_in_the_language_of_the_request_else_of_the_learner(stock: Prepared) -> None:
    duty = Assignment(id="a", item_id="safe", learner_id="ana", due_at=NOW)
    given: dict[str, Any] = {
        "at": NOW,
        "decision_id": "d",
        "policy": Policy(epsilon=0),
        "assigned": Assigned((Duty(duty, NOW),)),
    }
    events = (event("ana", "started", "data"),)
    german = LEARNERS[0].model_copy(update={"languages": ("de", "en")})
    found = rank(stock, RecommendationsRequest(learner_id="ana"), german, events, **given)
    assert found.language == "de"
    assert [row.title for row in found.rows][:2] == ["Pflicht", "Weitermachen"]
    assert found.slate[0].reasons[0] == "Pflicht: Es war bis 2026-06-01 fällig"
    asked = RecommendationsRequest(learner_id="ana", languages=("es", "en"))
    assert rank(stock, asked, german, events, **given).rows[0].title == "Obligatorio"
    plain = rank(stock, RecommendationsRequest(learner_id="ana"), LEARNERS[0], events, **given)
    assert (plain.language, plain.rows[0].title) == ("en", "Mandatory")
    english = {text for part in ("row", "reason") for text in table("en")[part].values()}
    assert not english & {text for row in found.rows for item in row.items for text in (row.title, *item.reasons)}


def test_the_answer_says_its_language_in_both_forms(client: TestClient) -> None:
    for more in ({}, {"form": "minimal"}):
        body = {"learner_id": "ana", "languages": ["fr", "en"], **more}
        assert client.post("/v1/recommendations", json=body).json()["language"] == "fr"


@pytest.mark.parametrize(
    ("parts", "told"),
    [({"linear": 0.04, "popularity": 0.96}, False), ({"linear": 0.05, "popularity": 0.95}, True), ({"linear": -1.0}, False)],
)
def test_a_part_that_gives_next_to_nothing_is_no_reason(parts: dict[str, float], told: bool) -> None:
    assert counts(parts, "linear") is told
