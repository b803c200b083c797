"""A bundle whose items have providers, topics and languages."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode puts no test folder on the path

from shop import shop

from serving.prepared import Prepared


@pytest.fixture
def house(tmp_path: Path) -> Prepared:
    return shop(tmp_path / "house")
