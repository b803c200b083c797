"""Links: signed for one thing, and for nothing else."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from messages import DUE, PUBLIC, SIGNER

from serving.cards.links import LIFE, PREFIX, Action, Link, links, read, token
from serving.claims import Claim, Signer, TokenScope

LINK = Link("acme", "d1", Action.STOP, 1_780_000_000)


def test_a_link_says_what_was_signed() -> None:
    assert read(SIGNER, token(SIGNER, LINK)) == LINK
    assert token(SIGNER, LINK).startswith(PREFIX)
    assert len(token(SIGNER, LINK)) < 128


def test_whatever_is_changed_in_it_it_is_good_no_more() -> None:
    text = token(SIGNER, LINK)
    for place in range(len(text)):
        other = "A" if text[place] != "A" else "B"
        assert read(SIGNER, text[:place] + other + text[place + 1 :]) is None
        assert read(SIGNER, text[:place]) is None
    assert read(Signer(["o" * 32]), text) is None
    assert read(Signer([]), text) is None


def test_a_learner_token_is_no_link_and_a_link_is_no_learner_token() -> None:
    claim = Claim(tenant="acme", learner_id="ana", key_id="k", scopes=frozenset({TokenScope.RANK}), expires_at=1_780_000_000)
    assert read(SIGNER, SIGNER.token(claim)) is None
    assert SIGNER.claim(token(SIGNER, LINK)) is None
    # Not even where the data would do for the other: the prefix is signed too.
    assert SIGNER.claim(SIGNER.signed(PREFIX, claim.model_dump_json().encode())) is None
    assert read(SIGNER, PREFIX + SIGNER.token(claim).removeprefix("nwt1.")) is None


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'["acme","d1","erase",1]', b'["acme","d1","stop"]', b"\xff", b"null"])
def test_what_another_program_signed_with_the_secret_is_no_link(said: bytes) -> None:
    assert read(SIGNER, SIGNER.signed(PREFIX, said)) is None


def test_each_action_has_its_address_and_its_end() -> None:
    made = links(SIGNER, PUBLIC, "acme", "d1", [Action.OPEN, Action.STOP], at=DUE)
    assert list(made) == [Action.OPEN, Action.STOP]
    for action, url in made.items():
        assert url.startswith(f"{PUBLIC}/nudges/act?t=")
        link = read(SIGNER, parse_qs(urlsplit(url).query)["t"][0])
        assert link == Link("acme", "d1", action, int((DUE + LIFE).timestamp()))
    assert timedelta(days=30) <= LIFE


def test_without_a_secret_or_an_address_there_are_none() -> None:
    assert links(Signer([]), PUBLIC, "acme", "d1", list(Action), at=DUE) == {}
    assert links(SIGNER, "", "acme", "d1", list(Action), at=DUE) == {}


def test_an_action_of_a_decision_is_one_whenever_its_link_was_made() -> None:
    assert LINK.action_id == LINK._replace(expires_at=1).action_id
    others = [LINK._replace(tenant="bolt"), LINK._replace(decision_id="d2"), LINK._replace(action=Action.LATER)]
    assert len({LINK.action_id, *(other.action_id for other in others)}) == 4
