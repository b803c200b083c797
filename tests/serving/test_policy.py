"""The policy is data: read from TOML, refused when wrong, hashed into decisions."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from serving.policy import Policy, PolicyFile, load_policy

PIN = {"id": "first", "kind": "pin", "items": ["calm"]}
CHANGES: list[dict[str, Any]] = [
    {"epsilon": 0.1},
    {"support": 9},
    {"gap_share": 0.5},
    {"explore_rank": True},
    {"diversity": 0.2},
    {"provider_limit": 3},
    {"diversify_rank": True},
    {"nudges": {"weekly_budget": 1}},
    {"rules": [PIN]},
    {"tenant_rules": {"acme": [PIN]}},
    {"progress": {"weekly_cap": 1}},
]

ONE = 'kind = "pin"\nitems = ["calm"]\n'


@pytest.mark.parametrize("change", CHANGES)
def test_every_field_changes_the_hash(change: dict[str, Any]) -> None:
    assert Policy(**change).digest != Policy().digest
    assert Policy().digest == Policy(epsilon=0.05).digest


def test_every_field_is_one_of_these_changes() -> None:
    assert {name for change in CHANGES for name in change} == set(Policy.model_fields)


def test_decisions_made_before_diversity_existed_keep_their_policy() -> None:
    older = '{"epsilon":0.05,"support":50,"gap_share":0.3,"explore_rank":false}'
    assert Policy(diversity=0).digest == hashlib.sha256(older.encode()).hexdigest()[:16]


def test_a_policy_is_read_from_toml(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("epsilon = 0.2\n")
    assert load_policy(tmp_path / "policy.toml") == Policy(epsilon=0.2)
    assert load_policy(None) == Policy()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("epsilon = 1.5", "epsilon"),
        ("epsilom = 0.1", "epsilom"),
        ("epsilon = ", "policy"),
        ("diversity = 1.1", "diversity"),
        ("diversity = nan", "diversity"),
        ("provider_limit = 0", "provider_limit"),
        ('[[rules]]\nid = "few"\nkind = "limit"\nmost = 0', "field rules.0.most: rule 'few', most: Input should be greater"),
        (
            '[[tenant_rules.acme]]\nid = "few"\nkind = "limit"',
            "field tenant_rules.acme.0.most: rule 'few', most: Field required",
        ),
        ('[[tenant_rules.a]]\nid = "x"\n' + ONE + '[[rules]]\nid = "x"\n' + ONE, "rule 'x', id: two rules have it"),
    ],
)
def test_a_wrong_policy_names_file_and_field(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"policy\.toml.*{named}"):
        load_policy(path)


def test_a_changed_file_holds_at_once_and_a_wrong_one_not_at_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("")
    followed = PolicyFile(path)
    assert followed.current() == Policy()
    path.write_text("[nudges]\nkilled = true\n")
    assert followed.current().nudges.killed
    path.write_text("[nudges]\nkilled = maybe\n")
    assert all(followed.current().nudges.killed for _ in range(2))
    path.unlink()
    assert followed.current().nudges.killed
    assert ["the policy stays as it was" in message for message in caplog.messages] == [True, True]
    path.write_text("")
    assert not followed.current().nudges.killed
    assert PolicyFile(None).current() == Policy()
