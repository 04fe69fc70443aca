"""What becomes of an export, however it came: its events are kept piece by piece, and what is not taken is named.

A sender that gets no answer sends the whole export again: an id is made from its span, so nothing is stored twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from prometheus_client import Counter

from headrace.access.roles import Principal
from serving.http.refusal import Refusal
from serving.intake.batches import Parsed
from serving.otlp.exports import LOGS, SPANS, Kind, pieces
from serving.otlp.genai import Found, SpanReader
from serving.otlp.layout import Malformed, TooMany

if TYPE_CHECKING:
    from serving.http.dependencies import Parts

IN_THREAD_BYTES = 64 * 1024
"""Larger bodies are read on a thread."""
MAX_SHOWN = 5


@dataclass(slots=True)
class Outcome:
    """What was not taken of an export: how many, and why for the first of them."""

    rejected: int = 0
    shown: list[str] = field(default_factory=list)

    def add(self, refused: list[str]) -> None:
        """So many more."""
        self.rejected += len(refused)
        self.shown += refused[: MAX_SHOWN - len(self.shown)]

    @property
    def sentence(self) -> str:
        """For the partial success; empty where everything was taken."""
        more = self.rejected - len(self.shown)
        return "; ".join(self.shown) + (f"; and {more} more" if more else "")


class Exports:
    """Takes exports for every way that they come. records: headrace_otlp_records, by what became of each element"""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.records = Counter(
            "headrace_otlp_records",
            "Spans and log records taken over OTLP, by what became of them",
            ["kind", "outcome"],
            registry=parts.metrics.registry,
        )

    async def spans(self, body: bytes, media_type: str, principal: Principal) -> ExportTraceServiceResponse:
        """Spans of GenAI answers become inferences, evaluation results in them feedback. Raises as `_keep` does."""
        answer = ExportTraceServiceResponse()
        reader = SpanReader(self._parts.plan, principal)
        outcome = await self._keep(body, media_type, principal, SPANS, reader.spans)
        if outcome.rejected:
            answer.partial_success.rejected_spans = outcome.rejected
            answer.partial_success.error_message = outcome.sentence
        return answer

    async def logs(self, body: bytes, media_type: str, principal: Principal) -> ExportLogsServiceResponse:
        """Evaluation results among log records become feedback. Raises as `_keep` does."""
        answer = ExportLogsServiceResponse()
        reader = SpanReader(self._parts.plan, principal)
        outcome = await self._keep(body, media_type, principal, LOGS, reader.logs)
        if outcome.rejected:
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
                if found.events:
                    await self._parts.intake.take(Parsed([*found.events]), principal)
                outcome.add(found.refused)
                counts = {"taken": len(found.events), "ignored": found.ignored, "rejected": len(found.refused)}
                for name, number in counts.items():
                    self.records.labels(kind.counted, name).inc(number)
        except TooMany as error:
            raise Refusal(413, str(error)) from None
        return outcome

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
        found = read(piece.outers)
        found.refused[:0] = piece.refused
        yield found


__all__ = ["Exports", "Malformed"]
