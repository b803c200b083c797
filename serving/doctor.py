"""`python -m serving doctor`: is the connection of an LMS well? Each check says what it found and what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, Literal

import httpx

from features.events import MAX_CLOCK_SKEW
from serving.client import Client, ProblemError
from serving.payloads import HealthAnswer, RecommendationsRequest

Verdict = Literal["ok", "look", "bad"]
_QUIET_H: Final = 24


@dataclass(frozen=True)
class Finding:
    """What one check found. `look`: it works, and somebody should look at it; `bad`: it does not work."""

    check: str
    verdict: Verdict
    words: str


def examine(
    http: httpx.Client, key: str, *, learner: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Finding]:
    """The findings, in the order in which things can go wrong; ends early where nothing further can be asked."""
    try:
        alive = http.get("/livez")
    except httpx.HTTPError as error:
        yield Finding("service", "bad", f"no answer ({error}): is the URL right, and does `python -m serving serve` run there?")
        return
    if alive.status_code != 200:
        yield Finding("service", "bad", f"/livez answered {alive.status_code}: something else than Nextwise is at this URL")
        return
    yield Finding("service", "ok", "answers")
    yield _clock(alive, now())
    try:
        yield from _inside(http, key, learner, now())
    except httpx.HTTPError as error:
        yield Finding("service", "bad", f"it stopped answering ({type(error).__name__}: {error}): what does its log say?")


def _inside(http: httpx.Client, key: str, learner: str | None, now: datetime) -> Iterator[Finding]:
    ready = http.get("/readyz")
    words = "a bundle is loaded and the store is writable" if ready.status_code == 200 else _said(ready)
    yield Finding("ready", "ok" if ready.status_code == 200 else "bad", words)
    client = Client("", key, attempts=1, http=http)
    yield from _intake(client, now)
    yield _ranking(client, learner)


def _clock(answer: httpx.Response, now: datetime) -> Finding:
    said = answer.headers.get("date")
    if said is None:
        return Finding("clock", "look", "the service says no time (a proxy may have taken the header `Date` away)")
    ahead = (now - parsedate_to_datetime(said)).total_seconds()
    limit = MAX_CLOCK_SKEW.total_seconds()
    if abs(ahead) > limit / 5:
        verdict: Verdict = "bad" if ahead > limit else "look"
        way = "ahead of" if ahead > 0 else "behind"
        said = f"this machine is {abs(ahead):.0f} s {way} the service"
        advice = f"events {limit:.0f} s ahead are refused, those of a clock behind seem older: let both follow one time server"
        return Finding("clock", verdict, f"{said}; {advice}")
    return Finding("clock", "ok", f"within {max(abs(ahead), 1):.0f} s of this machine's")


def _intake(client: Client, now: datetime) -> Iterator[Finding]:
    try:
        found = client.health()
    except ProblemError as error:
        if error.problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
            yield Finding("key", "look", f"nothing can be said of it while the store is down: {error.problem.detail}")
        else:
            yield Finding("key", "bad", f"{error.problem.detail}")
        return
    yield Finding("key", "ok", "opens the intake (scope ingest)")
    yield _arrivals(found, now)
    for kind, unresolved in (("learner", found.unresolved_learners), ("item", found.unresolved_items)):
        if unresolved.count:
            most = ", ".join(one.what for one in unresolved.most[:3])
            words = f"{unresolved.count:,} ids in {unresolved.events:,} events; send rows that have them as id or alias: {most}"
            yield Finding(f"unknown {kind}s", "look", words)
        else:
            yield Finding(f"unknown {kind}s", "ok", "none")
    if found.retrain_overdue:
        words = f"what serves was to be retrained by {found.retrain_by}: run `python -m training refresh`"
        yield Finding("retraining", "bad", words)
    if found.shared_names:
        words = f"one history for several people; leave each to one learner: {', '.join(found.shared_names[:3])}"
        yield Finding("shared names", "bad", words)
    for name, noted, advice in (
        ("refused", found.refused, "the answers named the field; a key in compat mode repairs known quirks"),
        ("not understood", found.not_understood, "valid statements that are no events; nothing to do where that is meant"),
        ("repairs", found.repairs, "made in compat mode; a newer emitter may not need them"),
    ):
        if noted:
            most = "; ".join(f"{one.what} ({one.count:,})" for one in noted[:3])
            yield Finding(name, "look", f"{most}: {advice}")


def _arrivals(found: HealthAnswer, now: datetime) -> Finding:
    if found.last_event_at is None:
        return Finding("events", "look", "none yet: send one (docs/integrate.md)")
    hours = (now - found.last_event_at).total_seconds() / 3600
    lag = f"it had occurred {found.last_event_lag_s or 0:,.0f} s before"
    return Finding("events", "look" if hours > _QUIET_H else "ok", f"the last one came {max(hours, 0):,.1f} h ago; {lag}")


def _ranking(client: Client, learner: str | None) -> Finding:
    asked = RecommendationsRequest(learner_id=learner or "doctor", limit=3, surface="doctor")
    try:
        answer = client.recommendations(asked)
    except ProblemError as error:
        return Finding("ranking", "bad", f"{error.problem.detail}")
    titles = [item.item_id for row in answer.rows for item in row.items]
    if not titles:
        return Finding(
            "ranking",
            "look",
            f"nothing to show {asked.learner_id}: the bundle holds no item that they may see. Was the catalogue sent"
            " (PUT /v1/items) before the bundle was published? `removed` of /v1/rank names the rule for each item",
        )
    fallback = f" (fallback: {answer.fallback})" if answer.fallback else ""
    whom = f"learner {learner}" if learner else "somebody unknown"
    return Finding("ranking", "look" if answer.fallback else "ok", f"{whom} is shown {', '.join(titles)}{fallback}")


def _said(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError):
        return f"/readyz answered {answer.status_code}"
