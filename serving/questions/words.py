"""A sentence for each rule: why it removes an item, and what would have to be otherwise. Spoken to the learner, as reasons are.

These say no more than the rule itself does; `serving.questions.details` says more, where it is known and may be told.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from serving.diversity import DIVERSITY, PROVIDER_LIMIT
from serving.pipeline import BEYOND_LIMIT, NO_ROOM, NO_SCORE, UNKNOWN_ITEM

NOT_A_CANDIDATE: Final = "not_a_candidate"
"""Of `/v1/rank`: the request did not name it. Nothing was removed, so no decision has this name."""
Stage = Literal["retrieve", "filter", "score", "rerank"]


class Words(NamedTuple):
    """Why, and what would have to change; None where nothing is to say of that."""

    why: str
    change: str | None = None


WORDS: Final[Mapping[str, Words]] = {
    UNKNOWN_ITEM: Words(
        "No item of this id is known.", "It would have to be put into the catalogue, and be part of the next bundle."
    ),
    NOT_A_CANDIDATE: Words("The request did not ask about it.", "The request would have to name it among its candidates."),
    "not_in_catalogue": Words(
        "It is not in the catalogue.", "It would have to be in the catalogue from which the bundle is made."
    ),
    "not_granted": Words(
        "It belongs to another organisation, which does not share it with yours.", "That organisation would have to grant it."
    ),
    "learner_ended": Words("You are not part of this organisation now.", "Your row would have to be active at this moment."),
    "not_available": Words("It is not available now.", "It would have to be available at this moment."),
    "other_audience": Words("It is for others than you.", "You would have to be part of its audience."),
    "replaced": Words("A newer version takes its place.", "The newer version would have to be unavailable to you."),
    "other_language": Words(
        "It is in none of the languages asked for.", "The request, or your row, would have to name a language that it is in."
    ),
    "other_type": Words("It is of another type than asked for.", "The request would have to ask for its type as well."),
    "too_long": Words(
        "It takes longer than asked for, or it is not known how long.", "The request would have to allow more minutes."
    ),
    "excluded": Words("The request excludes it.", "The request would have to leave it out of `exclude`."),
    "finished": Words(
        "You finished it, or what counts as the same.", "It comes again when that no longer holds or is revoked."
    ),
    "known": Words("You know it, or what counts as the same.", "It comes again when that no longer holds or is revoked."),
    "in_progress": Words(
        "You began it and did not finish it, so it is nothing new.", "It is offered anew once you withdraw from it."
    ),
    "dismissed": Words(
        "You sent it away, or another version of it.", "It comes again when the time for that is over, or once you take it up."
    ),
    "prerequisites": Words(
        "Something that comes before it is neither finished nor known.", "What comes before it would have to be finished."
    ),
    NO_SCORE: Words("The model cannot score it.", "A later bundle would have to know how."),
    PROVIDER_LIMIT: Words(
        "As many items of its provider are shown as may be.", "The policy's `provider_limit` would have to be higher."
    ),
    DIVERSITY: Words("It is too much like what is shown above.", "The policy's `diversity` would have to be lower."),
    NO_ROOM: Words(
        "It is a duty of yours; others fill the row of duties, or the request asked for no such row.",
        "A duty above it would have to be done, or the request ask for a longer row `mandatory`.",
    ),
    BEYOND_LIMIT: Words("Others score higher, and no more were asked for.", "The `limit` would have to be higher."),
}
"""By rule. Every name of `serving.pipeline.REMOVALS` is here."""

_STAGES: Final[Mapping[str, Stage]] = {
    UNKNOWN_ITEM: "retrieve",
    NOT_A_CANDIDATE: "retrieve",
    NO_SCORE: "score",
    PROVIDER_LIMIT: "rerank",
    DIVERSITY: "rerank",
    BEYOND_LIMIT: "rerank",
    NO_ROOM: "rerank",
}


def words_of(rule: str) -> Words:
    """The sentence of a rule; a record may have one that there is no longer."""
    return WORDS.get(rule) or Words(f"The rule {rule} removed it.")


def stage_of(rule: str) -> Stage:
    """Where a rule removes items: what is not named here is a rule of eligibility."""
    return _STAGES.get(rule, "filter")
