"""OpenLLMetry (Traceloop) with its flat attributes, and the llm.* names from before OpenTelemetry's conventions."""

from __future__ import annotations

from serving.otlp.dialects.dialect import NO_ANSWERS, Dialect, Kind

TRACELOOP = Dialect(
    name="Traceloop",
    # workflow, task, agent or tool: no span of a model has it, but a task's may be one by other attributes.
    kind="traceloop.span.kind",
    others_begin=NO_ANSWERS,
    rest=Kind.AROUND,
)

OPENLLMETRY = Dialect(
    name="OpenLLMetry",
    kind="llm.request.type",
    answers=frozenset(
        {"chat", "completion", "text_completion", "generate", "message", "messages", "response", "responses"}
    ),
    others_begin=("embed", "rerank", "image", "audio", "moderation"),
    request_models=("llm.request.model",),
    response_models=("llm.response.model",),
    response_ids=("llm.response.id",),
    questions=("traceloop.prompt",),
    flat_questions=("gen_ai.prompt", "llm.prompts"),
    flat_answers=("gen_ai.completion", "llm.completions"),
    tokens_in=("llm.usage.prompt_tokens", "llm.usage.input_tokens"),
    tokens_out=("llm.usage.completion_tokens", "llm.usage.output_tokens"),
    users=("llm.user",),
    agents=("traceloop.workflow.name",),
    carriers=("traceloop.association.properties.",),
)
