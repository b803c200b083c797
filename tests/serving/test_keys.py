"""Which credential opens what, how long that is believed, and what happens while the store cannot be read."""

import asyncio
import base64
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.keys import Key, Scope, hash_of, new_text
from serving import looked as module
from serving.claims import Claim, Signer
from serving.keys import DEVELOPMENT, Credential, Keys, Refusal
from serving.looked import GRACE_S, TTL_S, KeysUnreadableError, Looked, TooManyUnknownError
from serving.settings import Settings
from serving.strangers import Strangers

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ID = "abcd2345"
TEXT = f"nw_{ID}_{'a1-_' * 10}xyz"  # the same in every process: it stands in the names of tests
KEY = Key(ID, "acme", "lms", frozenset({Scope.RANK}), True, NOON, None, None)
OPENED = Credential("acme", frozenset({Scope.RANK}), True, ID)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Store:
    """The stored keys by hash, a clock of each kind, and how often somebody looked."""

    def __init__(self, *keys: tuple[str, Key], dev_key: str = "") -> None:
        self.keys = {hash_of(text): key for text, key in keys}
        self.now, self.seconds = NOON, 0.0
        self.reads: list[str] = []
        self.down = False
        self.signer = Signer(("x" * 32,))
        self.strangers = Strangers(timer=lambda: self.seconds)
        self.opened = Keys(
            Looked(self.read, self.strangers, timer=lambda: self.seconds),
            Looked(self.read_id, self.strangers, timer=lambda: self.seconds),
            development={hash_of(dev_key): "demo"} if dev_key else {},
            signer=self.signer,
            clock=lambda: self.now,
        )

    async def read(self, key_hash: str) -> Key | None:
        self.reads.append(key_hash)
        if self.down:
            raise OSError("the disk is gone")
        return self.keys.get(key_hash)

    async def read_id(self, key_id: str) -> Key | None:
        found = [name for name, key in self.keys.items() if key.key_id == key_id]
        return await self.read(found[0] if found else "none")

    def token(self, **other: Any) -> str:
        ends = int(self.now.timestamp()) + 60
        said = {"tenant": "acme", "learner_id": "ana", "key_id": ID, "scopes": ["rank"], "expires_at": ends}
        return f"Bearer {self.signer.token(Claim.model_validate(said | other))}"

    def found(self, header: str | None, sender: str = "10.0.0.1") -> Credential | Refusal:
        return asyncio.run(self.opened.found(header, sender))


def of(settings: Settings) -> Keys:
    never = Looked(unused, Strangers())
    return Keys.of(settings, never, never, signer=Signer(()), clock=lambda: NOON)


def unused(key_hash: str) -> Awaitable[Key | None]:
    raise AssertionError(f"nobody needs to look for {key_hash}")


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TEXT}",
        f"bearer   {TEXT} ",
        basic(ID, TEXT),  # key and secret of an LMS's form
        basic(TEXT, ""),
        basic("whoever", TEXT),
        basic("", TEXT),
        basic(ID, TEXT).replace("Basic", "BASIC"),
    ],
)
def test_a_key_opens_its_tenant_as_bearer_and_as_basic(header: str) -> None:
    assert Store((TEXT, KEY)).found(header) == OPENED


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        f"Bearer {TEXT[:-1]}",
        f"Bearer {TEXT.upper()}",
        f"Bearer {hash_of(TEXT)}",  # what a backup holds
        f"Bearer {TEXT[:-1]}w",
        f"Digest {TEXT}",
        TEXT,
        "Basic",
        "Basic ",
        f"Basic {TEXT}",
        "Basic ====",
        "Basic secret",
        "Basic séc=",
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Basic " + base64.b64encode(ID.encode()).decode(),
        basic(ID, ""),
        basic(TEXT, ID),
        basic(ID, f"{ID}:{TEXT}"),
        basic(ID, "x" * 50_000),
    ],
)
def test_anything_else_opens_nothing_and_is_no_error(header: str) -> None:
    assert Store((TEXT, KEY)).found(header) is Refusal.UNKNOWN


@pytest.mark.parametrize("header", [None, ""])
def test_no_header_is_a_missing_key(header: str | None) -> None:
    assert Store((TEXT, KEY)).found(header) is Refusal.MISSING


def test_what_no_key_looks_like_is_never_looked_for() -> None:
    store = Store((TEXT, KEY))
    for text in ("x", "nw_", f"{TEXT}x", "' OR 1=1 --", "\x00"):
        store.found(f"Bearer {text}")
    assert store.reads == []


def test_an_expired_or_revoked_key_opens_nothing() -> None:
    ends = NOON + timedelta(seconds=1)
    store = Store((TEXT, replace(KEY, expires_at=ends)))
    assert store.found(f"Bearer {TEXT}") == OPENED
    store.now = ends  # the key is remembered, its end still counts
    assert store.found(f"Bearer {TEXT}") is Refusal.EXPIRED
    revoked = Store((TEXT, replace(KEY, expires_at=ends, revoked_at=ends)))
    assert revoked.found(f"Bearer {TEXT}") is Refusal.REVOKED


