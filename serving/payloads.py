"""What goes in and out over HTTP: pydantic models with a limit on every size. Unknown fields are refused."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

from features.catalogue import ItemType, Language
from features.decisions import Decision, Row, RowKind
from features.events import SKILL_PREFIX, Event, Id, LogTime, Result, Verb, to_utc
from serving.claims import TokenScope
from serving.rules.language import MOST_ASKED, Rule, each_once

MAX_CANDIDATES = 1_000
MAX_EVENTS = 1_000
MAX_WHY = 100
"""Events that are listed behind one skill; more are counted."""


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Filters(_In):
    """What every ranking request may say. `max_minutes` leaves out longer items and those of unknown duration."""

    learner_id: Id = Field(description="The host's id of the learner.")
    surface: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")] = "api"
    exclude: Annotated[tuple[Id, ...], Field(max_length=MAX_CANDIDATES)] = ()
    max_minutes: Annotated[float | None, Field(gt=0, le=100_000)] = None
    types: Annotated[tuple[ItemType, ...], Field(max_length=len(ItemType))] = ()
    languages: Annotated[tuple[Language, ...], Field(max_length=20)] = ()
    explain: Annotated[bool, Field(description="Take the trees' scores of the shown items apart, feature by feature.")] = False
    rules: Annotated[
        tuple[Rule, ...],
        Field(max_length=MOST_ASKED, description="They hold for this request, after those of the policy (docs/rules.md)."),
    ] = ()

    @model_validator(mode="after")
    def _each_rule_once(self) -> Self:
        each_once(self.rules)
        return self


class RowIn(_In):
    """One row of a page, and how many items it may have."""

    row: RowKind
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class RecommendationsRequest(Filters):
    """Nextwise chooses from the whole catalogue; `limit` bounds the items over all rows.

    `rows`: which rows, in this order, until `limit` is reached; absent: those of a home page.
    """

    limit: Annotated[int, Field(ge=1, le=100)] = 10
    rows: Annotated[tuple[RowIn, ...], Field(max_length=len(RowKind))] = ()
    form: Annotated[
        Literal["full", "minimal"], Field(description="`minimal`: ids, titles and positions only, for low bandwidth.")
    ] = "full"
    offline: Annotated[bool, Field(description="Sign the slate, so that a device may show it for 7 days without asking.")] = (
        False
    )

    @model_validator(mode="after")
    def _each_row_once(self) -> Self:
        kinds = [one.row for one in self.rows]
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
        if twice is not None:
            raise ValueError(f"rows: {twice} stands there twice; ask for each row once, with the larger limit")
        return self


class RankRequest(Filters):
    """The caller's candidates; without a `limit` all that are eligible are ranked."""

    candidates: Annotated[tuple[Id, ...], Field(min_length=1, max_length=MAX_CANDIDATES)]
    limit: Annotated[int | None, Field(ge=1, le=100)] = None


Request = RecommendationsRequest | RankRequest


class RecommendationsAnswer(BaseModel):
    """Titled rows of items, deduplicated over rows; the part of a decision that a host receives.

    `shortfall`: where fewer than `limit` items could be shown, how many each rule kept out. `arms`: by experiment the arm that
    the learner is in.
    """

    decision_id: str
    bundle: str
    policy: str
    arms: Mapping[str, str]
    fallback: str | None
    rows: tuple[Row, ...]
    shortfall: Mapping[str, int]

    @classmethod
    def of(cls, decision: Decision) -> "RecommendationsAnswer":
        """The answer part of a decision, which was validated when it was made."""
        return cls.model_construct(**{name: getattr(decision, name) for name in cls.model_fields})


class MinimalItem(BaseModel):
    """What a card needs at least."""

    item_id: str
    title: str | None
    position: int


class MinimalRow(BaseModel):
    """A titled row of them."""

    title: str
    items: tuple[MinimalItem, ...]


class MinimalAnswer(BaseModel):
    """The answer in the form `minimal`. The decision behind it is recorded in full, and named for events to refer to."""

    decision_id: str
    rows: tuple[MinimalRow, ...]

    @classmethod
    def of(cls, decision: Decision) -> "MinimalAnswer":
        """Of a decision what a card needs."""
        return cls.model_validate(decision, from_attributes=True)


