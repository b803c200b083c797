"""API keys as the store keeps them, on SQLite and on PostgreSQL alike."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
import sqlalchemy as sa

from features.keys import Key, Scope, hash_of, looks_like_a_key, new_text
from features.store import EventStore, KeyRows, UnknownKeyError
from features.store.keys import _find_statement
from features.store.tables import KEYS
from features.store.wall import across

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def keys(store: EventStore) -> KeyRows:
    return store.keys()


def test_a_key_is_found_by_its_hash_as_it_was_made(keys: KeyRows) -> None:
    scopes = [Scope.INGEST, Scope.RANK]
    made = keys.add("acme", "Moodle Büro", scopes, at=NOON, compat=True, expires_at=NOON + 90 * DAY)
    keys.add("other", "Moodle", scopes, at=NOON)
    expected = Key(made.key.key_id, "acme", "Moodle Büro", frozenset(scopes), True, NOON, NOON + 90 * DAY, None)
    assert keys.find(hash_of(made.text)) == made.key == expected
    assert made.text.startswith(f"nw_{made.key.key_id}_")
    assert keys.find(hash_of(made.text + "x")) is None
    assert keys.find(made.text) is None


def test_a_key_is_found_by_its_id_as_tokens_name_it(keys: KeyRows) -> None:
    made = keys.add("acme", "lms", [Scope.RANK], at=NOON)
    keys.add("other", "lms", [Scope.RANK], at=NOON)
    assert keys.named(made.key.key_id) == made.key
    assert keys.named("none") is None


def test_the_key_itself_is_kept_nowhere(keys: KeyRows, store: EventStore) -> None:
    made = keys.add("acme", "lms", [Scope.RANK], at=NOON)
    secret = made.text.split("_", 2)[2]
    with across(store.engine).connect() as connection:
        (row,) = connection.execute(sa.select(KEYS))
    assert secret not in f"{row} {made!r} {made.key!r}"
    assert row.key_hash == sha256(made.text.encode()).hexdigest()


def test_every_key_is_another_and_looks_like_one() -> None:
    texts = [new_text() for _ in range(200)]
    assert len({text for _, text in texts}) == len({key_id for key_id, _ in texts}) == 200
    assert all(looks_like_a_key(text) and text.startswith(f"nw_{key_id}_") and len(text) == 55 for key_id, text in texts)
    text = texts[0][1]
    for other in ("", "nw_", text[:-1], text + "x", text.upper(), f" {text}", text + "\n", text.replace("nw", "sk")):
        assert not looks_like_a_key(other)


@pytest.mark.parametrize(
    ("name", "scopes", "end", "words"),
    [
        ("lms", [], None, "at least one scope"),
        ("", [Scope.RANK], None, "name of a key"),
        (" ", [Scope.RANK], None, "name of a key"),
        ("\x1b[2J", [Scope.RANK], None, "name of a key"),
        ("x" * 101, [Scope.RANK], None, "name of a key"),
        ("lms", [Scope.RANK], NOON, "must end after"),
    ],
)
def test_what_is_no_key_is_refused(keys: KeyRows, name: str, scopes: list[Scope], end: datetime | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        keys.add("acme", name, scopes, at=NOON, expires_at=end)
    assert keys.listed() == []


def test_keys_are_listed_by_tenant_the_oldest_first(keys: KeyRows) -> None:
    made = [keys.add(tenant, "k", [Scope.RANK], at=NOON - n * DAY).key for n, tenant in enumerate(("b", "a", "b"))]
    assert keys.listed() == [made[1], made[2], made[0]]
    assert keys.listed("b") == [made[2], made[0]]
    assert keys.listed("none") == []


def test_a_key_opens_until_its_end_and_never_after_it_was_revoked(keys: KeyRows) -> None:
    made = keys.add("acme", "lms", [Scope.RANK], at=NOON, expires_at=NOON + DAY)
    just_before = NOON + DAY - timedelta(microseconds=1)
    assert [made.key.open_at(at) for at in (LONG_AGO, just_before, NOON + DAY)] == [True, True, False]
    revoked = keys.revoke(made.key.key_id, at=NOON)
    assert keys.find(hash_of(made.text)) == revoked
    assert not any(revoked.open_at(at) for at in (LONG_AGO, NOON, just_before))  # clocks differ, the wish does not


def test_revoking_again_keeps_the_first_moment(keys: KeyRows) -> None:
    first, other = (keys.add("acme", "lms", [Scope.RANK], at=NOON) for _ in range(2))
    keys.revoke(first.key.key_id, at=NOON)
    assert keys.revoke(first.key.key_id, at=NOON + DAY).revoked_at == NOON
    assert keys.find(hash_of(other.text)) == other.key


def test_a_rotated_key_opens_for_a_while_and_the_new_one_is_its_like(keys: KeyRows) -> None:
    old = keys.add("acme", "lms", [Scope.SYNC, Scope.INGEST], at=NOON, compat=True)
    new = keys.rotate(old.key.key_id, at=NOON + DAY)
    assert new.text != old.text
    assert new.key == Key(new.key.key_id, "acme", "lms", old.key.scopes, True, NOON + DAY, None, None)
    assert keys.find(hash_of(new.text)) == new.key
    ending = keys.find(hash_of(old.text))
    assert ending is not None
    assert ending.expires_at == NOON + 2 * DAY  # 24 hours, unless said otherwise


def test_a_rotated_key_never_lives_longer_and_the_new_one_lives_as_long(keys: KeyRows) -> None:
    old = keys.add("acme", "lms", [Scope.RANK], at=NOON, expires_at=NOON + 10 * DAY)
    new = keys.rotate(old.key.key_id, at=NOON + 9 * DAY, grace=5 * DAY)
    assert new.key.expires_at == NOON + 19 * DAY
    assert [key.expires_at for key in keys.listed()] == [NOON + 10 * DAY, NOON + 19 * DAY]


def test_what_is_closed_or_unknown_is_not_rotated(keys: KeyRows) -> None:
    revoked, expired = (keys.add("acme", "k", [Scope.RANK], at=NOON, expires_at=NOON + DAY).key.key_id for _ in range(2))
    keys.revoke(revoked, at=NOON)
    with pytest.raises(ValueError, match="revoked: add a new one"):
        keys.rotate(revoked, at=NOON)
    with pytest.raises(ValueError, match="expired: add a new one"):
        keys.rotate(expired, at=NOON + DAY)
    for change in (keys.rotate, keys.revoke):
        with pytest.raises(UnknownKeyError, match="'nosuchid'"):
            change("nosuchid", at=NOON)
    assert len(keys.listed()) == 2


def test_a_scope_of_a_newer_program_opens_nothing_here(keys: KeyRows, store: EventStore) -> None:
    made = keys.add("acme", "lms", [Scope.RANK], at=NOON)
    with across(store.engine).begin() as connection:
        connection.execute(sa.update(KEYS).values(scopes="rank teleport"))
    assert keys.find(hash_of(made.text)) == made.key


def test_a_key_is_found_by_an_index(keys: KeyRows, store: EventStore) -> None:
    keys.add("acme", "lms", [Scope.RANK], at=NOON)
    sql, order = _find_statement(store.engine.dialect)
    with store.engine.connect() as connection:
        if order:
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("x",)).all())
            assert "USING INDEX" in plan
        else:
            connection.exec_driver_sql("SET enable_seqscan = off")  # one page is read whole, whatever indexes there are
            plan = str(connection.exec_driver_sql(f"EXPLAIN {sql}", {"key_hash": "x", "tenant": "*"}).all())
            assert "api_keys_key_hash_key" in plan
