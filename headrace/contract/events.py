"""What an agent frontend emits: an Inference for each answer, Feedback for each sign of how good it was.

A Kafka record's value is one JSON event or a JSON array of them. `strict` parsing (SDK, HTTP) refuses an unknown
field by name; `tolerant` parsing (Kafka) keeps it in `extra`, so that a newer emitter dead-letters nothing.
Times are UTC, money is US dollars, durations are milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from headrace.contract import given_ids, ids, meanings
from headrace.contract.contexts import span_of, trace_of
from headrace.contract.elements import decoded
from headrace.contract.fields import complaint, unknown_in_extra, without_null
from headrace.contract.given_ids import NOBODY, AnswerId, AnyId, GivenId, ParentId
from headrace.contract.ids import EARLIEST, LATEST
from headrace.contract.moments import NO_ZONE, OUTSIDE
from headrace.contract.nothing import named
from headrace.contract.parsing import from_json, from_python
from headrace.contract.texts import MAX_NAME
from headrace.contract.texts import MAX_TEXT as MAX_TEXT

SCHEMA_VERSION = 1
_FIRST_YEAR, _LAST_YEAR = EARLIEST.year, LATEST.year
NO_REFERENCE = "feedback names its answer by an inference_id, response_id, span_id, trace_id or session_id"
_NO_KEY = b'"key_id":"",'


class Arm(StrEnum):
    """Who the answer was for."""

    LIVE = "live"
    CANARY = "canary"
    SHADOW = "shadow"  # computed beside the live answer, shown to nobody


class Source(StrEnum):
    """Who says so."""

    USER = "user"  # volunteered: a thumb, a correction
    IMPLICIT = "implicit"  # seen in behaviour: a rephrased question, an escalation
    OUTCOME = "outcome"  # the business's own systems: which team closed the ticket
    JUDGE = "judge"  # a language model's verdict
    REVIEWER = "reviewer"  # an expert who saw the answer and the complaint
    AUDIT = "audit"  # an expert who saw the question alone


class Signal(StrEnum):
    """What was said. `value` is read by it."""

    THUMB = "thumb"  # value 1 up, -1 down; see headrace.contract.meanings
    RATING = "rating"  # value 1 to 5
    CORRECTION = "correction"  # label: the right one
    COMMENT = "comment"  # comment, or an evaluator's value
    REPHRASE = "rephrase"
    REROUTE = "reroute"  # label, where the user says where to
    ESCALATION = "escalation"
    ABANDON = "abandon"
    RESOLUTION = "resolution"  # value 1 solved, 0 not; label: who solved it
    LABEL = "label"  # label: the truth, from an audit, a reviewer or an outcome
    VERDICT = "verdict"  # blame: a judge's or reviewer's attribution; label: the right one, where it says


class Blame(StrEnum):
    """Which step of the agent failed."""

    ROUTING = "routing"
    RETRIEVAL = "retrieval"
    GENERATION = "generation"
    REPHRASING = "rephrasing"
    GUARDRAIL = "guardrail"
    NO_ERROR = "no_error"


def _utc(moment: datetime) -> datetime:
    # Most emitters write UTC, and each event has a time: comparing years costs a third of comparing moments.
    if moment.tzinfo is UTC and _FIRST_YEAR <= moment.year < _LAST_YEAR:
        return moment
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError(NO_ZONE)
    if not EARLIEST <= moment < LATEST:
        raise ValueError(OUTSIDE)
    return moment.astimezone(UTC) if offset else moment


# A string with a length limit is refused where it holds a lone surrogate, which UTF-8 cannot carry.
Moment = Annotated[datetime, AfterValidator(_utc)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Optional200 = Annotated[str, Field(max_length=MAX_NAME)]
Known = Annotated[Optional200, AfterValidator(named)]
TraceId = Annotated[Optional200, AfterValidator(trace_of)]
SpanId = Annotated[Optional200, AfterValidator(span_of)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Record(BaseModel):
    """Common ground of everything on a topic: frozen, unknown fields refused (see `tolerant`)."""

    # Errors go to logs, where no question belongs; `sentence` shows what a sender may see of its own input.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null", hide_input_in_errors=True)

    def to_json(self) -> bytes:
        """One JSON object, UTF-8."""
        # model_dump_json makes a string of the same bytes, which costs as much again.
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)


class Event(Record):
    """What Inference and Feedback share.

    key_id: the API key that brought it, as the gateway says; empty where none did
    given_id: what its emitter called it, where that is no UUIDv7: its id is derived (headrace/contract/given_ids.py)
    """

    id_field: ClassVar[str]
    id_fields: ClassVar[dict[str, str]]

    occurred_at: Moment
    tenant: Name = "default"
    emitter: Optional200 = ""
    key_id: Optional200 = ""
    revision: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    schema_version: Annotated[int, Field(ge=1, le=1000)] = SCHEMA_VERSION
    extra: dict[str, Any] = Field(default_factory=dict)
    given_id: GivenId | None = None

    def to_json(self) -> bytes:
        """JSON object, UTF-8. An empty key_id is left out: a gateway then only has to put its own before the rest."""
        body = super().to_json()
        # The first place in a body is the field's own: within a string quotes are escaped.
        return body if self.key_id else body.replace(_NO_KEY, b"", 1)

    @property
    def event_id(self) -> UUID:
        """The id that makes a retry the same event."""
        found: UUID = getattr(self, self.id_field)
        return found

    @property
    def called(self) -> UUID | str:
        """What its emitter calls it, and feedback may."""
        return self.given_id or self.event_id

    @property
    def thread(self) -> str:
        """What it stays in order with, within its tenant: its session, or else the answer that it is about."""
        raise NotImplementedError

    def owned(self, tenant: str, key_id: str) -> Self:
        """The event as that tenant's, brought by that key."""
        if (self.tenant, self.key_id) == (tenant, key_id):
            return self
        return self.model_copy(update={"tenant": tenant, "key_id": key_id}).settled()

    def settled(self) -> Self:
        """The event with the ids that its texts stand for, as far as it alone can tell."""
        derived = {name: given.id for name, given in given_ids.given_of(self)}
        return self.model_copy(update=derived) if derived else self

    @property
    def said_emitter(self) -> str | None:
        """The emitter that it was given, None where it was given none."""
        return self.emitter if "emitter" in self.model_fields_set else None

    @staticmethod
    def check_whole(event: Any) -> None:
        """What must hold of the fields together, of a model's own object or of one of headrace.contract.fast_reading.

        Raises ValueError.
        """

    @classmethod
    def strict(cls, value: Any) -> Self:
        """From a JSON object or its bytes; null means unset. Raises EventError that names the field."""
        if isinstance(value, bytes | str):
            value = decoded(value)
        return cls.validated(without_null(value) if isinstance(value, dict) else value)

    @classmethod
    def made(cls, fields: dict[str, Any]) -> Self:
        """From fields as a program has them, its ids and times among them. Raises EventError that names the field."""
        return from_python(cls, given_ids.apart(cls.__name__, fields, cls.id_fields)).settled()

    @classmethod
    def tolerant(cls, fields: dict[str, Any]) -> Self:
        """From a decoded JSON object; unknown fields go to `extra`. Raises EventError that names the field."""
        said = without_null(fields)
        return cls.validated(unknown_in_extra(said, cls.model_fields.keys() | meanings.range_beside(said)))

    @classmethod
    def validated(cls, fields: Any, body: bytes = b"") -> Self:
        """From the fields of the model alone, none of them null; `body` is their JSON. Raises EventError.

        Ids that are other texts are set apart (headrace/contract/given_ids.py), and what the model refuses is mended
        (headrace/contract/values.py) where it can be.
        """
        apart = given_ids.apart(cls.__name__, fields, cls.id_fields)
        return from_json(cls, apart, body if apart is fields else b"").settled()