class RankAnswer(RecommendationsAnswer):
    """Every candidate stands in a row or in `removed`, under the rule that removed it."""

    removed: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, decision: Decision) -> "RankAnswer":
        """The answer part of a decision and what was removed."""
        return cls.model_construct(**{name: getattr(decision, name) for name in cls.model_fields})


class EventIn(_In):
    """One event as a host sends it. Tenant and time of recording are the service's own to say."""

    event_id: Id = Field(description="The host's own id; sending it again is harmless.")
    learner_id: Id
    verb: Verb
    object_id: Id = Field(description="An item id, or `skill:ID` for evidence about a skill.")
    occurred_at: AwareDatetime
    decision_id: Id | None = None
    result: Result | None = None
    context: Annotated[dict[str, JsonValue], Field(max_length=32)] = Field(default_factory=dict)

    def event(self, tenant: str, recorded_at: AwareDatetime) -> Event:
        """The fact to store. Raises ValidationError when it lies in the future."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Event.model_validate({**fields, "tenant": tenant, "recorded_at": to_utc(recorded_at), "source": "api"})


class EvidenceIn(_In):
    """That a learner used a skill at work, by whoever can say so. It is evidence of the skill, not of an item."""

    event_id: Id = Field(description="The host's own id; sending it again is harmless.")
    learner_id: Id
    skill: Id
    kind: Annotated[
        Literal["follow_up", "confirmed", "endorsed", "helped", "attested", "applied", "used_in_work"],
        Field(
            description="`follow_up`: the learner's own answer whether they used it (`used`, `went`), which counts as declared;"
            " `confirmed`: another learner (`by`) saw it, which attests it where they are the manager, else endorses it;"
            " `endorsed`: a colleague (`by`) vouches for it;"
            " `helped`: the learner taught or helped that colleague (`by`);"
            " `attested`: a manager or examiner (`by`) does; `applied`: whoever sends it has seen it;"
            " `used_in_work`: a work system's row (`source`) shows it."
        ),
    ]
    used: Annotated[Literal["yes", "not_yet"] | None, Field(description="Of `follow_up`: whether it was used.")] = None
    went: Annotated[Literal["well", "so_so", "badly"] | None, Field(description="Of a `follow_up` with yes: how it went.")] = (
        None
    )
    level: Annotated[float | None, Field(ge=0, le=5, description="The level it showed, where somebody can say.")] = None
    by: Annotated[Id | None, Field(description="Who vouches: another learner of the catalogue, by id or alias.")] = None
    source: Annotated[str | None, Field(min_length=1, max_length=256, description="Such as crm:deal/4711.")] = None
    item_id: Annotated[Id | None, Field(description="The item that this follows up.")] = None
    decision_id: Id | None = None
    occurred_at: AwareDatetime

    @model_validator(mode="after")
    def _somebody_can_say(self) -> Self:
        if self.kind in ("attested", "endorsed", "helped", "confirmed") and self.by is None:
            raise ValueError(f"by: {self.kind} by whom?")
        if self.kind == "used_in_work" and self.source is None:
            raise ValueError("source: which row of which system shows it?")
        if self.by == self.learner_id:
            raise ValueError("by: nobody vouches for themselves; send kind `follow_up`")
        return self

    @model_validator(mode="after")
    def _answers_what_was_asked(self) -> Self:
        if (self.kind == "follow_up") != (self.used is not None):
            raise ValueError("used: a follow_up says `yes` or `not_yet`, and nothing else has it")
        if self.went is not None and self.used != "yes":
            raise ValueError("went: only what was used went well or badly")
        if self.kind == "follow_up" and (self.level is not None or self.by is not None):
            raise ValueError("level: a follow_up is the learner's own answer, without a level and without `by`")
        return self

    def event(self, tenant: str, recorded_at: AwareDatetime, *, by_manager: bool = False) -> Event:
        """The fact to store; `by_manager`: whether who confirms is the learner's. Raises ValidationError when it lies in the
        future.
        """
        told = {name: getattr(self, name) for name in ("kind", "used", "went", "level", "by", "source")}
        told |= {"item": self.item_id, "as": ("manager" if by_manager else "peer") if self.kind == "confirmed" else None}
        fields = {name: getattr(self, name) for name in ("event_id", "learner_id", "decision_id", "occurred_at")}
        return Event.model_validate(
            {
                **fields,
                "tenant": tenant,
                "verb": self._verb(by_manager=by_manager),
                "result": Result(success=False) if self.used == "not_yet" else None,
                "object_id": f"{SKILL_PREFIX}{self.skill}",
                "recorded_at": to_utc(recorded_at),
                "context": {name: value for name, value in told.items() if value is not None},
            }
        )

    def _verb(self, *, by_manager: bool) -> Verb:
        match self.kind:
            case "follow_up":  # what is not used yet shows nothing, and takes nothing back
                return Verb.KNOWN if self.used == "yes" else Verb.ANSWERED
            case "confirmed":
                return Verb.ATTESTED if by_manager else Verb.ENDORSED
            case "applied" | "used_in_work":
                return Verb.APPLIED
            case "helped":
                return Verb.ENDORSED
            case "attested" | "endorsed":
                return Verb(self.kind)


class FeedbackIn(_In):
    """What a learner says of an item that they were shown."""

    learner_id: Id
    item_id: Id
    feedback: Annotated[
        Literal["not_relevant", "already_know", "later", "saved"],
        Field(description="`not_relevant` stays away, with its versions and equivalents; `later` until a moment."),
    ]
    until: Annotated[AwareDatetime | None, Field(description="Of `later`: when it may come again; absent: in 14 days.")] = None
    decision_id: Annotated[Id | None, Field(description="The decision that showed it.")] = None
    event_id: Annotated[Id | None, Field(description="The host's own id; sending it again is harmless.")] = None
    occurred_at: Annotated[AwareDatetime | None, Field(description="Absent: now.")] = None

    @model_validator(mode="after")
    def _until_is_of_later(self) -> Self:
        if self.until is not None and self.feedback != "later":
            raise ValueError("until: only `later` has one")
        return self


class EventResult(BaseModel):
    """What became of one event; `field` and `detail` say what is wrong with it.

    `suppressed`: its learner was erased after it happened; it is not stored, and need not be sent again.
    """

    index: int
    event_id: str | None
    outcome: Literal["accepted", "duplicate", "conflict", "invalid", "suppressed"]
    field: str | None = None
    detail: str | None = None


class EventsAnswer(BaseModel):
    """One result per event, in the order sent. Accepted means synced to disk."""

    accepted: int
    results: tuple[EventResult, ...]


class Query(BaseModel):
    """A question about a learner at a moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: Annotated[LogTime | None, Field(description="A moment in the past (its `+` sent as `%2B`, or `Z`); absent: now.")] = (
        None
    )


