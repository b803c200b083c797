"""What learners choose about nudges, and what was said to them: the facts behind every limit."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from features.columns import instant, microseconds
from features.decisions import Decision
from features.nudges import Choice, NudgeChoice
from features.store.decisions import DecisionRows
from features.store.learners import LearnerRows
from features.store.suppression import erased
from features.store.tables import DECISIONS, NUDGE_CHOICES, SPOKEN

ChoiceOutcome = Literal["accepted", "duplicate", "suppressed"]


class NudgeRows(DecisionRows, LearnerRows):
    """The nudges' part of a session."""

    def choose_nudges(self, choice: NudgeChoice) -> ChoiceOutcome:
        """Stores what a learner chose, synced. A known action id is a `duplicate`: what was stored under it first holds.

        What was chosen before an erasure of the learner, and comes after it, is `suppressed`.
        """
        occurred = microseconds(choice.occurred_at)
        row = {
            "tenant": self.tenant,
            "action_id": choice.action_id,
            "learner_id": choice.learner_id,
            "choice": choice.choice.value,
            "until": None if choice.until is None else microseconds(choice.until),
            "occurred_at": occurred,
            "recorded_at": microseconds(choice.recorded_at),
        }
        known = sa.select(NUDGE_CHOICES.c.seq).where(
            NUDGE_CHOICES.c.tenant == self.tenant, NUDGE_CHOICES.c.action_id == choice.action_id
        )
        with self._writing(NUDGE_CHOICES) as connection:
            if any(occurred <= at for at in erased(connection, self.tenant, (choice.learner_id,)).values()):
                return "suppressed"
            if connection.execute(known).first() is not None:
                return "duplicate"
            connection.execute(sa.insert(NUDGE_CHOICES).values(row))
        return "accepted"

    def nudge_choices(self, learner_id: str, *, at: datetime | None = None) -> list[NudgeChoice]:
        """What a person chose under any of their names and was recorded by `at`, in the order in which it was chosen."""
        with self._engine.connect() as connection:
            return choices_of(connection, self.tenant, self.names_of(learner_id, at=at), at)

    def every_choice(self) -> Iterator[NudgeChoice]:
        """What anybody chose, in the order of arrival."""
        query = sa.select(NUDGE_CHOICES).where(NUDGE_CHOICES.c.tenant == self.tenant).order_by(NUDGE_CHOICES.c.seq)
        for row in self._pages(query, NUDGE_CHOICES.c.seq, 0, None):
            yield _choice(row)

    def nudges(self, learner_id: str, *, since: datetime) -> list[Decision]:
        """The nudges that said something to a person, under any of their names, after `since`; in order of time."""
        with self._engine.connect() as connection:
            return self._spoken(connection, self.names_of(learner_id), since)

    def nudge(
        self,
        learner_id: str,
        decide: Callable[[Sequence[NudgeChoice], Sequence[Decision]], Decision],
        *,
        since: datetime,
    ) -> Decision:
        """Decides and records in one turn of the writer: of two that come at once the second one knows the first.

        `decide` gets what the person chose and what was said to them after `since`, and must be quick: others wait.
        """
        names = self.names_of(learner_id)
        with self._writing(DECISIONS) as connection:
            chosen = choices_of(connection, self.tenant, names, None)
            decision = decide(chosen, self._spoken(connection, names, since))
            self._record(connection, [decision])
        return decision

    def _spoken(self, connection: sa.Connection, names: Sequence[str], since: datetime) -> list[Decision]:
        which = DECISIONS.c.tenant == self.tenant, DECISIONS.c.learner_id.in_(names), SPOKEN
        query = sa.select(DECISIONS.c.body).where(*which, DECISIONS.c.decided_at > microseconds(since))
        rows = connection.execute(query.order_by(DECISIONS.c.decided_at, DECISIONS.c.seq)).scalars()
        return [Decision.model_validate_json(body) for body in rows]


def choices_of(connection: sa.Connection, tenant: str, names: Sequence[str], at: datetime | None) -> list[NudgeChoice]:
    """What was chosen under these names and recorded by `at`, in the order in which it was chosen."""
    table = NUDGE_CHOICES.c
    query = sa.select(NUDGE_CHOICES).where(table.tenant == tenant, table.learner_id.in_(names))
    known = query if at is None else query.where(table.recorded_at <= microseconds(at))
    return [_choice(row) for row in connection.execute(known.order_by(table.occurred_at, table.seq))]


def _choice(row: Any) -> NudgeChoice:
    return NudgeChoice(
        action_id=row.action_id,
        learner_id=row.learner_id,
        choice=Choice(row.choice),
        until=None if row.until is None else instant(row.until),
        occurred_at=instant(row.occurred_at),
        recorded_at=instant(row.recorded_at),
    )
