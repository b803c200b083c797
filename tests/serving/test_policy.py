"""The policy is data: read from TOML, refused when wrong, hashed into decisions."""

from pathlib import Path
from typing import Any

import pytest

from serving.policy import Policy, load_policy


@pytest.mark.parametrize("change", [{"epsilon": 0.1}, {"support": 9}, {"gap_share": 0.5}, {"explore_rank": True}])
def test_every_field_changes_the_hash(change: dict[str, Any]) -> None:
    assert Policy(**change).digest != Policy().digest
    assert Policy().digest == Policy(epsilon=0.05).digest


def test_a_policy_is_read_from_toml(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("epsilon = 0.2\n")
    assert load_policy(tmp_path / "policy.toml") == Policy(epsilon=0.2)
    assert load_policy(None) == Policy()


@pytest.mark.parametrize(
    ("text", "named"), [("epsilon = 1.5", "epsilon"), ("epsilom = 0.1", "epsilom"), ("epsilon = ", "policy")]
)
def test_a_wrong_policy_names_file_and_field(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"policy\.toml.*{named}"):
        load_policy(path)
