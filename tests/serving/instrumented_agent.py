"""An agent as OpenTelemetry instruments it: it knows nothing of headrace but OTEL_EXPORTER_OTLP_ENDPOINT."""

from __future__ import annotations

import json

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

QUESTIONS = 40


def message(role: str, text: str) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


def main() -> None:
    tracing = TracerProvider()
    tracing.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    logging = LoggerProvider()
    logging.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    metering = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    metering.get_meter("agent").create_counter("questions").add(QUESTIONS)
    tracer, logger = trace.get_tracer("agent", tracer_provider=tracing), logging.get_logger("agent")
    for number in range(QUESTIONS):
        with (
            tracer.start_as_current_span("invoke_agent helpdesk"),
            tracer.start_as_current_span("chat big", kind=trace.SpanKind.CLIENT) as span,
        ):
            span.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": "big",
                    "gen_ai.response.id": f"resp-{number}",
                    "gen_ai.usage.input_tokens": 100,
                    "gen_ai.usage.output_tokens": 2,
                    "gen_ai.conversation.id": f"conversation-{number // 4}",
                    "gen_ai.input.messages": message("user", f"Question {number}"),
                    "gen_ai.output.messages": message("assistant", "it"),
                }
            )
            span.add_event("gen_ai.evaluation.result", {"gen_ai.evaluation.name": "Relevance"})
            logger.emit(
                event_name="gen_ai.evaluation.result",
                attributes={"gen_ai.evaluation.name": "user_feedback", "gen_ai.evaluation.score.value": number % 2},
            )
    for provider in (tracing, logging, metering):
        provider.shutdown()
    print("exported")


if __name__ == "__main__":
    main()
