"""OpenInference, as Arize Phoenix and its instrumentations write it.

https://arize-ai.github.io/openinference/spec/spans/llm.html. The response's id stands only in the JSON of output.value.
"""

from __future__ import annotations

from serving.otlp.dialects.dialect import NO_ANSWERS, Dialect, Kind

OPENINFERENCE = Dialect(
    name="OpenInference",
    kind="openinference.span.kind",
    answers=frozenset({"llm"}),
    others_begin=NO_ANSWERS,
    rest=Kind.AROUND,
    request_models=("llm.request.model_name", "llm.model_name"),
    response_models=("llm.response.model_name", "llm.model_name"),
    response_ids=("output.value/id", "output.value/responseId"),
    questions=("input.value",),
    answers_in=("output.value",),
    flat_questions=("llm.input_messages", "llm.prompts"),
    flat_answers=("llm.output_messages", "llm.choices", "llm.completions"),
    tokens_in=("llm.token_count.prompt",),
    tokens_out=("llm.token_count.completion",),
    costs=("llm.cost.total",),
    sessions=("session.id", "metadata/session_id", "metadata/thread_id", "metadata/conversation_id"),
    users=("user.id", "metadata/user_id"),
    agents=("agent.name",),
)
