"""What comes to learners without their asking: an urgent duty, and nudges."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape

from features.catalogue import Item, Learner
from serving.demo.host import Host

PUSH = "demo-urgent"
SHOWN = 3
_ASKED = 150
_DUE = timedelta(days=5)
_LONG_S = 900


def push(host: Host, learner: Learner, shown: Sequence[str], console: Console) -> None:
    """An urgent duty for a learner's whole audience: in the next answer, in a report, and withdrawn again."""
    audience = learner.audiences[0] if learner.audiences else None
    fitting = [one for one in host.catalogue.items.values() if _fits(one, audience)]
    item = min(fitting, key=lambda one: one.id in shown[:1], default=None)
    if item is None:
        return
    due = (datetime.now(UTC) + _DUE).replace(hour=17, minute=0, second=0, microsecond=0)
    whom: dict[str, Any] = {"learner_id": learner.id} if audience is None else {"audience": audience}
    host.put("/v1/assignments", [{"id": PUSH, "item_id": item.id, "urgent": True, "due_at": due.isoformat(), **whom}])
    said = f"all {audience} by {due:%A}: {host.title(item.id)}"
    console.print(
        f"\n[bold]An urgent duty for[/bold] {escape(said)}; [bold]{escape(learner.id)}'s next answer begins with[/bold]"
    )
    first = next((one for row in host.recommend(learner)["rows"] for one in row["items"]), None)
    if first is not None:
        console.print(f"    {first['position'] + 1}. {escape(host.title(first['item_id']))}")
        console.print(f"       [dim]{escape(first['reasons'][0])}[/dim]")
    told = host.get(f"/v1/assignments/{PUSH}/report")
    console.print(f"  Assigned to {told['assigned']}: seen {told['seen']}, done {told['done']}, overdue {told['overdue']}.")
    host.delete(f"/v1/assignments/{PUSH}")


def nudges(host: Host, learners: Sequence[Learner], console: Console) -> None:
    """Two nudges as cards, where so many are found, and one who is rightly told nothing, and why."""
    console.print("\n[bold]Is there something to say to anybody now?[/bold]")
    spoken, silent = list[dict[str, Any]](), list[dict[str, Any]]()
    for learner in learners[:_ASKED]:
        answer = host.post("/v1/nudge", {"learner_id": learner.id, "channel": "slack", "format": "plain"})
        (silent if answer["card"] is None else spoken).append(answer)
        if silent and len(spoken) == SHOWN - 1:
            break
    for answer in [*spoken[: SHOWN - 1], *silent, *spoken[SHOWN - 1 :]][:SHOWN]:
        console.print(
            f"  {escape(answer['learner_id'])}: [cyan]{answer['arm']}[/cyan], {escape(answer['reason'])}.{_next(answer)}"
        )
        for line in _lines(answer["card"]):
            console.print(f"       [dim]{escape(line)}[/dim]")
    console.print(f"  Asked for {len(spoken) + len(silent)}, {len(spoken)} were spoken to.")


def _lines(card: Mapping[str, Any] | None) -> list[str]:
    return [] if card is None else [card["headline"], *card["lines"]]


def _next(answer: Mapping[str, Any]) -> str:
    until = answer["next_allowed_at"]
    return "" if until is None else f" Not before {datetime.fromisoformat(until):%A %H:%M} UTC."


def _fits(item: Item, audience: str | None) -> bool:
    """Short, open to the audience, and nothing comes before it."""
    short = (item.duration_s or _LONG_S) < _LONG_S
    return short and not item.prerequisites and (not item.audiences or audience in item.audiences)
