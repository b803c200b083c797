"""Whose wrong keys are counted together, and that counting needs no more memory than it may."""

import pytest

from serving import rates
from serving.strangers import BURST_S, Strangers


def left(found: Strangers, address: str) -> int:
    """How many more unknown keys of this address are looked for at once."""
    return next(n for n in range(1_000) if found.take(address))


def test_an_address_has_a_burst_and_then_waits() -> None:
    found = Strangers(timer=lambda: 0.0)
    assert left(found, "10.0.0.1") == BURST_S
    assert found.take("10.0.0.1") == pytest.approx(1.0)
    assert found.take("10.0.0.2") == 0


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("", "testclient", False),
    ],
)
def test_an_ipv6_network_is_one_sender(one: str, other: str, together: bool) -> None:
    found = Strangers(timer=lambda: 0.0)
    left(found, one)
    assert (found.take(other) > 0) is together


def test_what_is_put_back_can_be_taken_again() -> None:
    found = Strangers(timer=lambda: 0.0)
    for _ in range(500):
        assert found.take("10.0.0.1") == 0
        found.put_back("10.0.0.1")
    found.put_back("never seen")
    assert left(found, "10.0.0.1") == BURST_S


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "_REMEMBERED", 5)
    found = Strangers(timer=lambda: 0.0)
    for n in range(100):
        found.take(f"10.0.0.{n}")
    assert len(found._each._left) == 5
