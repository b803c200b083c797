"""`POST /v1/rules:dry-run`: recent decisions are made again, without rules and with them. Nothing is recorded.

It works in pieces beside the event loop, on the thread of reports, gives way to small requests between them, and ends in time.
"""

import json
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Final

from pydantic import ValidationError

from features.decisions import Decision
from features.store import TenantSession
from serving.policy import Policy
from serving.prepared import Prepared
from serving.problems import RefusedError, invalid, later
from serving.replay import Read, read_again
from serving.rules.comparison import Comparison, with_rules
from serving.rules.payloads import DryRunAnswer, DryRunRequest
from serving.runtime import NotReadyError, Runtime, StoreDownError

BUDGET_S: Final = 4.0
"""Seconds after which no further piece begins; the service's own time-out is 10."""
PIECE: Final = 5
"""Decisions of a piece: some 0.1 s."""
_PASSED_OVER: Final = 4
"""Rows that are looked at for each decision that was asked for: nudges among them are no rankings."""


async def dry_run(runtime: Runtime, tenant: str, body: Any) -> DryRunAnswer:
    """The answer. Raises RefusedError: 400, 429 while another one of the tenant is under way in this worker, 503."""
    try:
        given = DryRunRequest.model_validate_json(json.dumps(body))
    except ValidationError as error:
        raise invalid(error) from None
    policy = runtime.policy
    _check_known(given, policy, tenant)
    if tenant in runtime.dry_runs:
        words = "another dry run is under way; send this one when it is done, in some seconds"
        raise RefusedError(429, words, headers={"Retry-After": str(int(BUDGET_S))})
    runtime.dry_runs.add(tenant)
    try:
        with runtime.turns.stepped_back():
            stock = runtime.stock(tenant)
            found = Comparison(stock, _policies(runtime, tenant, given, stock), given.rules)
            complete = await _compare(runtime, tenant, found, given.decisions)
    except (NotReadyError, StoreDownError) as error:
        raise later(error) from error
    finally:
        runtime.dry_runs.discard(tenant)
    items_changed, items = found.items()
    return DryRunAnswer(
        bundle=stock.bundle.name,
        policy=policy.digest,
        sample=found.sample(complete=complete),
        changed=found.changed(),
        items_changed=items_changed,
        items=items,
        rules=found.tried_rules(runtime.clock()),
    )


def _policies(runtime: Runtime, tenant: str, given: DryRunRequest, stock: Prepared) -> Callable[[Read], tuple[Policy, Policy]]:
    """What ranks a learner now, by their arms of experiments, and the same with the rules."""
    policy, tried = runtime.policy, dict[str, Policy]()

    def of(read: Read) -> tuple[Policy, Policy]:
        now = runtime.arms.treatment("ranking", tenant, read.decision.learner_id, read.learner, policy, stock).policy
        if now.digest not in tried:
            tried[now.digest] = with_rules(now, tenant, given.rules, given.without)
        return now, tried[now.digest]

    return of


def _check_known(given: DryRunRequest, policy: Policy, tenant: str) -> None:
    known = {rule.id for rule in policy.rules_of(tenant)}
    for index, name in enumerate(given.without):
        if name not in known:
            words = f"no rule {name!r} holds now; these do: {', '.join(sorted(known)) or 'none'}"
            raise RefusedError(400, f"without.{index}: {words}", field=f"without.{index}")


async def _compare(runtime: Runtime, tenant: str, found: Comparison, wanted: int) -> bool:
    """Whether time sufficed."""
    end, before, looked = monotonic() + BUDGET_S, None, 0
    left = wanted
    while left > 0 and looked < _PASSED_OVER * wanted:
        if monotonic() >= end:
            return False
        await runtime.turns.give_way()
        began, size = monotonic(), min(PIECE, left)

        def piece(session: TenantSession, before: int | None = before, size: int = size) -> list[tuple[int, Decision]]:
            rows = session.last_decisions(size, before=before)
            _add(session, found, (decision for _, decision in rows))
            return rows

        rows = await runtime.beside(tenant, piece, long=True)
        if not rows:
            break
        before, looked = rows[-1][0], looked + len(rows)
        left -= sum(decision.kind == "ranking" for _, decision in rows)
        await runtime.turns.rest(monotonic() - began)
    return True


def _add(session: TenantSession, found: Comparison, decisions: Iterable[Decision]) -> None:
    for decision in decisions:
        if decision.kind != "ranking":
            continue
        try:
            read = read_again(session, decision)
        except ValueError:  # what it read is gone
            found.left_out += 1
        else:
            found.add(read)
