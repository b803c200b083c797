"""ADL's templates, each in its place of a whole statement: accepted or refused as its name says."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from features.xapi.statement import Statement

FOLDER = Path(os.environ.get("NEXTWISE_DATA", Path(__file__).parents[3] / "../shared/data")) / "xapi-conformance"
WHOLE: dict[str, Any] = {
    "actor": {"mbox": "mailto:learner@example.com"},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
    "object": {"id": "http://example.com/course"},
}
PLACE = {
    **dict.fromkeys(("agents", "groups"), "actor"),
    **dict.fromkeys(("activities", "substatements"), "object"),
    **{"verbs": "verb", "contexts": "context", "results": "result"},
}
REFUSED = ("_invalid", "invalid_", "no_actor", "no_verb", "no_object", "no_id", "no_homepage", "string_", "numeric_")
BARE = {
    *("statements/actor", "statements/authority", "statements/object_activity", "statements/object_actor"),
    *("statements/object_substatement", "statements/verb", "contexts/instructor", "contexts/team"),
    *("substatements/activity", "substatements/actor", "substatements/agent", "substatements/group", "substatements/verb"),
}
"""Frames that hold an empty agent, verb or object, for another template to be put in: refused as they stand."""
ALONE = {"agents/account_no_name", "groups/identified_account_no_name", "groups/anonymous_no_member", "verbs/voided"}
"""An account without its name, a group of nobody, and the verb of voiding about an activity."""

FILES = sorted(FOLDER.glob("v*/templates/*/*.json"))
pytestmark = [pytest.mark.data, pytest.mark.skipif(not FILES, reason=f"{FOLDER} is not there (NEXTWISE_DATA says where)")]


def refused(name: str) -> bool:
    own = name.split("/")[1]
    said = any(word in own for word in REFUSED) and not own.endswith("no_objectType")
    return said or name in BARE or name in ALONE


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-4]}/{file.parts[-2]}/{file.stem}")
def test_a_template_is_taken_as_its_name_says(file: Path) -> None:
    folder, part = file.parent.name, json.loads(file.read_text("utf-8"))
    statement = part if folder == "statements" else WHOLE | {PLACE[folder]: part}
    try:
        Statement.model_validate_json(json.dumps(statement))
        found = False
    except ValidationError:
        found = True
    assert found is refused(f"{folder}/{file.stem}")


def test_templates_of_both_kinds_are_there() -> None:
    kinds = [refused(f"{file.parent.name}/{file.stem}") for file in FILES]
    assert min(kinds.count(True), kinds.count(False)) > 50
