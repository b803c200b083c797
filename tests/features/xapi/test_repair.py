"""Repairs: what known emitters send is put right and named, what is right stays as it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.xapi.repair import DRESSED_ID, repaired
from features.xapi.repair_agents import SEVERAL
from features.xapi.statement import Statement

COURSE = "https://lms.example/course/1"
ID = "32e08e30-f8ae-4ce2-94a8-c2bfe38a70cb"


def said(**fields: Any) -> dict[str, Any]:
    body = {"actor": {"account": {"homePage": "https://lms.example", "name": "7"}}, "object": {"id": COURSE}}
    return {**body, "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}, **fields}


def account(name: object) -> dict[str, Any]:
    return {"account": {"homePage": "https://lms.example", "name": name}}


@pytest.mark.parametrize(
    ("wrong", "right", "name"),
    [
        ({"actor": account(7)}, {"actor": account("7")}, "account name as a number"),
        ({"result": {"score": {"raw": 3, "scaled": None}}}, {"result": {"score": {"raw": 3}}}, "empty value left out"),
        ({"context": {"registration": ""}}, {}, "empty value left out"),
        ({"object": {"id": COURSE, "objectType": "GroupActivity"}}, {"object": {"id": COURSE, "objectType": "Activity"}}, None),
        (
            {"context": {"contextActivities": {"parent": [{"id": COURSE, "objectType": "GroupActivity"}]}}},
            {"context": {"contextActivities": {"parent": [{"id": COURSE, "objectType": "Activity"}]}}},
            "objectType GroupActivity",
        ),
        ({"object": {"id": COURSE, "objectType": "activity"}}, {"object": {"id": COURSE, "objectType": "Activity"}}, None),
        ({"context": {"language": "en_us"}}, {"context": {"language": "en-us"}}, "language with an underscore"),
        (
            {"verb": {"id": "http://a.example/did", "display": {"pt_br": "fez", "en": None}}},
            {"verb": {"id": "http://a.example/did", "display": {"pt-br": "fez"}}},
            "language with an underscore",
        ),
        (
            {"object": {"id": COURSE, "definition": {"name": {"en_us_k12": "a"}}}},
            {"object": {"id": COURSE, "definition": {"name": {"en-us": "a"}}}},
            "language with an underscore",
        ),
        (
            {"object": {"id": COURSE, "definition": {"name": {"": "a"}}}},
            {"object": {"id": COURSE, "definition": {"name": {"und": "a"}}}},
            "language that is no tag",
        ),
        ({"result": {"success": "True"}}, {"result": {"success": True}}, "true or false as a text"),
        ({"result": {"completion": "false"}}, {"result": {"completion": False}}, "true or false as a text"),
        ({"result": {"response": True}}, {"result": {"response": "true"}}, "response that is no text"),
        ({"result": {"response": ["a", 2]}}, {"result": {"response": '["a", 2]'}}, "response that is no text"),
        (
            {"verb": {"id": "http://a.example/did", "display": "did"}},
            {"verb": {"id": "http://a.example/did", "display": {"und": "did"}}},
            "text without its language",
        ),
        (
            {"object": {"id": COURSE, "definition": {"name": "Excel"}}},
            {"object": {"id": COURSE, "definition": {"name": {"und": "Excel"}}}},
            "text without its language",
        ),
        ({"actor": {"mbox": "a@b.example"}}, {"actor": {"mbox": "mailto:a@b.example"}}, "mbox without mailto:"),
        ({"actor": {"mbox": "MailTo: a@b.example "}}, {"actor": {"mbox": "mailto:a@b.example"}}, "mbox written otherwise"),
        (
            {"object": {"id": " https://a.example/My {1}|2 "}},
            {"object": {"id": "https://a.example/My%20%7B1%7D%7C2"}},
            "IRI with spaces or the like",
        ),
        (
            {"object": {"id": COURSE, "definition": {"interactionType": "compound", "correctResponsesPattern": ["a"]}}},
            {"object": {"id": COURSE}},
            "interaction of another kind left out",
        ),
        (
            {"object": {"id": COURSE, "definition": {"interactionType": "fill-in", "choices": [{"id": "my id"}]}}},
            {"object": {"id": COURSE, "definition": {"interactionType": "fill-in"}}},
            "interaction of another kind left out",
        ),
        (
            {"object": {"id": COURSE, "definition": {"moreInfo": COURSE, "choices": [{"id": "1"}]}}},
            {"object": {"id": COURSE, "definition": {"moreInfo": COURSE}}},
            "interaction of another kind left out",
        ),
        (
            {"result": {"score": {"raw": 110, "max": 100}}},
            {"result": {"score": {"raw": 100, "max": 100}}},
            "raw score beyond its ends capped",
        ),
        ({"version": "0.95"}, {}, "version that is not spoken left out"),
        (
            {"context": {"contextActivities": {"parent": [{"id": COURSE}, None]}}},
            {"context": {"contextActivities": {"parent": [{"id": COURSE}]}}},
            "empty value left out",
        ),
        ({"result": {"duration": 90}}, {"result": {"duration": "PT90S"}}, "duration as a number of seconds"),
        ({"result": {"duration": "12,5"}}, {"result": {"duration": "PT12,5S"}}, "duration as a number of seconds"),
        ({"result": {"duration": 1e-5}}, {"result": {"duration": "PT0.00001S"}}, "duration as a number of seconds"),
        ({"result": {"duration": "0000:12:34.5"}}, {"result": {"duration": "PT0H12M34.5S"}}, "duration as SCORM writes it"),
        ({"result": {"duration": "1:02:03"}}, {"result": {"duration": "PT1H2M03S"}}, "duration as SCORM writes it"),
        (
            {"actor": {"name": ["Ann", "A."], "mbox": ["mailto:ann@a.example", "mailto:a@a.example"]}},
            {"actor": {"name": "Ann", "mbox": "mailto:ann@a.example"}},
            "actor of version 0.9",
        ),
        (
            {
                "actor": {
                    "objectType": ["Person"],
                    "givenName": ["Ann"],
                    "account": [{"accountServiceHomePage": "https://lms.example", "accountName": 7}],
                }
            },
            {"actor": {"objectType": "Agent", **account("7")}},
            "actor of version 0.9",
        ),
        (
            {"context": {"instructor": {"name": ["T"], "mbox": [None, "a@b.example"]}}},
            {"context": {"instructor": {"name": "T", "mbox": "mailto:a@b.example"}}},
            "actor of version 0.9",
        ),
        ({"actor": {"mbox": "mailto:a@b.example", **account("7")}}, {"actor": account("7")}, SEVERAL),
        (
            {"actor": {"openid": "https://a.example/ann", "mbox_sha1sum": "a" * 40, "mbox": "mailto:a@b.example"}},
            {"actor": {"mbox": "mailto:a@b.example"}},
            SEVERAL,
        ),
        (
            {"actor": {"openid": "https://a.example/ann", "mbox_sha1sum": "a" * 40}},
            {"actor": {"mbox_sha1sum": "a" * 40}},
            SEVERAL,
        ),
        (
            {"actor": {"objectType": "Group", "openid": "https://a.example/team", **account("t")}},
            {"actor": {"objectType": "Group", **account("t")}},
            SEVERAL,
        ),
        ({"id": f"{{{ID.upper()}}}"}, {"id": ID.upper()}, DRESSED_ID),
        ({"id": f"urn:uuid:{ID}"}, {"id": ID}, DRESSED_ID),
        (
            {"object": {"objectType": "statementref", "id": f"URN:UUID:{ID}"}, "context": {"registration": f"{{{ID}}}"}},
            {"object": {"objectType": "StatementRef", "id": ID}, "context": {"registration": ID}},
            DRESSED_ID,
        ),
        ({"result": {"score": {"min": 0, "max": 0, "raw": 0}}}, {}, "score out of nothing left out"),
        (
            {"result": {"score": {"raw": "8", "max": 10, "scaled": 80}}},
            {"result": {"score": {"raw": 8.0, "max": 10}}},
            "scaled score beyond 1 left out",
        ),
        (
            {"actor": {"openid": "32e08e30-f8ae-4ce2-94a8-c2bfe38a70cb"}},
            {"actor": {"openid": "urn:uuid:32e08e30-f8ae-4ce2-94a8-c2bfe38a70cb"}},
            "openid that is no IRI",
        ),
    ],
)
def test_each_repair_makes_a_statement_of_it(wrong: dict[str, Any], right: dict[str, Any], name: str | None) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Statement.model_validate(said(**wrong))
    found, done = repaired(said(**wrong))
    assert found == said(**right)
    Statement.model_validate(found)
    assert done
    assert name is None or name in done


def test_what_is_right_is_handed_on_as_it_is() -> None:
    extensions = {"https://a.example/x": None, "https://a.example/y": {"language": "en_us", "duration": 3}}
    body = said(context={"extensions": extensions, "contextActivities": {"parent": [{"id": COURSE}]}}, version="1.0.3")
    body["object"]["definition"] = {
        "interactionType": "choice",
        "choices": [{"id": "a: b"}],
        "correctResponsesPattern": ["a: b"],
    }
    body["result"] = {"score": {"raw": 100, "min": 0, "max": 100}, "duration": "PT12,5S"}
    body["object"]["id"] = f"urn:uuid:{ID}"  # of an activity: an IRI like any other
    body["context"]["team"] = {
        "objectType": "Group",
        "member": [{"mbox": "mailto:a@b.example"}, {"mbox": "mailto:c@b.example"}],
    }
    found, done = repaired(body)
    assert found is body
    assert done == []


def test_a_number_of_the_emitter_in_extensions_is_never_touched() -> None:
    extensions = {"https://a.example/x": None}
    found, done = repaired(said(actor=account(7), result={"extensions": extensions}))
    assert found["result"] == {"extensions": extensions}
    assert done == ["account name as a number"]


TEXT = st.sampled_from(
    [
        "",
        " http://a b",
        "compound",
        "choice",
        "MAILTO: a@b",
        "GroupActivity",
        "en_us",
        "a@b",
        "7",
        "1:2:3",
        ID,
        f"{{{ID}}}",
        "Person",
        "\U0001f600",
    ]
)
NAMES = (
    *("actor", "account", "name", "score", "result", "min", "max", "raw", "object", "objectType", "display", "parent"),
    *("definition", "interactionType", "choices", "mbox", "id", "type", "version", "openid", "duration", "firstName"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES) | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["actor", "object", "result", "context", "verb", "id"]), JSON))
def test_anything_at_all_is_survived_and_repaired_once(body: dict[str, Any]) -> None:
    found, _ = repaired(body)
    once, _ = repaired(found)
    assert repaired(once)[1] == []
