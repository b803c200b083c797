"""The three years that `benchmarks.import_beside` imports: `python -m benchmarks.import_history URL FILE` sends them over HTTP.

The embedded organisation with a longer past, as a folder for `python -m features ingest`, and as what an LMS would post.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import aiohttp

from features.synthetic import synthesize
from features.synthetic.parameters import EMBEDDED

BATCH = 1_000
KEY = "NEXTWISE_KEY"
"""The variable of the environment that holds the key to send with."""
_LONGER = {"start = 2025-09-01": "start = 2023-11-01", "takes_mean = 26.0": "takes_mean = 67.0"}
_NOT_SENT = ("backfill", "recorded_at", "source")


@dataclass(frozen=True)
class History:
    """`catalogue`: a folder without events. `files`: one with events only. `posts`: the same events, a JSON object a line."""

    catalogue: Path
    files: Path
    posts: Path
    events: int


def history(folder: Path, most: int | None) -> History:
    """Three years of 1,500 learners, the last `most` events of them."""
    text = EMBEDDED.read_text("utf-8")
    for old, new in _LONGER.items():
        if old not in text:
            raise SystemExit(f"the embedded organisation has no {old!r} any more: say here what makes three years of it")
        text = text.replace(old, new)
    (folder / "three-years.toml").write_text(text, "utf-8")
    catalogue, files, posts = folder / "organisation", folder / "log", folder / "posts.jsonl"
    synthesize(catalogue, folder / "three-years.toml", seed=7)
    files.mkdir()
    lines = (catalogue / "events.jsonl").read_text("utf-8").splitlines(keepends=True)[-(most or 0) :]
    (catalogue / "events.jsonl").unlink()
    (files / "events.jsonl").write_text("".join(lines), "utf-8")
    posts.write_text("".join(_post(json.loads(line)) for line in lines), "utf-8")
    return History(catalogue, files, posts, len(lines))


def _post(event: dict[str, object]) -> str:
    return json.dumps({name: value for name, value in event.items() if name not in _NOT_SENT}) + "\n"


async def send(url: str, posts: Path, key: str) -> int:
    """Sends a batch when the one before is acknowledged, as often as it takes; how many events were accepted."""
    accepted = 0
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        for body in _bodies(posts):
            while True:
                async with session.post("/v1/events", data=body) as answer:
                    said = await answer.text()
                if answer.status == 200:
                    break
                if answer.status not in (429, 503):
                    raise SystemExit(f"/v1/events answered {answer.status}: {said[:500]}")
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
            accepted += json.loads(said)["accepted"]
    return accepted


def _bodies(posts: Path) -> Iterator[bytes]:
    with posts.open("rb") as file:
        while lines := list(islice(file, BATCH)):
            yield b"[" + b",".join(lines) + b"]"


if __name__ == "__main__":
    print(asyncio.run(send(sys.argv[1], Path(sys.argv[2]), os.environ[KEY])))
