"""Whom a statement names beside the one who acted, wherever the standard has people."""

from typing import Any

import pytest

from features.xapi.intake import check
from features.xapi.mentions import NOBODY, mentioned, without

ANN: dict[str, Any] = {"mbox": "mailto:ann@acme.example"}
BOB: dict[str, Any] = {"account": {"homePage": "https://lms.example", "name": "bob"}}
NAME = "https://lms.example|bob"
TEAM = {"objectType": "Group", "mbox": "mailto:team@acme.example", "member": [BOB, ANN]}
BODY = {"actor": ANN, "verb": {"id": "https://verbs.example/did"}, "object": {"id": "https://lms.example/excel"}}
SUB = {"objectType": "SubStatement", "actor": BOB, "verb": BODY["verb"], "object": BODY["object"]}


@pytest.mark.parametrize(
    "fields",
    [
        {"object": {"objectType": "Agent", **BOB}},
        {"object": SUB},
        {"context": {"instructor": BOB}},
        {"context": {"team": {"objectType": "Group", "member": [BOB]}}},
        {"context": {"contextAgents": [{"objectType": "contextAgent", "agent": BOB}]}},
        {"context": {"contextGroups": [{"objectType": "contextGroup", "group": {"objectType": "Group", "member": [BOB]}}]}},
        {"actor": {"objectType": "Group", "member": [BOB]}},
    ],
)
def test_somebody_is_found_wherever_they_may_stand_and_is_gone_afterwards(fields: dict[str, Any]) -> None:
    body = {**BODY, **fields}
    assert mentioned(body) == (NAME,)
    left = without(body, {NAME})
    assert "bob" not in str(left)
    assert str(NOBODY["account"]) in str(left)
    check([body, left], compat=False)  # it is a statement still


def test_who_acted_and_what_identifies_a_group_are_no_mentions() -> None:
    assert mentioned(BODY) == ()
    assert mentioned({**BODY, "actor": TEAM}) == (NAME, ANN["mbox"])
    assert without({**BODY, "actor": TEAM}, {TEAM["mbox"]})["actor"] == TEAM


def test_free_words_are_left_as_they_are() -> None:
    free = {**BODY, "context": {"extensions": {"https://lms.example/said-by": BOB}}}
    assert mentioned(free) == ()
    assert without(free, {NAME}) == free
