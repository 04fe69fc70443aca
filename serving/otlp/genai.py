"""Spans and log records of model calls into inferences, evaluation results into feedback.

Total: what is neither is ignored, what is one and cannot be taken is named, and what is wrong with a part of it costs
that part alone. The same for a span sent twice. `headrace.*` attributes say what no convention can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from headrace.access.events import attributed
from headrace.access.roles import Forbidden, Principal, Role
from headrace.contract.events import Event, Inference
from headrace.errors import EventError
from headrace.plan import Plan
from serving.otlp.attributes import own_answer
from serving.otlp.calls import Call, kinds_said
from serving.otlp.decode import attributes
from serving.otlp.dialects import events as dialect_events
from serving.otlp.evaluation import EVALUATION, feedback
from serving.otlp.grouping import grouped
from serving.otlp.inference import inference
from serving.otlp.instrumentations import NAMELESS
from serving.otlp.joining import RecentCalls, Told
from serving.otlp.telling import Place, Record, Seen, around_calls, id_text, seen_in, time_of, told_in

NOT_TAKEN, WITHOUT_TEXT = "not taken", "without text"


@dataclass(slots=True)
class Found:
    """What an export holds.

    ignored: spans and records that are nothing of ours; joined: that told of a call which another told of too
    refused: a sentence for each span or record of which something is not kept
    noted: a sentence for each of which all is kept but an attribute, or whose texts were not found
    unread: (instrumentation, NOT_TAKEN or WITHOUT_TEXT) to how many of its calls
    """

    events: list[Event] = field(default_factory=list)
    ignored: int = 0
    joined: int = 0
    refused: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    unread: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class SpanReader:
    """Reads exports of one principal, by the plan's tasks.

    recent: what earlier exports told
    """

    plan: Plan
    principal: Principal
    recent: RecentCalls = field(default_factory=RecentCalls)

    def spans(self, exported: Iterable[ResourceSpans]) -> Found:
        """The answers of an export, and the evaluations that are events of its spans."""
        found = Found()
        seen: list[Seen] = []
        for outer in exported:
            resource = attributes(outer.resource.attributes)
            for scope in outer.scope_spans:
                for span in scope.spans:
                    try:
                        seen.append(seen_in(span, resource, scope.scope.name or NAMELESS))
                    except EventError as error:
                        found.refused.append(f"span {_named(span)}: {error}")
        near, far = around_calls(seen)
        for one in seen:
            # By its attributes alone a span may be the agent whose calls are further inside.
            if one.implied and one.place in far:
                one.call = None
        traces = self._name_around(seen)
        answers, wrong = self._take([one.call for one in seen if one.call is not None], found)
        for told in self.recent.named_anew(self.principal.tenant, traces) if traces else ():
            try:
                self._add(told, found)
            except (EventError, Forbidden):  # pragma: no cover - it was taken before
                continue
        holders = near | far
        for one in seen:
            # Of what is sent twice in one export one is enough to name.
            self._rest(one, answers.get(one.place), holders, wrong.pop(one.place, ""), found)
        return found

    def logs(self, exported: Iterable[ResourceLogs]) -> Found:
        """The evaluations among the log records of an export, and the texts of calls that stand in others."""
        found = Found()
        records: dict[Place, list[Record]] = {}
        for outer in exported:
            resource = attributes(outer.resource.attributes)
            for scope in outer.scope_logs:
                for record in scope.log_records:
                    own = attributes(record.attributes)
                    names = (record.event_name, own.get("event.name"), record.body.string_value)
                    name = next((name for name in names if isinstance(name, str) and name in _NAMES), "")
                    if name == EVALUATION:
                        self._evaluated(record, {**resource, **own}, found)
                    elif name and any(record.trace_id) and any(record.span_id):
                        place = id_text(record.trace_id), id_text(record.span_id)
                        records.setdefault(place, []).append(
                            Record(record, name, {**resource, **own}, scope.scope.name or NAMELESS)
                        )
                    elif name:
                        found.refused.append(f"log record {name}: it has no trace_id and span_id")
                    else:
                        found.ignored += 1
        calls = []
        for (trace, span), of_one in records.items():
            call = told_in(trace, span, of_one)
            if call.question or call.answer:
                calls.append(call)
                found.joined += len(of_one) - 1
            else:
                found.ignored += len(of_one)
        _, wrong = self._take(calls, found)
        found.refused += [f"log records of span {span}: {why}" for (_, span), why in wrong.items()]
        return found

    def _name_around(self, seen: list[Seen]) -> set[str]:
        """Remember the sessions and users that spans name which are no calls; returns in which traces."""
        named = {(one.place[0], *one.around) for one in seen if any(one.around) and one.place[0]}
        for trace, session, user in named:
            self.recent.name_around(self.principal.tenant, trace, session, user)
        return {trace for trace, *_ in named}

    def _take(self, calls: list[Call], found: Found) -> tuple[dict[Place, UUID | str], dict[Place, str]]:
        """The inferences of these calls by the places of their spans, and why others have none."""
        answers: dict[Place, UUID | str] = {}
        wrong: dict[Place, str] = {}
        textless: dict[tuple[str, str], list[str]] = {}
        for together in grouped(calls):
            try:
                # Before it is remembered, where other keys' calls could be united with it.
                self.principal.require("an inference", Role.INGEST)
                all_told = self.recent.join(self.principal.tenant, together)
            except (EventError, Forbidden) as error:
                wrong |= {(one.trace, one.span): str(error) for one in together}
                continue
            for told, members in all_told:
                try:
                    made = self._add(told, found)
                except (EventError, Forbidden) as error:
                    wrong |= {(one.trace, one.span): str(error) for one in members}
                    continue
                answers |= {(one.trace, one.span): told.inference_id for one in members}
                if made is None:
                    found.ignored += len(members)
                    continue
                found.joined += max(0, len(members) - 1)
                for one in members:
                    if one.odd:
                        found.noted.append(f"span {one.span}: left out {', '.join(one.odd)}")
                missing = [what for what, text in (("question", made.input), ("answer", made.output)) if not text]
                if missing and told.call.spanned and members:
                    textless.setdefault((members[0].scope, " and ".join(missing)), []).append(members[0].span)
        for (scope, which), places in textless.items():
            found.unread[scope, WITHOUT_TEXT] += len(places)
            found.noted.append(
                f"{len(places)} calls of {scope[:100]!r} have no text of {which} (span {places[0]} is one);"
                " instrumentations record content only if they are told to"
            )
        return answers, wrong

    def _add(self, told: Told, found: Found) -> Inference | None:
        """The inference of a call, among the events; None where a gateway recorded it itself. Raises EventError."""
        if own_answer(told.call.response_id):
            return None
        made = inference(told.call, told.inference_id, told.revision, self.plan)
        found.events.append(attributed(made, self.principal))
        return made

    def _rest(self, one: Seen, answer: UUID | str | None, holders: set[Place], refused: str, found: Found) -> None:
        """What is said of a span beside the inference that it is.

        answer: that inference; holders: spans with a call inside; refused: why the span's inference is not taken
        """
        place = one.place
        wrong = [refused] if refused else []
        if one.unclear and place not in holders and not self._held_a_call(one):
            found.unread[one.scope, NOT_TAKEN] += 1
            wrong.append(
                f"it looks like a call of a model by {one.scope[:100]!r}, but "
                + (kinds_said(one.own) or "it says no model with a text or tokens")
                + "; set headrace.task on it to have it taken"
            )
        # A span that is no answer of ours can still say in which trace the answer is.
        references = {"inference_id": answer} if answer else {"trace_id": place[0]}
        kept = one.call is not None
        for number, event in enumerate(one.span.events):
            if event.name != EVALUATION:
                continue
            about = {**one.resource, **one.own, **attributes(event.attributes)}
            try:
                at_ns = event.time_unix_nano or one.span.end_time_unix_nano
                made, odd = feedback(about, at_ns, ("span", *place, number), references)
                found.events.append(attributed(made, self.principal))
                kept = True
                found.noted += [f"span {place[1]}: left out {what}" for what in odd]
            except (EventError, Forbidden) as error:
                wrong.append(str(error))
        # One a span, as the partial success counts them; what else was in the span is taken.
        if wrong:
            found.refused.append(f"span {_named(one.span)}: {', '.join(wrong)}")
        elif not kept:
            found.ignored += 1

    def _held_a_call(self, one: Seen) -> bool:
        """Whether a call that was told earlier is inside a span."""
        start, end = one.span.start_time_unix_nano, one.span.end_time_unix_nano
        return any(
            call.parent == one.place[1] or start < call.start_ns <= call.end_ns < end
            for call in self.recent.in_trace(self.principal.tenant, one.place[0])
        )

    def _evaluated(self, record: LogRecord, said: Mapping[str, Any], found: Found) -> None:
        place = id_text(record.trace_id), id_text(record.span_id)
        answer = self.recent.inference_of(self.principal.tenant, *place)
        references = {"trace_id": place[0], "span_id": place[1]} | ({"inference_id": answer} if answer else {})
        try:
            made, odd = feedback(said, time_of(record), ("record", *place), references)
            found.events.append(attributed(made, self.principal))
            found.noted += [f"log record of span {place[1]}: left out {what}" for what in odd]
        except (EventError, Forbidden) as error:
            found.refused.append(f"log record of span {place[1] or 'none'}: {error}")


_NAMES = dialect_events.NAMES | {EVALUATION}


def _named(span: Span) -> str:
    return id_text(span.span_id) or "without an id"