class Inference(Event):
    """One answer of one model version to one question.

    version: the version that answered, as in `router@12`
    input: the question, redacted where the plan says so
    label: the class chosen (a router's expert); output: free text, where there is any
    scores: label to probability
    first_token_ms, latency_ms: until the first token and until the last
    cost: US dollars
    trace_id, span_id, response_id: OpenTelemetry's ids and the provider's own, by which feedback may name this answer
    parent_id: on arm shadow, the inference that was shown to the user
    audited, audit_probability: ignored; workers draw the base audit for every emitter alike
    proof: the gateway's signature of its own answer (headrace/access/proofs.py); without it an arm is stored as live
    """

    id_field: ClassVar[str] = "inference_id"
    id_fields: ClassVar[dict[str, str]] = {"inference_id": "given_id", "parent_id": "given_parent_id"}

    inference_id: AnyId
    task: Name
    version: Name
    arm: Arm = Arm.LIVE
    session_id: Known = ""
    user_ref: Known = ""
    input: Text = ""
    output: Text = ""
    label: Optional200 = ""
    scores: dict[Name, Share] = Field(default_factory=dict, max_length=1000)
    first_token_ms: Amount = 0.0
    latency_ms: Amount = 0.0
    tokens_in: Annotated[int, Field(ge=0, le=2**31)] = 0
    tokens_out: Annotated[int, Field(ge=0, le=2**31)] = 0
    cost: Amount = 0.0
    trace_id: TraceId = ""
    span_id: SpanId = ""
    response_id: Known = ""
    consent: bool = True
    parent_id: ParentId = None
    given_parent_id: GivenId | None = None
    audited: bool = False
    audit_probability: Share = 0.0
    proof: Optional200 | None = None

    @property
    def thread(self) -> str:
        """See Event.thread."""
        return self.session_id or self.given_id or str(self.inference_id)


