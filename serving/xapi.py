"""`/xapi/statements`: what an LMS or a player says by xAPI 1.0.x and 2.0, durable and all or nothing when acknowledged."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from time import monotonic
from typing import Any, Final, TypeVar

from starlette.responses import JSONResponse, Response

from features.store import ConflictError, TenantSession, VoidingError
from features.xapi.intake import Intake, StatementError, check, take_in
from features.xapi.repair import plain_uuid
from features.xapi.values import is_uuid
from serving.problems import RefusedError, later
from serving.runtime import Runtime, StoreDownError

MAX_STATEMENTS: Final = 1_000
HEADER: Final = "X-Experience-API-Version"
THROUGH: Final = "X-Experience-API-Consistent-Through"
VERSIONS: Final = ("1.0.0", "1.0.1", "1.0.2", "1.0.3", "2.0.0")
OLD_VERSION: Final = "version header missing or old"
REFUSED: Final = "refused"
"""Kind of what is counted: statements that were refused, by the field that was wrong."""

_VERSION = re.compile(r"1\.0(?:\.\d{1,3})?|2\.0(?:\.\d{1,3})?")
T = TypeVar("T")
_PLACE_PARTS, _PART_LENGTH = 4, 40


@dataclass(frozen=True)
class Sender:
    """Whose statements these are: the tenant, the key that vouches for them, and whether known quirks are repaired."""

    tenant: str
    key_id: str
    compat: bool


def about() -> Response:
    """`GET /xapi/about`: the versions that are spoken."""
    return JSONResponse({"version": list(VERSIONS)}, headers={HEADER: VERSIONS[-1]})


async def post(runtime: Runtime, sender: Sender, headers: Mapping[str, str], body: Any) -> Response:
    """`POST /xapi/statements`: the ids of a statement or batch. Raises RefusedError (400, 409, 503): nothing was stored."""
    single = isinstance(body, dict)
    bodies = [body] if single else body
    if not isinstance(bodies, list) or len(bodies) > MAX_STATEMENTS:
        raise RefusedError(400, f"body: send one statement or an array of at most {MAX_STATEMENTS:,}", field="body")
    spoken, repairs = _version(headers, sender)
    found = await _receive(runtime, sender, bodies, repairs, single=single)
    return JSONResponse([one.statement_id for one in found], headers={HEADER: spoken})


async def put(
    runtime: Runtime, sender: Sender, headers: Mapping[str, str], query: Mapping[str, Sequence[str]], body: Any
) -> Response:
    """`PUT /xapi/statements?statementId=ID`: 204 when it is stored, also where it was before. Raises as `post`."""
    named = _only(query, ("statementId",), sender)["statementId"]
    if not isinstance(body, dict):
        raise RefusedError(400, "body: a PUT carries one statement", field="body")
    own = body.get("id", named)
    if not isinstance(own, str) or _plain(own, sender).lower() != named:
        raise RefusedError(400, f"id: the statement has the id {str(own)[:60]!r}, statementId says {named}", field="id")
    spoken, repairs = _version(headers, sender)
    await _receive(runtime, sender, [{**body, "id": own}], repairs, single=True)
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={HEADER: spoken})


async def get(runtime: Runtime, sender: Sender, headers: Mapping[str, str], query: Mapping[str, Sequence[str]]) -> Response:
    """`GET /xapi/statements?statementId=ID` or `voidedStatementId=ID`: one statement as it is stored; 404 where there is none.

    Lists are not offered: this is a way in for an emitter, not a store of records for others to read.
    """
    spoken, _ = _version(headers, sender)
    ((asked, named),) = _only(query, ("statementId", "voidedStatementId"), sender).items()
    voided = asked == "voidedStatementId"
    found = await _of_store(runtime, sender.tenant, lambda session: session.statement(named, voided=voided))
    if found is None:
        raise RefusedError(404, f"there is no {'voided ' if voided else ''}statement {named}")
    return JSONResponse(found, headers={HEADER: spoken, THROUGH: runtime.clock().isoformat()})


async def _receive(
    runtime: Runtime, sender: Sender, bodies: Sequence[Any], repairs: Sequence[str], *, single: bool
) -> list[Intake]:
    now = runtime.clock()
    try:
        found = await _of_store(runtime, sender.tenant, lambda session: _understood(session, sender, bodies, now, repairs))
        began = monotonic()
        done = await runtime.write(sender.tenant, lambda session: session.receive(found), by=sender.key_id)
        runtime.metrics.known.observe(monotonic() - began)
    except StatementError as error:
        await _count_refused(runtime, sender.tenant, error.field, now)
        place = ".".join(part for part in ("" if single else str(error.index), error.field) if part)
        raise RefusedError(400, f"{place or 'body'}: {error}", field=place or "body") from error
    except ConflictError as error:
        await _count_refused(runtime, sender.tenant, "id", now)
        status = 400 if isinstance(error, VoidingError) else 409
        raise RefusedError(status, f"statement {error.statement_id}: {error}", field="id") from error
    except StoreDownError as error:
        nameless = any(isinstance(body, dict) and "id" not in body for body in bodies)
        raise later(error, "; those without an id may be stored twice then: give each one an id" if nameless else "") from error
    runtime.metrics.statements.labels("stored").inc(len(done.new))
    runtime.metrics.statements.labels("duplicate").inc(done.duplicates)
    runtime.metrics.statements.labels("suppressed").inc(done.suppressed)
    for one in done.new:
        if one.event is not None:
            runtime.metrics.recorded(one.event)
    return found


def _understood(
    session: TenantSession, sender: Sender, bodies: Sequence[Any], now: datetime, repairs: Sequence[str]
) -> list[Intake]:
    checked = check(bodies, compat=sender.compat)
    checked[:1] = [replace(one, repairs=(*one.repairs, *repairs)) for one in checked[:1]]  # of the request, counted once
    known = session.known_items({name for one in checked for name in one.names})
    authority, compat = sender.key_id, sender.compat
    return take_in(checked, tenant=sender.tenant, now=now, known=known.__contains__, authority=authority, compat=compat)


def _version(headers: Mapping[str, str], sender: Sender) -> tuple[str, list[str]]:
    """(the version to answer in, repairs). Errors: RefusedError for a version that is not spoken."""
    given = headers.get(HEADER.lower())
    if given is not None and _VERSION.fullmatch(given.strip()):
        return VERSIONS[-1] if given.strip().startswith("2") else VERSIONS[-2], []
    if sender.compat:
        return VERSIONS[-2], [OLD_VERSION]
    what = f"{HEADER} is missing" if given is None else f"{HEADER} {given[:20]!r} is not spoken here"
    raise RefusedError(400, f"{what}: send 1.0.3 or 2.0.0 (a key in compat mode takes any)", field=HEADER)


def _only(query: Mapping[str, Sequence[str]], names: tuple[str, ...], sender: Sender) -> dict[str, str]:
    """The one parameter that is asked for, a UUID in lower case, however an emitter in compat mode writes it. RefusedError."""
    given = [(name, value) for name in names for value in query.get(name, ())]
    offered = " or ".join(f"{name}=UUID" for name in names)
    if len(given) != 1:
        raise RefusedError(400, f"query: name one statement, by {offered}", field="statementId")
    name, value = given[0][0], _plain(given[0][1], sender)
    if not is_uuid(value):
        raise RefusedError(400, f"{name}: {value[:60]!r} is no UUID", field=name)
    return {name: value.lower()}


def _plain(given: str, sender: Sender) -> str:
    return plain_uuid(given) if sender.compat else given


async def _count_refused(runtime: Runtime, tenant: str, field: str, now: datetime) -> None:
    """Only the place is kept, without indices: the value may speak of a person."""
    parts = ["*" if part.isdigit() else part[:_PART_LENGTH] for part in field.split(".") if part][:_PLACE_PARTS]
    counted = Counter({(REFUSED, ".".join(parts) or "body"): 1})
    runtime.metrics.statements.labels("refused").inc()
    with suppress(StoreDownError):
        await runtime.write(tenant, lambda session: session.count(counted, at=now))


async def _of_store(runtime: Runtime, tenant: str, work: Callable[[TenantSession], T]) -> T:
    try:
        return await runtime.beside(tenant, work)
    except StoreDownError as error:
        raise later(error) from error