class SkillsQuery(Query):
    """What `GET /v1/learners/{learner_id}/skills` may be asked."""

    skill: Annotated[tuple[Id, ...], Field(max_length=100, description="Only these skills; repeat it for several.")] = ()


class GapsQuery(Query):
    """What `GET /v1/learners/{learner_id}/gaps` may be asked."""

    limit: Annotated[int, Field(ge=1, le=50, description="Items a gap.")] = 5


class DutiesQuery(Query):
    """What `GET /v1/learners/{learner_id}/duties` may be asked."""


class Why(BaseModel):
    """What one event gives to a skill: the level it showed, and that level and its confidence as they are now.

    `proposed`: how sure a text model is that the item teaches the skill; null where the catalogue says so.
    """

    event_id: str
    verb: Verb
    object_id: str
    title: str | None
    occurred_at: datetime
    shown: float
    level: float
    confidence: float
    half_life_days: float
    proposed: float | None


class LearnerSkill(BaseModel):
    """One skill now. `expected`: by the role. `below_expected_at`: when the level fades below that if nothing happens (null: it
    is below, or nothing is expected). `events`: how many stand behind it, of which `why` lists the largest.
    """

    skill: str
    name: str
    level: float
    confidence: float
    evidence: Literal["declared", "completed", "assessed", "applied"]
    half_life_days: float
    expected: float | None
    below_expected_at: datetime | None
    events: int
    why: tuple[Why, ...]


