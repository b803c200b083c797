"""What of a decision may still be sent or shown."""

from datetime import datetime

from pydantic import BaseModel


class CheckedItem(BaseModel):
    """One item of a decision. `withdrawn`: the rule that keeps it from the learner now, null where it may be shown."""

    item_id: str
    withdrawn: str | None


class CheckAnswer(BaseModel):
    """What may still be sent or shown, as of `at`; ask again for any later moment.

    `withdrawn`: of a nudge why it may not be sent: a limit, `not_available` (its item), `settled` (what it was about is no
    longer so), `expired` (decided more than a day ago) or `silent` (it said nothing); of a ranking `nothing_left`. Null
    where it may. `reason`: the same in words.
    """

    decision_id: str
    learner_id: str
    kind: str
    at: datetime
    withdrawn: str | None
    reason: str | None
    items: tuple[CheckedItem, ...]
