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
_LONGER = {
    "start = 2025-09-01": "start = 2023-11-01",
    "takes_mean = 26.0": "takes_mean = 67.0",
    "learners = 1500": "learners = 3000",
}
_NOT_SENT = ("backfill", "recorded_at", "source")


@dataclass(frozen=True)
class History:
    """`catalogue`: a folder without events. `past`: one with the events of the `live` learners, who ask while the others' come.

    `files`: a folder with the events of the others. `posts`: the same events, a JSON object a line.
    """

    catalogue: Path
    past: Path
    live: tuple[str, ...]
    files: Path
    posts: Path
    events: int


def history(folder: Path, most: int | None) -> History:
    """Three years of 3,000 learners, every other one of whom is live; of the others the last `most` events."""
    text = EMBEDDED.read_text("utf-8")
    for old, new in _LONGER.items():
        if old not in text:
            raise SystemExit(f"the embedded organisation has no {old!r} any more: say here what makes three years of it")
        text = text.replace(old, new)
    (folder / "three-years.toml").write_text(text, "utf-8")
    catalogue, past, files, posts = (folder / name for name in ("organisation", "past", "log", "posts.jsonl"))
    synthesize(catalogue, folder / "three-years.toml", seed=7)
    lines = (catalogue / "events.jsonl").read_text("utf-8").splitlines(keepends=True)
    (catalogue / "events.jsonl").unlink()
    learner = [json.loads(line)["learner_id"] for line in lines]
    live = frozenset(sorted(set(learner))[::2])
    theirs = [line for line, one in zip(lines, learner, strict=True) if one in live]
    others = [line for line, one in zip(lines, learner, strict=True) if one not in live][-(most or 0) :]
    for into, events in ((past, theirs), (files, others)):
        into.mkdir()
        (into / "events.jsonl").write_text("".join(events), "utf-8")
    posts.write_text("".join(_post(json.loads(line)) for line in others), "utf-8")
    return History(catalogue, past, tuple(sorted(live)), files, posts, len(others))


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
