"""Vercel's AI SDK: ai.generateText is around ai.generateText.doGenerate, and both tell of the call.

https://ai-sdk.dev/docs/ai-sdk-core/telemetry. Version 7 writes the conventions instead (@ai-sdk/otel), with what the
agent knows of itself on the span around the call. serving/otlp/joining.py makes one inference of the two.
"""

from __future__ import annotations

from serving.otlp.dialects.dialect import Dialect, Kind

_CALLS = {
    "generatetext": "dogenerate",
    "streamtext": "dostream",
    "generateobject": "dogenerate",
    "streamobject": "dostream",
}

VERCEL = Dialect(
    name="Vercel AI SDK",
    kind="ai.operationId",
    answers=frozenset({f"ai.{name}" for name in _CALLS} | {f"ai.{name}.{leaf}" for name, leaf in _CALLS.items()}),
    others_begin=(
        "ai.embed", "ai.toolcall", "ai.executetool", "ai.rerank", "ai.generateimage", "ai.generatespeech",
        "ai.generatevideo", "ai.transcribe",
    ),
    rest=Kind.AROUND,
    request_models=("ai.model.id",),
    response_models=("ai.response.model",),
    response_ids=("ai.response.id",),
    questions=("ai.prompt.messages", "ai.prompt"),
    said=("ai.response.text", "ai.response.object", "ai.result.text", "ai.result.object"),
    answers_in=("ai.response.toolCalls", "ai.result.toolCalls"),
    tokens_in=("ai.usage.inputTokens", "ai.usage.promptTokens"),
    tokens_out=("ai.usage.outputTokens", "ai.usage.completionTokens"),
    milliseconds=("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"),
    agents=("ai.telemetry.functionId",),
    carriers=("ai.telemetry.metadata.", "ai.settings.context."),
)  # fmt: skip