class OfLearner(BaseModel):
    """Whom an answer is about, as of when, and by which bundle and role."""

    learner_id: str
    at: datetime
    bundle: str
    role: str | None
    in_catalogue: bool
    fallback: Literal["personalisation_off"] | None


class SkillsAnswer(OfLearner):
    """A learner's skills, the highest level first. With personalisation off there is no profile: `fallback` says so."""

    skills: tuple[LearnerSkill, ...]


class GapItem(BaseModel):
    """An item the learner may take now. `closes`: levels of the gap. `proposed`: how sure a text model is that the item teaches
    the skill; null where the catalogue says so.
    """

    item_id: str
    title: str
    type: ItemType
    minutes: float | None
    level: float
    closes: float
    proposed: float | None


class Gap(BaseModel):
    """What the role expects of a skill and the learner does not show. `items`: what closes most of it, first."""

    skill: str
    name: str
    expected: float
    present: float
    gap: float
    confidence: float
    items: tuple[GapItem, ...]


class GapsAnswer(OfLearner):
    """A learner's gaps, the largest first; none without a role, or with personalisation off (`fallback` says so)."""

    gaps: tuple[Gap, ...]


class LearnerDuty(BaseModel):
    """One assignment that is a learner's. `due_at`: until when, without the time on leave where that pauses it; of what is
    done until when that holds; null where no time is set or it holds always. `paused`: its time stands still, on leave.
    """

    assignment_id: str
    item_id: str
    title: str | None
    mandatory: bool
    urgent: bool
    state: Literal["open", "overdue", "done"]
    due_at: datetime | None
    paused: bool


class DutiesAnswer(BaseModel):
    """What a learner has to do, what is due next first; what is done comes last."""

    learner_id: str
    at: datetime
    bundle: str
    duties: tuple[LearnerDuty, ...]


class Reached(BaseModel):
    """One learner of an assignment. `seen`: a decision or a host showed them the item since it stands. `acknowledged`: they
    began it since, or have done it.
    """

    learner_id: str
    seen: bool
    acknowledged: bool
    state: Literal["open", "overdue", "done"]
    due_at: datetime | None


class AssignmentReport(BaseModel):
    """Whom an assignment reached. `assigned`: all whom it is for and who have not left; the other counts are among them."""

    assignment_id: str
    item_id: str
    title: str | None
    urgent: bool
    at: datetime
    assigned: int
    seen: int
    acknowledged: int
    done: int
    overdue: int
    learners: tuple[Reached, ...]


class MergeIn(_In):
    """That a learner is the person of another id, or no longer is."""

    into: Annotated[Id, Field(description="Whose row counts for both.")]
    occurred_at: Annotated[LogTime | None, Field(description="When that was found out; absent: now.")] = None


class MergeAnswer(BaseModel):
    """The two ids (of aliases those of their learners), and what became of it: stored, no news, or about somebody who was
    erased since.
    """

    learner_id: str
    into: str
    outcome: Literal["accepted", "duplicate", "suppressed"]


class LearnerVersion(BaseModel):
    """A row of the catalogue and from when until when it was so; `valid_to` is null for the one that is."""

    valid_from: datetime
    valid_to: datetime | None
    row: dict[str, JsonValue]


class LearnerExport(BaseModel):
    """All that is stored of a learner, under every name they have or had, in the order of arrival.

    `merges`: that ids were joined, and that they were no longer. `events`: those that were taken back too, with `voided_at`.
    `statements`: as they came. `decisions`: what was shown or said to them, and why. `nudge_choices`: what they chose about
    nudges.
    """

    tenant: str
    learner_id: str
    names: tuple[str, ...]
    learner: tuple[LearnerVersion, ...]
    assignments: tuple[LearnerVersion, ...]
    merges: tuple[dict[str, JsonValue], ...]
    events: tuple[dict[str, JsonValue], ...]
    statements: tuple[dict[str, JsonValue], ...]
    decisions: tuple[dict[str, JsonValue], ...]
    nudge_choices: tuple[dict[str, JsonValue], ...]