class Feedback(Event):
    """One sign of how good an answer was.

    inference_id: the answer; where the emitter does not know it, one of the next four is enough
    given_inference_id: the text that named it, where that is no UUIDv7: what its emitter called it, or its response_id
    response_id, span_id (with trace_id): the answer that bears them
    session_id, trace_id: the last answer in it before occurred_at, of `task` where that is given
    value: a thumb's or rating's number, see Signal; a rating of another range comes with it: `best`, and `worst` where
        that is not 1 (headrace.contract.meanings)
    label: the right label, where the source says it
    blame: a judge's or reviewer's attribution
    rater, rater_version: who or which model said so
    inclusion_probability: with what probability this answer was drawn for labelling; 0 where nobody drew it
    """

    id_field: ClassVar[str] = "feedback_id"
    id_fields: ClassVar[dict[str, str]] = {"feedback_id": "given_id", "inference_id": "given_inference_id"}

    feedback_id: AnyId
    inference_id: AnswerId = NOBODY
    given_inference_id: GivenId | None = None
    source: Source
    signal: Signal
    session_id: Known = ""
    trace_id: TraceId = ""
    span_id: SpanId = ""
    response_id: Known = ""
    task: Known = ""
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    label: Optional200 = ""
    comment: Text = ""
    blame: Blame | None = None
    rater: Optional200 = ""
    rater_version: Optional200 = ""
    inclusion_probability: Share = 0.0

    @property
    def thread(self) -> str:
        """See Event.thread."""
        said = self.session_id or self.given_inference_id
        if said or self.inference_id == NOBODY:
            return said or self.response_id or self.span_id or self.trace_id
        return str(self.inference_id)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self.check_whole(self)
        return self

    @staticmethod
    def check_whole(event: Any) -> None:
        """See Event.check_whole."""
        named = event.session_id or event.trace_id or event.span_id or event.response_id or event.given_inference_id
        if not event.inference_id.int and not named:
            raise ValueError(NO_REFERENCE)
        if event.value is not None or event.extra:
            meanings.check(event.signal, event.value, event.extra)
        meanings.check_said(event.signal, event.label)


def new_inference(task: str, version: str, **fields: Any) -> Inference:
    """An Inference with an id and a time of its own."""
    return Inference.made({"task": task, "version": version, **_identified(fields, "inference_id")})


def new_feedback(
    inference_id: UUID | str | int | None, source: Source | str, signal: Signal | str, **fields: Any
) -> Feedback:
    """A Feedback with an id and a time of its own; without an inference_id it names its answer by another reference."""
    said = {"inference_id": NOBODY if inference_id is None else inference_id, "source": source, "signal": signal}
    return Feedback.made(said | _identified(fields, "feedback_id"))


def pack(events: Iterable[Event]) -> bytes:
    """Events as one record's value, a JSON array."""
    return b"[" + b",".join(event.to_json() for event in events) + b"]"


def sentence(what: str, error: ValidationError) -> str:
    """The first complaint of a ValidationError as one sentence that names the field."""
    return complaint(what, error.errors(include_url=False, include_context=False)[0])


def _identified(given: dict[str, Any], id_field: str) -> dict[str, Any]:
    """The fields that say something, with a time and an id of that time where there is none."""
    fields = {**without_null(given)}
    at = fields.setdefault("occurred_at", datetime.now(UTC))
    if id_field not in fields:
        # Text is for validation to read, or to refuse; the id then carries the present.
        fields[id_field] = ids.uuid7(at if isinstance(at, datetime) and at.tzinfo else None)
    return fields