def test_admin_may_everything_and_another_scope_only_itself() -> None:
    admin, rank = Credential("acme", frozenset({Scope.ADMIN}), False, ID), OPENED
    assert all(admin.may(scope) for scope in Scope)
    assert [scope for scope in Scope if rank.may(scope)] == [Scope.RANK]


def test_a_key_is_read_once_in_a_while_and_revocation_counts_by_then() -> None:
    store = Store((TEXT, KEY))
    for store.seconds in (0.0, 1.0, TTL_S - 0.01):
        assert store.found(f"Bearer {TEXT}") == OPENED
    assert len(store.reads) == 1
    store.keys[hash_of(TEXT)] = replace(KEY, revoked_at=NOON)
    assert store.found(f"Bearer {TEXT}") == OPENED
    store.seconds = TTL_S
    assert store.found(f"Bearer {TEXT}") is Refusal.REVOKED
    assert len(store.reads) == 2


def test_that_there_is_no_such_key_is_remembered_as_long() -> None:
    store = Store()
    for store.seconds in (0.0, TTL_S - 0.01):
        assert store.found(f"Bearer {TEXT}") is Refusal.UNKNOWN
    assert len(store.reads) == 1
    store.keys[hash_of(TEXT)] = KEY
    store.seconds = TTL_S
    assert store.found(f"Bearer {TEXT}") == OPENED


def test_a_key_that_left_the_store_opens_nothing() -> None:
    store = Store((TEXT, KEY))
    store.found(f"Bearer {TEXT}")
    store.keys.clear()
    store.seconds = TTL_S
    assert store.found(f"Bearer {TEXT}") is Refusal.UNKNOWN
    store.seconds, store.down = 2 * TTL_S, True
    with pytest.raises(KeysUnreadableError):
        store.found(f"Bearer {TEXT}")


def test_while_the_store_is_down_a_known_key_opens_for_a_while_and_an_unknown_one_is_not_called_wrong() -> None:
    store = Store((TEXT, KEY), dev_key="dev")
    store.found(f"Bearer {TEXT}")
    store.down = True
    for store.seconds in (TTL_S, GRACE_S - 0.01):
        assert store.found(f"Bearer {TEXT}") == OPENED
    with pytest.raises(KeysUnreadableError, match="does not answer"):
        store.found(f"Bearer {new_text()[1]}")
    assert isinstance(store.found("Bearer dev"), Credential)
    assert store.found("Bearer wrong") is Refusal.UNKNOWN  # no store is needed to say so
    store.seconds = GRACE_S
    with pytest.raises(KeysUnreadableError):
        store.found(f"Bearer {TEXT}")
    store.down = False
    assert store.found(f"Bearer {TEXT}") == OPENED


def test_a_known_key_still_ends_while_the_store_is_down() -> None:
    store = Store((TEXT, replace(KEY, expires_at=NOON + timedelta(minutes=1))))
    store.found(f"Bearer {TEXT}")
    store.down, store.seconds, store.now = True, 60.0, NOON + timedelta(minutes=1)
    assert store.found(f"Bearer {TEXT}") is Refusal.EXPIRED


def test_who_tries_many_keys_pushes_out_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    store = Store((TEXT, KEY))
    store.found(f"Bearer {TEXT}")
    tried = [new_text()[1] for _ in range(10)]
    for text in tried:
        store.found(f"Bearer {text}")
    assert len(store.reads) == 11
    store.found(f"Bearer {TEXT}")
    store.found(f"Bearer {tried[-1]}")
    assert len(store.reads) == 11  # remembered
    store.found(f"Bearer {tried[0]}")
    assert len(store.reads) == 12  # forgotten: what is remembered is bounded


def test_the_development_key_opens_its_tenant_for_everything_and_is_not_kept() -> None:
    keys = of(Settings(dev_key="secret", dev_tenant="acme"))
    for header in ("Bearer secret", "bearer  secret ", basic("", "secret"), basic("secret", "")):
        assert asyncio.run(keys.found(header)) == Credential("acme", frozenset(Scope), False, DEVELOPMENT)
    assert keys.development_tenants == ("acme",)
    assert "secret" not in repr(vars(keys))


def test_an_empty_development_key_opens_nothing() -> None:
    keys = of(Settings(dev_key="", dev_tenant="acme"))
    for header in ("Bearer ", "Bearer", basic("", ""), "Basic Og=="):
        assert asyncio.run(keys.found(header)) is Refusal.UNKNOWN
    assert keys.development_tenants == ()


def test_a_token_opens_no_scope_of_a_key_and_says_whose_it_is() -> None:
    store = Store((TEXT, KEY))
    found = store.found(store.token())
    assert isinstance(found, Credential)
    assert (found.tenant, found.key_id, found.scopes, found.compat) == ("acme", ID, frozenset(), False)
    assert found.claim is not None
    assert found.claim.learner_id == "ana"
    assert not any(found.may(scope) for scope in Scope)


