"""The catalogue over HTTP: rows put, synced, retired and shown, so that a tenant's systems need no file.

`PUT /v1/items` upserts; with `snapshot=true` the body is all there is. Skills, roles, learners and assignments alike.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.events import Id
from features.store import GrantedError, PutResult, TakenError, TenantSession, VanishError, VersionError
from serving.body import is_large, unpacked
from serving.etags import tagged
from serving.keys import Credential
from serving.middleware import CREDENTIAL, TENANT
from serving.payloads import CatalogueAnswer, SyncQuery, UnknownName
from serving.problems import RefusedError, later
from serving.rows import Reference, Rows, read_rows
from serving.runtime import Runtime, StoreDownError
from serving.skills import read_query

PLURALS: Final[Mapping[str, str]] = {f"{kind}s": kind for kind in ("item", "learner", "role", "skill", "assignment")}
MAX_BYTES: Final = 20_000_000
"""Of a body, packed and not: some 40,000 items with a paragraph each."""
LIMITS: Final[Mapping[str, int]] = {f"/v1/{plural}": MAX_BYTES for plural in PLURALS}
"""Bytes of a body by route, where more than elsewhere is taken; these bodies are read beside the event loop."""
NOT_RETIRED: Final = frozenset({"learner"})
"""Who leaves has the status `ended`: a learner without a row would be shown what is open to everybody."""
SHOWN: Final = 20
"""Unknown names that are listed; the count is of all."""

_ID: Final = TypeAdapter[str](Id)


def routes(runtime: Callable[[], Runtime]) -> list[Route]:
    """The routes of all kinds. `runtime`: the one that is running when a request comes."""
    return [route for plural, kind in PLURALS.items() for route in _routes(runtime, plural, kind)]


def _routes(runtime: Callable[[], Runtime], plural: str, kind: str) -> list[Route]:
    name = f"{kind}_id"

    async def put_rows(request: Request) -> Response:
        query = read_query(SyncQuery, {key: request.query_params.getlist(key) for key in request.query_params})
        answer = await put(runtime(), CREDENTIAL.get(), kind, request.headers, await request.body(), query)
        return Response(answer.model_dump_json(), media_type="application/json")

    async def get_row(request: Request) -> Response:
        body = await shown(runtime(), TENANT.get(), kind, request.path_params[name])
        return tagged(request, body)

    async def retire_row(request: Request) -> Response:
        await retire(runtime(), CREDENTIAL.get(), kind, request.path_params[name])
        return Response(status_code=204)

    path = f"/v1/{plural}/{{{name}:path}}"
    one = [Route(path, get_row, methods=["GET"])]
    one += [] if kind in NOT_RETIRED else [Route(path, retire_row, methods=["DELETE"])]
    return [Route(f"/v1/{plural}", put_rows, methods=["PUT"]), *one]


async def put(
    runtime: Runtime, asks: Credential, kind: str, headers: Mapping[str, str], body: bytes, query: SyncQuery
) -> CatalogueAnswer:
    """Store the rows of a body as one. RefusedError, after which nothing is changed: 400 for a wrong row, 409 for a snapshot
    without too many of the rows that stand, for an item that another tenant grants, for a learner under another's name, and
    for a clock that went back, 503 while the store is down.
    """
    if "most_vanish" in query.model_fields_set and not query.snapshot:
        raise RefusedError(400, "most_vanish: it goes with snapshot=true; without it nothing vanishes", field="most_vanish")
    large = is_large(headers, body)

    def read() -> Rows:
        return read_rows(kind, unpacked(headers, body, MAX_BYTES), snapshot=query.snapshot, now=runtime.clock())

    async with runtime.large_body if large else nullcontext():
        rows = await runtime.apart(read) if large else read()
        try:
            done, unknown = await _written(runtime, asks, lambda session: _stored(session, runtime, kind, rows, query))
        except TakenError as error:
            place = rows.place(error.row_id, error.field)
            raise RefusedError(409, f"{place}: {str(error).removeprefix(error.field + ': ')}", field=place) from error
    return CatalogueAnswer(
        inserted=done.inserted,
        changed=done.changed,
        unchanged=done.unchanged,
        retired=done.retired,
        unresolved_count=len(unknown),
        unresolved=tuple(
            UnknownName(kind=one.kind, id=one.name, named_by=one.named_by, field=one.field) for one in unknown[:SHOWN]
        ),
    )


async def shown(runtime: Runtime, tenant: str, kind: str, row_id: str) -> str:
    """The JSON of one row as it stands. RefusedError: 404 without one, 503."""
    check_row_id(kind, row_id)
    try:
        row = await runtime.beside(tenant, lambda session: session.row(kind, row_id))
    except StoreDownError as error:
        raise later(error) from error
    if row is None:
        raise missing(kind, row_id)
    return row.model_dump_json()


async def retire(runtime: Runtime, asks: Credential, kind: str, row_id: str) -> None:
    """End one row. RefusedError: 404 without one, 409 for one that is granted and for a clock that went back, 503."""
    check_row_id(kind, row_id)
    if not await _written(runtime, asks, lambda session: session.retire(kind, [row_id], at=runtime.clock())):
        raise missing(kind, row_id)


def _stored(
    session: TenantSession, runtime: Runtime, kind: str, rows: Rows, query: SyncQuery
) -> tuple[PutResult, Sequence[Reference]]:
    at = runtime.clock()  # here, where requests stand in line: the later one has the later time
    if query.snapshot:
        done = session.sync(kind, rows.stored, at=at, most_vanish=query.most_vanish)
    else:
        done = session.put(rows.stored, at=at)
    names: dict[str, set[str]] = {}
    for one in rows.references:
        names.setdefault(one.kind, set()).add(one.name)
    known = {named: session.known_names(named, own) for named, own in names.items()}
    return done, [one for one in rows.references if one.name not in known[one.kind]]


async def _written(runtime: Runtime, asks: Credential, work: Callable[[TenantSession], Any]) -> Any:
    try:
        return await runtime.write(asks.tenant, work, by=asks.key_id)
    except VanishError as error:
        words = f"{error}; send the whole catalogue, or allow more with most_vanish"
        raise RefusedError(409, words, field="most_vanish") from error
    except VersionError as error:
        words = f"{error}: the clock of a service went back, or two wrote at once; nothing was stored, send the same again"
        raise RefusedError(409, words) from error
    except GrantedError as error:
        raise RefusedError(409, f"{error}; nothing was stored", field="id") from error
    except StoreDownError as error:
        raise later(error) from error


def check_row_id(kind: str, row_id: str) -> None:
    """Raises RefusedError (400) for what is no id."""
    try:
        _ID.validate_python(row_id)
    except ValidationError as error:
        said, field = error.errors(include_url=False)[0]["msg"], f"{kind}_id"
        raise RefusedError(400, f"{field}: {said}", field=field) from None


def missing(kind: str, row_id: str) -> RefusedError:
    """A 404 that names what is not there."""
    return RefusedError(404, f"there is no {kind} {row_id!r}", field=f"{kind}_id")
