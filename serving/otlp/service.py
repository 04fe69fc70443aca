"""What becomes of an export, however it came: its events are kept piece by piece, and what is not taken is named.

A sender that gets no answer sends the whole export again: an id is made from its span, so nothing is stored twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from prometheus_client import Counter

from headrace.access.roles import Principal
from serving.http.refusal import Refusal
from serving.intake.batches import Parsed
from serving.otlp.exports import LOGS, SPANS, Kind, pieces
from serving.otlp.genai import Found, SpanReader
from serving.otlp.instrumentations import Instrumentations
from serving.otlp.joining import RecentCalls
from serving.otlp.layout import TooMany

if TYPE_CHECKING:
    from serving.http.dependencies import Parts

IN_THREAD_BYTES = 64 * 1024
"""Larger bodies are read on a thread."""
TAKEN_AT_ONCE = 2000
MAX_SHOWN = 5

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """What the sender of an export is told: how much was not taken, and the first of what there is to say.

    The protocol has a message without a rejection for what was taken with something left out.
    """

    rejected: int = 0
    said: int = 0
    shown: list[str] = field(default_factory=list)

    def add(self, found: Found) -> None:
        """What a piece of it held."""
        self.rejected += len(found.refused)
        self.said += len(found.refused) + len(found.noted)
        self.shown += [*found.refused, *found.noted][: MAX_SHOWN - len(self.shown)]

    @property
    def sentence(self) -> str:
        """For the partial success; empty where there is nothing to say."""
        more = self.said - len(self.shown)
        return "; ".join(self.shown) + (f"; and {more} more" if more else "")


class Exports:
    """Takes exports for every way that they come.

    records: headrace_otlp_records, by what became of each element
    unread: headrace_otlp_unread_calls, by instrumentation
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.records = Counter(
            "headrace_otlp_records",
            "Spans and log records taken over OTLP, by what became of them",
            ["kind", "outcome"],
            registry=parts.metrics.registry,
        )
        self.unread = Counter(
            "headrace_otlp_unread_calls",
            "Spans that look like a call of a model and were not taken, and calls taken without a text",
            ["instrumentation", "why"],
            registry=parts.metrics.registry,
        )
        self._instrumentations, self._recent = Instrumentations(), RecentCalls()

    async def spans(self, body: bytes, media_type: str, principal: Principal) -> ExportTraceServiceResponse:
        """Spans of GenAI answers become inferences, evaluation results in them feedback. Raises as `_keep` does."""
        answer = ExportTraceServiceResponse()
        reader = SpanReader(self._parts.plan, principal, self._recent)
        outcome = await self._keep(body, media_type, principal, SPANS, reader.spans)
        if outcome.said:
            answer.partial_success.rejected_spans = outcome.rejected
            answer.partial_success.error_message = outcome.sentence
        return answer

    async def logs(self, body: bytes, media_type: str, principal: Principal) -> ExportLogsServiceResponse:
        """Evaluation results among log records become feedback. Raises as `_keep` does."""
        answer = ExportLogsServiceResponse()
        reader = SpanReader(self._parts.plan, principal, self._recent)
        outcome = await self._keep(body, media_type, principal, LOGS, reader.logs)
        if outcome.said:
            answer.partial_success.rejected_log_records = outcome.rejected
            answer.partial_success.error_message = outcome.sentence
        return answer

    async def _keep(
        self, body: bytes, media_type: str, principal: Principal, kind: Kind[Any], read: Callable[[Any], Found]
    ) -> Outcome:
        """Keep what the body holds. Raises Malformed; Refusal as `Intake.take` does, and 413 for too many elements."""
        outcome = Outcome()
        try:
            async for found in self._found(body, media_type, principal, kind, read):
                # Making records of events takes the loop 5 µs each, and questions wait for it.
                for start in range(0, len(found.events), TAKEN_AT_ONCE):
                    some = found.events[start : start + TAKEN_AT_ONCE]
                    await self._parts.intake.take(Parsed([*some]), principal)
                outcome.add(found)
                self._count(found, kind)
        except TooMany as error:
            raise Refusal(413, str(error)) from None
        return outcome

    def _count(self, found: Found, kind: Kind[Any]) -> None:
        counts = {
            "taken": len(found.events),
            "joined": found.joined,
            "ignored": found.ignored,
            "rejected": len(found.refused),
        }
        for name, number in counts.items():
            self.records.labels(kind.counted, name).inc(number)
        for (scope, why), number in found.unread.items():
            self.unread.labels(self._instrumentations.label(scope), why).inc(number)

    async def _found(
        self, body: bytes, media_type: str, principal: Principal, kind: Kind[Any], read: Callable[[Any], Found]
    ) -> Any:
        """What each piece of the body holds; of a large body on a thread, in the key's turn."""
        left: Iterator[Found] = _reading(body, media_type, kind, read)
        on_thread = len(body) > IN_THREAD_BYTES
        while True:
            found = await self._parts.turns.run(principal, next, left, None) if on_thread else next(left, None)
            if found is None:
                return
            yield found


def _reading(body: bytes, media_type: str, kind: Kind[Any], read: Callable[[Any], Found]) -> Iterator[Found]:
    for piece in pieces(body, media_type, kind):
        try:
            found = read(piece.outers)
        except Exception as error:
            log.error("an export was not understood as a whole; it is read element by element", exc_info=error)
            found = _one_by_one(piece.outers, kind, read)
        found.refused[:0] = piece.refused
        yield found


def _one_by_one(outers: Any, kind: Kind[Any], read: Callable[[Any], Found]) -> Found:
    """A fault of ours costs the element that shows it, and not its neighbours."""
    whole = Found()
    for outer in outers:
        for scope in getattr(outer, kind.scopes):
            for element in getattr(scope, kind.elements):
                alone = kind.outer(resource=outer.resource)
                made = getattr(alone, kind.scopes).add(scope=scope.scope)
                getattr(made, kind.elements).append(element)
                try:
                    found = read([alone])
                except Exception as error:
                    why = f"the gateway failed on it: {type(error).__name__}; its log says why"
                    found = Found(refused=[f"{kind.name} {element.span_id.hex() or 'without an id'}: {why}"])
                for one in fields(Found):
                    setattr(whole, one.name, getattr(whole, one.name) + getattr(found, one.name))
    return whole
