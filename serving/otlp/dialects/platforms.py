"""What platforms write beside the conventions: LangSmith, MLflow, Langfuse, Logfire, and others."""

from __future__ import annotations

from serving.otlp.dialects.dialect import NO_ANSWERS, Dialect, Kind

LANGSMITH = Dialect(
    name="LangSmith",
    kind="langsmith.span.kind",
    answers=frozenset({"llm"}),
    others_begin=NO_ANSWERS,
    rest=Kind.AROUND,
    request_models=("langsmith.metadata.ls_model_name",),
    response_ids=("gen_ai.completion/generations/message/kwargs/response_metadata/id",),
    carriers=("langsmith.metadata.",),
)

# https://mlflow.org/docs/latest/genai/tracing/opentelemetry/: values are JSON, texts in quotes among them.
MLFLOW = Dialect(
    name="MLflow",
    kind="mlflow.spanType",
    answers=frozenset({"llm", "chat_model"}),
    others_begin=NO_ANSWERS,
    rest=Kind.AROUND,
    request_models=("mlflow.llm.model", "mlflow.spanInputs/model"),
    response_models=("mlflow.spanOutputs/model",),
    response_ids=("mlflow.spanOutputs/id",),
    questions=("mlflow.spanInputs",),
    answers_in=("mlflow.spanOutputs",),
    tokens_in=("mlflow.chat.tokenUsage/input_tokens",),
    tokens_out=("mlflow.chat.tokenUsage/output_tokens",),
    sessions=("mlflow.trace.session",),
    users=("mlflow.trace.user",),
)

LANGFUSE = Dialect(
    name="Langfuse",
    kind="langfuse.observation.type",
    answers=frozenset({"generation"}),
    others_begin=NO_ANSWERS,
    rest=Kind.AROUND,
    request_models=("langfuse.observation.model.name",),
    questions=("langfuse.observation.input",),
    answers_in=("langfuse.observation.output",),
    tokens_in=("langfuse.observation.usage_details/input", "langfuse.observation.usage_details/prompt_tokens"),
    tokens_out=("langfuse.observation.usage_details/output", "langfuse.observation.usage_details/completion_tokens"),
    costs=("langfuse.observation.cost_details/total",),
    sessions=("langfuse.session.id",),
    users=("langfuse.user.id",),
    carriers=("langfuse.trace.metadata.", "langfuse.observation.metadata."),
)

# request_data and response_data of logfire.instrument_openai; `events` of pydantic-ai's first formats; final_result and
# all_messages are on spans of agents, which have no operation in the older ones.
LOGFIRE = Dialect(
    name="Logfire",
    questions=("events", "request_data"),
    answers_in=("events", "response_data"),
    request_models=("request_data/model",),
    response_ids=("response_data/id",),
    costs=("operation.cost",),
)

LANGTRACE = Dialect(
    name="Langtrace",
    request_models=("llm.model",),
    questions=("llm.prompts",),
    answers_in=("llm.responses",),
    tokens_in=("llm.token.counts/input_tokens",),
    tokens_out=("llm.token.counts/output_tokens",),
)

ADK = Dialect(
    name="Google ADK",
    request_models=("gcp.vertex.agent.llm_request/model",),
    questions=("gcp.vertex.agent.llm_request",),
    answers_in=("gcp.vertex.agent.llm_response",),
    sessions=("gcp.vertex.agent.session_id",),
)

# https://www.alibabacloud.com/help/en/arms/tracing-analysis/ and Dify's exporter to it.
ALIBABA = Dialect(
    name="Alibaba Cloud",
    kind="gen_ai.span.kind",
    answers=frozenset({"llm"}),
    others_begin=NO_ANSWERS,
    rest=Kind.AROUND,
    request_models=("gen_ai.model_name",),
    users=("gen_ai.user.id",),
)

# https://www.braintrust.dev/docs/integrations/opentelemetry
BRAINTRUST = Dialect(
    name="Braintrust",
    request_models=("braintrust.metadata/model",),
    questions=("braintrust.input_json", "braintrust.input", "gen_ai.prompt_json"),
    answers_in=("braintrust.output_json", "braintrust.output", "gen_ai.completion_json"),
    tokens_in=("braintrust.metrics/prompt_tokens",),
    tokens_out=("braintrust.metrics/completion_tokens",),
)

COZELOOP = Dialect(
    name="CozeLoop",
    kind="cozeloop.span_type",
    answers=frozenset({"model", "llm"}),
    others_begin=NO_ANSWERS,
    rest=Kind.AROUND,
    request_models=("cozeloop.model_name",),
    questions=("cozeloop.input",),
    answers_in=("cozeloop.output",),
)
