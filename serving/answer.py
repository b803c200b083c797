"""An answer on its way out: whatever says an error in words of its own, says it as problem+json."""

import json
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Message, Send

from serving.problems import PROBLEM_JSON, first_error, problem

RawHeaders = list[tuple[bytes, bytes]]


class Answer:
    """Passes an answer on, except an error in other words than problem+json: that is held back and said again.

    `more`: headers that are added to whatever is sent. `page`: whether people look at it, who may be told in HTML.
    `at_start`: called, where it is set, when the answer begins to be sent.
    """

    def __init__(self, send: Send, more: RawHeaders, *, page: bool = False) -> None:
        self._send, self._more = send, more
        self._words = (PROBLEM_JSON, "text/html") if page else (PROBLEM_JSON,)
        self._held: list[bytes] | None = None
        self.at_start: Callable[[], None] | None = None
        self.started = False
        self.status = 500

    async def send(self, message: Message) -> None:
        """What the application sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            media = Headers(raw=message["headers"]).get("content-type", "")
            if self.status >= 400 and not media.startswith(self._words):
                self._held = []
                return
        if self._held is None:
            await self.pass_on(message)
            return
        self._held.append(message.get("body", b""))
        if not message.get("more_body", False):
            await self.finish()

    async def pass_on(self, message: Message) -> None:
        """What we say ourselves."""
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            if self.at_start is not None:
                self.at_start()
            message = {**message, "headers": [*message["headers"], *self._more]}
        await self._send(message)

    async def finish(self) -> None:
        """Say a held error as a problem."""
        if self._held is None:
            return
        body, self._held = b"".join(self._held), None
        field, detail = _in_words(self.status, body)
        later = {"Retry-After": "2"} if self.status in (503, 504) else {}
        field = field or ("body" if self.status == 400 else None)
        response = problem(self.status, detail, field=field, headers=later)
        await self.pass_on({"type": "http.response.start", "status": self.status, "headers": response.raw_headers})
        await self.pass_on({"type": "http.response.body", "body": response.body})


def _in_words(status: int, body: bytes) -> tuple[str | None, str]:
    """(field, detail) of an error that BentoML or Starlette answered."""
    try:
        said: Any = json.loads(body)
    except ValueError:
        return None, body.decode("utf-8", "replace").strip() or "no further detail"
    if isinstance(said, dict) and isinstance(said.get("detail"), list) and said["detail"]:
        return first_error(said["detail"])
    said = said.get("error", said) if isinstance(said, dict) else said
    return None, said if isinstance(said, str) else json.dumps(said)
