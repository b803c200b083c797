"""The tenant comes from the credential alone."""

import pytest

from serving.keys import Keys
from serving.settings import Settings


def test_the_development_key_opens_its_tenant_and_is_not_kept() -> None:
    keys = Keys.of(Settings(dev_key="secret", dev_tenant="acme"))
    assert keys.tenant("Bearer secret") == "acme"
    assert keys.tenant("bearer  secret ") == "acme"
    assert "secret" not in repr(keys)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer Secret", "Basic secret", "secret", "Bearer sécret"])
def test_anything_else_opens_nothing(header: str | None) -> None:
    assert Keys.of(Settings(dev_key="secret", dev_tenant="acme")).tenant(header) is None


def test_an_empty_key_disables_it() -> None:
    assert Keys.of(Settings(dev_key="", dev_tenant="acme")).tenant("Bearer ") is None