def test_a_token_ends_in_time_and_with_the_key_that_gave_it() -> None:
    store = Store((TEXT, replace(KEY, expires_at=NOON + timedelta(seconds=50))))
    token = store.token()
    assert isinstance(store.found(token), Credential)
    store.now = NOON + timedelta(seconds=50)
    assert store.found(token) is Refusal.TOKEN_CLOSED  # its key has ended
    store.now = NOON + timedelta(seconds=60)
    assert store.found(token) is Refusal.TOKEN_EXPIRED


def test_a_token_closes_as_fast_as_its_key_and_a_look_serves_many() -> None:
    store = Store((TEXT, KEY))
    token = store.token()
    for store.seconds in (0.0, TTL_S - 0.01):
        assert isinstance(store.found(token), Credential)
    assert len(store.reads) == 1
    store.keys[hash_of(TEXT)] = replace(KEY, revoked_at=NOON)
    assert isinstance(store.found(token), Credential)
    store.seconds = TTL_S
    assert store.found(token) is Refusal.TOKEN_CLOSED


@pytest.mark.parametrize("other", [{"tenant": "other"}, {"key_id": "zzzz2345"}, {"scopes": ["rank", "feedback"]}])
def test_a_token_opens_nothing_that_its_key_does_not(other: dict[str, Any]) -> None:
    """Whoever has the secret could sign it; the key it names decides all the same."""
    store = Store((TEXT, KEY))
    assert store.found(store.token(**other)) is Refusal.TOKEN_CLOSED


def test_the_development_key_gives_tokens_for_its_own_tenant_and_while_there_is_one() -> None:
    mine = Store(dev_key="dev")
    assert isinstance(mine.found(mine.token(key_id=DEVELOPMENT, tenant="demo")), Credential)
    assert mine.found(mine.token(key_id=DEVELOPMENT)) is Refusal.TOKEN_CLOSED
    without = Store()
    assert without.found(without.token(key_id=DEVELOPMENT, tenant="demo")) is Refusal.TOKEN_CLOSED


def test_a_token_that_nobody_signed_is_never_looked_for() -> None:
    store = Store((TEXT, KEY))
    for text in (store.token()[:-1], "Bearer nwt1.", "Bearer nwt1.e30.e30", "Bearer nwt1.\x00.ü"):
        assert store.found(text) is Refusal.NO_TOKEN
    assert store.reads == []


def flood(store: Store, times: int, sender: str) -> int:
    """How many wrong keys were refused before they were looked for."""
    refused = 0
    for _ in range(times):
        try:
            store.found(f"Bearer {new_text()[1]}", sender)
        except TooManyUnknownError as error:
            refused += error.wait_s > 0
    return refused


def test_a_flood_of_wrong_keys_does_not_reach_the_store() -> None:
    store = Store((TEXT, KEY))
    assert flood(store, 1_000, "10.0.0.9") == 980
    assert len(store.reads) == 20
    store.seconds = 3.0
    assert flood(store, 10, "10.0.0.9") == 7


def test_who_floods_keeps_nobody_else_out() -> None:
    store, other = Store((TEXT, KEY)), "10.0.0.2"
    store.found(f"Bearer {TEXT}", "10.0.0.9")
    flood(store, 100, "10.0.0.9")
    assert store.found(f"Bearer {TEXT}", "10.0.0.9") == OPENED  # known here: from wherever it comes
    store.seconds = TTL_S
    flood(store, 100, "10.0.0.9")
    assert store.found(f"Bearer {TEXT}", "10.0.0.9") == OPENED  # and looked for again when it is time
    assert store.found(f"Bearer {new_text()[1]}", other) is Refusal.UNKNOWN
    store.keys[hash_of(new := new_text()[1])] = replace(KEY, key_id="zzzz2345")
    assert isinstance(store.found(f"Bearer {new}", other), Credential)  # an address without a flood shows new keys


def test_a_key_that_is_one_uses_up_nothing() -> None:
    made = [(new_text()[1], replace(KEY, key_id=f"k{n:07}")) for n in range(50)]
    store = Store(*made)
    assert all(isinstance(store.found(f"Bearer {text}"), Credential) for text, _ in made)
    store.down = True
    for _ in range(50):
        with pytest.raises(KeysUnreadableError):
            store.found(f"Bearer {new_text()[1]}")
    store.down = False
    assert flood(store, 20, "10.0.0.1") == 0


def test_wrong_keys_from_everywhere_are_limited_together() -> None:
    store = Store()
    refused = sum(flood(store, 1, f"10.0.{n // 250}.{n % 250}") for n in range(1_000))
    assert (refused, len(store.reads)) == (900, 100)


def test_what_is_no_key_by_its_look_counts_for_nothing() -> None:
    store = Store()
    assert all(store.found("Bearer junk") is Refusal.UNKNOWN for _ in range(100))
    assert flood(store, 20, "10.0.0.1") == 0
