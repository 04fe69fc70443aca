"""GenAI spans into inferences, evaluation results into feedback: pure, total, and the same for a span sent twice.

Names are those of OpenTelemetry's semantic conventions for generative AI; `headrace.*` says what they cannot.
What is neither an answer nor an evaluation is nothing of ours; what is one and cannot be taken is said in one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from headrace.access.events import attributed
from headrace.access.roles import Forbidden, Principal
from headrace.contract import ids
from headrace.contract.events import Event, Feedback, Inference
from headrace.errors import EventError
from headrace.plan import Plan, Task
from serving.otlp.attributes import (
    count_of,
    given_answer,
    last_message,
    models_of,
    moment_of,
    number_of,
    own_answer,
    text_of,
)
from serving.otlp.decode import attributes
from serving.otlp.evaluation import EVALUATION, feedback

ANSWERS = frozenset({"chat", "text_completion", "generate_content"})
"""Values of gen_ai.operation.name that are one answer of one model; an agent's span holds several of them."""


@dataclass(slots=True)
class Found:
    """What an export holds. ignored: spans and records that are nothing of ours; refused: a sentence each"""

    events: list[Event] = field(default_factory=list)
    ignored: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SpanReader:
    """Reads exports of one principal, by the plan's tasks."""

    plan: Plan
    principal: Principal

    def spans(self, exported: Iterable[ResourceSpans]) -> Found:
        """The answers of an export, and the evaluations that are events of its spans."""
        found = Found()
        for outer in exported:
            resource = attributes(outer.resource.attributes)
            for scope in outer.scope_spans:
                for span in scope.spans:
                    self._span(span, resource, found)
        return found

    def logs(self, exported: Iterable[ResourceLogs]) -> Found:
        """The evaluations among the log records of an export."""
        found = Found()
        for outer in exported:
            resource = attributes(outer.resource.attributes)
            for scope in outer.scope_logs:
                for record in scope.log_records:
                    said = resource | attributes(record.attributes)
                    if EVALUATION not in (record.event_name, said.get("event.name"), record.body.string_value):
                        found.ignored += 1
                        continue
                    try:
                        found.events.append(attributed(self._of_record(record, said), self.principal))
                    except (EventError, Forbidden) as error:
                        found.refused.append(f"log record of span {record.span_id.hex() or 'none'}: {error}")
        return found

    def _span(self, span: Span, resource: Mapping[str, Any], found: Found) -> None:
        own = attributes(span.attributes)
        said = {**resource, **own}
        evaluations = [event for event in span.events if event.name == EVALUATION]
        events: list[Event] = []
        try:
            answer: UUID | None = None
            if _is_answer(span, own):
                answer = own_answer(said)
                if answer is None:
                    answer = given_answer(said) or _id_of(span)
                    events.append(self._inference(span, said, answer))
            # A span that is no answer of ours can still say in which trace the answer is.
            references = {"inference_id": answer} if answer else {"trace_id": span.trace_id.hex()}
            for number, event in enumerate(evaluations):
                origin = ("span", span.trace_id.hex(), span.span_id.hex(), number)
                about = {**said, **attributes(event.attributes)}
                events.append(feedback(about, event.time_unix_nano, origin, references))
        except EventError as error:
            found.refused.append(f"span {span.span_id.hex() or 'without an id'}: {error}")
            return
        found.ignored += not events
        forbidden = []
        for made in events:
            try:
                found.events.append(attributed(made, self.principal))
            except Forbidden as error:
                forbidden.append(str(error))
        if forbidden:
            # One a span, as the partial success counts them; what else was in the span is taken.
            found.refused.append(f"span {span.span_id.hex()}: {', '.join(forbidden)}")

    def _of_record(self, record: LogRecord, said: Mapping[str, Any]) -> Feedback:
        references = {"trace_id": record.trace_id.hex(), "span_id": record.span_id.hex()}
        at_ns = record.time_unix_nano or record.observed_time_unix_nano
        return feedback(said, at_ns, ("record", *references.values()), references)

    def _inference(self, span: Span, said: Mapping[str, Any], inference_id: UUID) -> Inference:
        question = last_message(said, "gen_ai.input.messages", "user")
        output = last_message(said, "gen_ai.output.messages", "assistant")
        task, models = self._task(span, said), models_of(said)
        fields = {
            "inference_id": str(inference_id),
            "occurred_at": moment_of(span.end_time_unix_nano or span.start_time_unix_nano).isoformat(),
            "task": task,
            "version": models[-1] if models else "unknown",
            "session_id": text_of(said, "gen_ai.conversation.id", "session.id"),
            "user_ref": text_of(said, "enduser.pseudo.id", "enduser.id", "user.id"),
            "input": question,
            "output": output,
            # In seconds, and spans count nanoseconds.
            "first_token_ms": 1000 * number_of(said, "gen_ai.response.time_to_first_chunk"),
            "latency_ms": max(0, span.end_time_unix_nano - span.start_time_unix_nano) / 1e6,
            "tokens_in": count_of(said, "gen_ai.usage.input_tokens"),
            "tokens_out": count_of(said, "gen_ai.usage.output_tokens"),
            "trace_id": span.trace_id.hex(),
            "span_id": span.span_id.hex(),
            "response_id": text_of(said, "gen_ai.response.id"),
        }
        if task in self.plan.tasks:
            fields |= _planned(self.plan.tasks[task], models, fields)
        # What headrace.* says goes before what was concluded.
        said_plainly = {name: said.get(f"headrace.{name}") for name in ("version", "label", "cost", "consent")}
        return Inference.strict(fields | {name: value for name, value in said_plainly.items() if value is not None})

    def _task(self, span: Span, said: Mapping[str, Any]) -> str:
        """headrace.task; a task that the agent or the model is named after; the one whose incumbent it is; a name."""
        named = text_of(said, "headrace.task")
        if named:
            return named
        agent, models = text_of(said, "gen_ai.agent.name"), models_of(said)
        for name in (agent, *models):
            if name in self.plan.tasks:
                return name
        whose = [name for name, task in self.plan.tasks.items() if task.incumbent.model in models]
        return whose[0] if len(whose) == 1 else (agent or span.name)[:200]


def _planned(task: Task, models: Iterable[str], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the plan adds: the incumbent's version and prices, the label that the output names."""
    added: dict[str, Any] = {
        "label": task.id_of(fields["output"]),
    }
    incumbent = task.incumbent
    if incumbent.model in models:
        dollars_in = fields["tokens_in"] * incumbent.usd_per_million_in
        added["version"] = incumbent.version
        added["cost"] = (dollars_in + fields["tokens_out"] * incumbent.usd_per_million_out) / 1e6
    return added


def _is_answer(span: Span, said: Mapping[str, Any]) -> bool:
    """A failed call gave no answer; an agent's span counts where it names its task, for its steps have their own."""
    if span.status.code == Status.STATUS_CODE_ERROR:
        return False
    return said.get("gen_ai.operation.name") in ANSWERS or "headrace.task" in said


def _id_of(span: Span) -> UUID:
    if not span.span_id or not span.trace_id:
        raise EventError("the span has no trace_id and span_id")
    at = moment_of(span.start_time_unix_nano)
    return ids.derived(at, "otlp", span.trace_id.hex(), span.span_id.hex())
