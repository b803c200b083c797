"""The signed text of a slate: what it says, and that nobody can change it."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from serving.claims import Claim, Signer, TokenScope
from serving.slates.slate import LIFE, Place, Slate, read, signed

AT = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)
SIGNER = Signer(["s" * 32])
SLATE = Slate("acme", "ana", "d1", "b1", AT, AT + LIFE, (Place("calm", 0, 0.9), Place("dätä", 1, 1 / 3)))


def test_it_says_what_it_was_made_of_to_the_last_digit() -> None:
    assert read(SIGNER, signed(SIGNER, SLATE)) == SLATE


def test_the_same_slate_is_the_same_text() -> None:
    assert signed(SIGNER, SLATE) == signed(SIGNER, SLATE)


def test_it_holds_seven_days() -> None:
    assert timedelta(days=7) == LIFE


def test_ten_items_take_less_than_a_thousand_characters() -> None:
    items = tuple(Place(f"course-{n:04d}", n, 0.9 + n / 1000) for n in range(10))
    assert len(signed(SIGNER, SLATE._replace(items=items))) < 1_000


@pytest.mark.parametrize("field", range(len(SLATE)))
def test_whoever_changes_a_field_has_no_slate(field: int) -> None:
    other = SLATE._replace(items=SLATE.items[:1], learner_id="ben", tenant="bolt", decision_id="d2", bundle="b2")
    other = other._replace(issued_at=AT - LIFE, expires_at=AT + 2 * LIFE)
    changed = Slate(*(new if at == field else old for at, (old, new) in enumerate(zip(SLATE, other, strict=True))))
    prefix_and_data, _, _ = signed(SIGNER, changed).rpartition(".")
    signature = signed(SIGNER, SLATE).rpartition(".")[2]
    assert read(SIGNER, f"{prefix_and_data}.{signature}") is None


def test_what_is_signed_for_something_else_is_no_slate() -> None:
    claim = Claim(tenant="acme", learner_id="ana", key_id="k", scopes=frozenset(TokenScope), expires_at=2**33)
    assert read(SIGNER, SIGNER.token(claim)) is None
    assert read(SIGNER, SIGNER.signed("nws1.", b'{"tenant": "acme"}')) is None
    assert SIGNER.claim(signed(SIGNER, SLATE)) is None


def test_a_secret_that_was_replaced_is_read_while_it_stands_beside_the_new_one() -> None:
    text = signed(SIGNER, SLATE)
    assert read(Signer(["n" * 32, "s" * 32]), text) == SLATE
    assert read(Signer(["n" * 32]), text) is None


def test_what_is_no_text_of_ours_says_nothing() -> None:
    for text in ("", "nws1.", "nws1.x.y", "nws1." + base64.urlsafe_b64encode(b"[]").decode() + "."):
        assert read(SIGNER, text) is None
