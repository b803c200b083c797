"""What a learner token's text says, and who can make one."""

import base64
import hmac
import json

import pytest

from serving.claims import PREFIX, Claim, Signer, TokenScope

OLD, NEW = "o" * 32, "n" * 32
CLAIM = Claim(
    tenant="acme", learner_id="ä|na.1", key_id="abcd2345", scopes=frozenset({TokenScope.RANK}), expires_at=1_780_000_000
)


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_token_says_what_was_signed() -> None:
    token = Signer([NEW]).token(CLAIM)
    assert Signer([NEW]).claim(token) == CLAIM
    assert token.startswith(PREFIX)
    assert token.isascii()


def test_it_is_made_as_it_is_described() -> None:
    prefix, claim, signature = Signer([NEW]).token(CLAIM).split(".")
    assert json.loads(base64.urlsafe_b64decode(claim + "=="))["learner_id"] == "ä|na.1"
    assert signature == encoded(hmac.digest(NEW.encode(), f"{prefix}.{claim}".encode(), "sha256"))


def test_both_secrets_of_a_change_are_accepted_and_the_first_signs() -> None:
    old, both, new = Signer([OLD]), Signer([NEW, OLD]), Signer([NEW])
    assert both.claim(old.token(CLAIM)) == both.claim(both.token(CLAIM)) == CLAIM
    assert new.claim(both.token(CLAIM)) == CLAIM
    assert new.claim(old.token(CLAIM)) is None


def test_what_was_signed_for_one_thing_is_good_for_no_other() -> None:
    signer = Signer([NEW])
    text = signer.signed("nwx1.", b"said")
    assert signer.said("nwx1.", text) == b"said"
    assert signer.said("nwy1.", text) is None
    assert signer.said("nwy1.", "nwy1." + text.removeprefix("nwx1.")) is None
    assert signer.claim(signer.signed("nwx1.", CLAIM.model_dump_json().encode())) is None


def test_without_a_secret_nothing_is_good() -> None:
    assert not Signer([])
    assert Signer([]).claim(Signer([NEW]).token(CLAIM)) is None
    empty = encoded(hmac.digest(b"", f"{PREFIX}e30".encode(), "sha256"))
    assert Signer([]).claim(f"{PREFIX}e30.{empty}") is None


def test_whatever_is_changed_in_a_token_it_is_good_no_more() -> None:
    signer, token = Signer([NEW]), Signer([NEW]).token(CLAIM)
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        assert signer.claim(token[:place] + other + token[place + 1 :]) is None
    for changed in (token[:-1], token + "A", token + "=", token + ".", f" {token}", token.replace(".", "", 1)):
        assert signer.claim(changed) is None


@pytest.mark.parametrize("text", ["", PREFIX, f"{PREFIX}.", f"{PREFIX}e30", f"{PREFIX}ü.ü", f"{PREFIX}e30.\x00", "." * 10_000])
def test_what_is_no_token_is_no_error(text: str) -> None:
    assert Signer([NEW]).claim(text) is None


@pytest.mark.parametrize("said", [b"{}", b"[]", b"\xff", b"{", b'{"tenant": "acme"}'])
def test_what_another_program_signed_with_the_same_secret_is_no_error(said: bytes) -> None:
    text = PREFIX + encoded(said)
    signature = encoded(hmac.digest(NEW.encode(), text.encode(), "sha256"))
    assert Signer([NEW]).claim(f"{text}.{signature}") is None
