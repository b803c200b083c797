"""Answers packed with gzip, for clients that say they can unpack it: text of more than a kilobyte, sent as one piece.

What is not to be kept (`Cache-Control: no-store`: tokens, the preview page) is not packed either: its length must not tell what
it holds.
"""

import asyncio
import gzip
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Send

LEAST: Final = 1_000
"""Bytes from which on an answer is packed: a shorter one fits into a packet as it is."""
LARGE: Final = 100_000
"""Bytes from which on it is packed beside the event loop (a millisecond)."""
LEVEL: Final = 1
"""Ten items of 3.4 kB become 560 bytes in 11 microseconds, fifty of 16.6 kB 1.2 kB in 22; level 6 takes twice to three times
as long for a tenth less."""
_MEDIA: Final = ("application/json", "application/problem+json", "text/")


def accepted(headers: Headers) -> bool:
    """Whether a client unpacks gzip. `gzip;q=0` says that it does not."""
    for one in headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = one.strip().partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class Packed:
    """Passes on what is sent, packed where that is worth it.

    An answer that says its length is gathered first, for BentoML sends its end apart; what says none is passed on as it comes.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None
        self._pieces: list[bytes] = []

    async def send(self, message: Message) -> None:
        """What the application sends."""
        if message["type"] == "http.response.start":
            message = _weak(message)
        if message["type"] == "http.response.start" and _worth_it(Headers(raw=message["headers"])):
            self._head = message
        elif self._head is None:
            await self._send(message)
        else:
            self._pieces.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._send_packed(self._head, b"".join(self._pieces))

    async def _send_packed(self, head: Message, plain: bytes) -> None:
        small = _compressed(plain) if len(plain) < LARGE else await asyncio.to_thread(_compressed, plain)
        headers = MutableHeaders(raw=list(head["headers"]))
        headers["Content-Encoding"], headers["Content-Length"] = "gzip", str(len(small))
        headers.add_vary_header("Accept-Encoding")
        await self._send({**head, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": small})


def _weak(head: Message) -> Message:
    """With a weak ETag, whatever becomes of the body: it names other bytes than the packed ones, and 304 must say the same."""
    headers = MutableHeaders(raw=list(head["headers"]))
    if not headers.get("etag", "").startswith('"'):
        return head
    headers["ETag"] = f"W/{headers['etag']}"
    return {**head, "headers": headers.raw}


def _compressed(plain: bytes) -> bytes:
    return gzip.compress(plain, LEVEL, mtime=0)


def _worth_it(headers: Headers) -> bool:
    length = headers.get("content-length", "")
    return (
        length.isdigit()
        and int(length) >= LEAST
        and headers.get("content-type", "").startswith(_MEDIA)
        and "content-encoding" not in headers
        and "no-store" not in headers.get("cache-control", "")
    )