class AuditQuery(BaseModel):
    """What `GET /v1/audit` may be asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Annotated[int, Field(ge=0, le=2**62, description="Only rows after this number.")] = 0
    limit: Annotated[int, Field(ge=1, le=1_000, description="Rows of an answer.")] = 100
    learner_id: Annotated[Id | None, Field(description="Only rows about this learner, by id or alias.")] = None


class AuditEntry(BaseModel):
    """A row of the audit log. `subject`: a keyed hash of the learner's id. `hash`: SHA-256 of the row and of `previous`."""

    seq: int
    at: datetime
    by: str
    action: str
    subject: str | None
    outcome: str
    details: dict[str, JsonValue]
    previous: str
    hash: str


class AuditAnswer(BaseModel):
    """Rows of the tenant's audit log, oldest first. `next`: ask for it as `after`; null where there were no more."""

    rows: tuple[AuditEntry, ...]
    next: int | None


class TokenRequest(_In):
    """Whom a token is for. Without `scopes` all that the key can give."""

    learner_id: Id = Field(description="The learner, by the id that the page will use: to a token an alias is somebody else.")
    ttl_s: Annotated[int, Field(ge=1, le=3_600, description="Seconds that it lives.")] = 900
    scopes: Annotated[tuple[TokenScope, ...] | None, Field(min_length=1, max_length=len(TokenScope))] = None


class TokenAnswer(BaseModel):
    """The token: the page sends it as `Authorization: Bearer TOKEN`. It is kept nowhere."""

    token: str
    learner_id: str
    scopes: tuple[TokenScope, ...]
    expires_at: datetime


class Noted(BaseModel):
    """Something that was counted: what, how often, when last."""

    what: str
    count: int
    last_at: datetime


class Unresolved(BaseModel):
    """Names that events speak of and the catalogue does not know: how many, in how many events, and the most frequent."""

    count: int
    events: int
    most: tuple[Noted, ...]


class EvidenceCoverage(BaseModel):
    """Learners with any event, and of them those with evidence of each strength, whatever else they have."""

    learners: int
    declared: int
    completed: int
    assessed: int
    applied: int


class HealthAnswer(BaseModel):
    """How the intake stands. `last_event_lag_s`: from occurring to recording. `not_understood`: valid statements that are no
    events. `refused`: by the field that was wrong. An unresolved name is resolved by a catalogue row that has it as an alias.
    `shared_names`: the first that several learners go by, of whom only one has the history: take it from all but one.
    `retrain_by`: the day (UTC) by whose end what serves is to be retrained, null where it names none.
    """

    at: datetime
    last_statement_at: datetime | None
    last_event_at: datetime | None
    last_event_lag_s: float | None
    repairs: tuple[Noted, ...]
    not_understood: tuple[Noted, ...]
    refused: tuple[Noted, ...]
    unresolved_learners: Unresolved
    unresolved_items: Unresolved
    shared_names: tuple[str, ...]
    evidence: EvidenceCoverage
    retrain_by: date | None
    retrain_overdue: bool


class SyncQuery(BaseModel):
    """What a PUT of catalogue rows may be asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: Annotated[bool, Field(description="The body is all there is of this kind: what it does not hold is retired.")] = (
        False
    )
    most_vanish: Annotated[
        float,
        Field(ge=0, le=1, allow_inf_nan=False, description="Share of what stands that a snapshot may retire; more is refused."),
    ] = 0.1


class UnknownName(BaseModel):
    """A row that another names (`named_by`, in its `field`) and that is not there, yet."""

    kind: Literal["item", "learner", "role", "skill"]
    id: str
    named_by: str
    field: str


class CatalogueAnswer(BaseModel):
    """What became of the rows, which are stored and synced. `unresolved`: the first of the names that lead nowhere."""

    inserted: int
    changed: int
    unchanged: int
    retired: int
    unresolved_count: int
    unresolved: tuple[UnknownName, ...]


class Problem(BaseModel):
    """RFC 9457 problem details. `field` names what is wrong in the request, dots and indices included."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None


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
