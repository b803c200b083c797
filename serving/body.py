"""The request body: its media type, its size, its compression, and whether it is JSON that everybody reads the same way."""

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import from_json
from starlette.types import Receive

from serving.problems import RefusedError

MAX_BODY: Final = 1_000_000
"""Bytes, compressed and not: 1,000 events of a kilobyte each."""
MAX_FORM: Final = 10_000
"""Bytes of a form: nobody types into one."""
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data", "")
LARGE: Final = 50_000
"""Bytes from which on a body is read beside the event loop (a hundred rows take 10 ms)."""


def plain_json(headers: Mapping[str, str], body: bytes) -> bytes:
    """What `read_body` read, decompressed and known to be strict JSON. Raises RefusedError: 413, 400 for what is not JSON."""
    plain = unpacked(headers, body, MAX_BODY)
    check_json(plain)
    return plain


def is_large(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether to decompress and parse it beside the event loop."""
    return len(body) > LARGE or "content-encoding" in headers


async def read_body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes:
    """The body as it was sent, neither decompressed nor parsed. Raises RefusedError: 415, 413."""
    media = _media(headers)
    if media != "application/json":
        raise RefusedError(415, f"Content-Type is {media or 'missing'}; send application/json", field="content-type")
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip"):
        raise RefusedError(415, f"Content-Encoding {coding} is not accepted; send identity or gzip", field="content-encoding")
    if (length := headers.get("content-length", "")).isdigit() and int(length) > limit:
        raise _too_large(limit)
    return await _read(receive, limit)


async def read_form(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The body of a form as a browser or a mail program sends it, not parsed; it may be empty. RefusedError: 415, 413."""
    media = _media(headers)
    if media not in _FORMS:
        raise RefusedError(415, f"Content-Type is {media}; send a form", field="content-type")
    return await _read(receive, MAX_FORM)


def unpacked(headers: Mapping[str, str], body: bytes, limit: int) -> bytes:
    """What `read_body` read, decompressed. Raises RefusedError: 413, 400."""
    packed = headers.get("content-encoding", "identity").strip().lower() == "gzip"
    return _gunzip(body, limit) if packed else body


def _media(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


async def _read(receive: Receive, limit: int) -> bytes:
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the connection closed before the body was complete", field="body")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return b"".join(chunks)


def _gunzip(body: bytes, limit: int) -> bytes:
    """Stops at the limit: a bomb is never unpacked."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise RefusedError(400, f"the body is not gzip: {error}", field="content-encoding") from error
    if len(plain) > limit:
        raise _too_large(limit)
    if not inflater.eof or inflater.unused_data:
        raise RefusedError(400, "the gzip body is cut off or carries more than one member", field="content-encoding")
    return plain


def check_json(body: bytes) -> Any:
    """The parsed body. Refuses broken JSON and UTF-8, NaN and Infinity, lone surrogates, and a key that stands twice.

    A number such as 1e400 is JSON; the payload models refuse it, naming its field.
    """
    try:
        if len(body) > MAX_BODY:
            # `from_json` would keep every other thread waiting to its end; what it alone refuses, the row models refuse.
            return json.loads(body.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_number)
        from_json(body, allow_inf_nan=False)
        return json.loads(body, object_pairs_hook=_no_duplicates)
    except RefusedError:
        raise
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"the body is not valid JSON: {error}", field="body") from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RefusedError(400, f"{key}: this field stands twice in one object", field=key)
        found[key] = value
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _too_large(limit: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {limit:,} bytes; send it in parts", field="body")
