"""A model call that was answered `it`, as each published dialect of OpenTelemetry writes it into a span."""

from __future__ import annotations

import json
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from stage import plan_text
from test_otlp import ANYBODY, SPAN, START_NS, TRACE, pairs

from headrace import plan
from headrace.contract.events import Inference
from serving.otlp.genai import Found, SpanReader

PLAN = plan.parse(plan_text(audit=1.0))
END_NS = START_NS + 1_000_000_000
Span = tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]


def export(*spans: dict[str, Any], scope: str = "cases") -> ExportTraceServiceRequest:
    """Spans of one trace, numbered; each with `attributes`, and `events` as (name, attributes), beside its fields."""
    made = ExportTraceServiceRequest()
    inner = made.resource_spans.add().scope_spans.add()
    inner.scope.name = scope
    for number, given in enumerate(spans):
        fields = dict(given)
        said, events = fields.pop("attributes", {}), fields.pop("events", ())
        plain = {"trace_id": TRACE, "span_id": SPAN[:-2] + number.to_bytes(2), "name": "ask"}
        times = {"start_time_unix_nano": START_NS, "end_time_unix_nano": END_NS}
        span = inner.spans.add(**(plain | times | fields), attributes=pairs(said))
        for name, about in events:
            span.events.add(name=name, time_unix_nano=END_NS, attributes=pairs(about))
    return made


def read(*spans: dict[str, Any], reader: SpanReader | None = None, scope: str = "cases") -> Found:
    return (reader or SpanReader(PLAN, ANYBODY)).spans(export(*spans, scope=scope).resource_spans)


def only(attributes: dict[str, Any], *events: tuple[str, dict[str, Any]]) -> Inference:
    found = read({"attributes": attributes, "events": events})
    assert found.refused == []
    (event,) = found.events
    assert isinstance(event, Inference)
    return event


def flat(prefix: str, *messages: tuple[str, str], inner: str = "") -> dict[str, Any]:
    return {
        f"{prefix}.{number}.{inner}{name}": value
        for number, message in enumerate(messages)
        for name, value in zip(("role", "content"), message, strict=True)
    }


USAGE = {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 2}
OLD_USAGE = {"gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 2}
CALL = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "big"}
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "My VPN is down"}]
PARTS = [{"role": "user", "parts": [{"type": "text", "content": "My VPN is down"}]}]
PROMPT = ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(ASKED)})
COMPLETION = ("gen_ai.content.completion", {"gen_ai.completion": json.dumps([{"role": "Assistant", "content": "it"}])})
LANGCHAIN = {
    "messages": [
        [
            {
                "lc": 1,
                "type": "constructor",
                "id": ["langchain", "schema", "messages", "HumanMessage"],
                "kwargs": {"content": "My VPN is down", "type": "human"},
            }
        ]
    ]
}
GENERATED = {"generations": [[{"text": "it", "message": {"kwargs": {"content": "it"}, "id": ["x", "AIMessage"]}}]]}
NET = [{"Role": {"Label": "user"}, "Items": [{"$type": "TextContent", "Text": "My VPN is down"}]}]
DIALECTS: dict[str, Span] = {
    "attributes, 1.37": (
        CALL
        | USAGE
        | {
            "gen_ai.input.messages": json.dumps(PARTS),
            "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "it"}]}]),
        },
        [],
    ),
    "attributes as structures": (
        CALL
        | USAGE
        | {"gen_ai.input.messages": PARTS, "gen_ai.output.messages": [{"role": "model", "parts": [{"text": "it"}]}]},
        [],
    ),
    "Semantic Kernel": (CALL | USAGE | {"gen_ai.operation.name": "chat.completions"}, [PROMPT, COMPLETION]),
    "Semantic Kernel, .NET": (
        CALL | USAGE | {"gen_ai.operation.name": "chat.completions"},
        [
            ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(NET)}),
            ("gen_ai.content.completion", {"gen_ai.completion": json.dumps([{"Role": "Assistant", "Content": "it"}])}),
        ],
    ),
    "content events, 1.26": (CALL | OLD_USAGE, [PROMPT, COMPLETION]),
    "message events, 1.28": (
        CALL | USAGE,
        [
            ("gen_ai.system.message", {"content": "Be brief."}),
            ("gen_ai.user.message", {"content": "My VPN is down"}),
            ("gen_ai.choice", {"index": 0, "message": json.dumps({"role": "assistant", "content": "it"})}),
        ],
    ),
    "Strands, Bedrock": (
        CALL | USAGE,
        [
            ("gen_ai.user.message", {"content": json.dumps([{"text": "My VPN is down"}])}),
            ("gen_ai.choice", {"message": json.dumps([{"text": "it"}]), "finish_reason": "end_turn"}),
        ],
    ),
    "Azure AI inference": (
        CALL | USAGE | {"gen_ai.system": "az.ai.inference"},
        [
            (
                "gen_ai.user.message",
                {"gen_ai.event.content": json.dumps({"role": "user", "content": "My VPN is down"})},
            ),
            (
                "gen_ai.choice",
                {
                    "gen_ai.event.content": json.dumps(
                        {"message": {"content": "it"}, "finish_reason": "stop", "index": 0}
                    )
                },
            ),
        ],
    ),
    "details as a span event": (
        CALL,
        [
            (
                "gen_ai.client.inference.operation.details",
                USAGE
                | {
                    "gen_ai.input.messages": json.dumps(PARTS),
                    "gen_ai.output.messages": json.dumps(
                        [{"role": "assistant", "parts": [{"type": "text", "content": "it"}]}]
                    ),
                },
            )
        ],
    ),
    "OpenLIT": (
        CALL | OLD_USAGE,
        [
            ("gen_ai.content.prompt", {"gen_ai.prompt": "system: Be brief.\nuser: My VPN is down"}),
            ("gen_ai.content.completion", {"gen_ai.completion": "it"}),
        ],
    ),
    "OpenLLMetry, flat": (
        {"llm.request.type": "chat", "gen_ai.request.model": "big", "llm.usage.total_tokens": 102}
        | OLD_USAGE
        | flat("gen_ai.prompt", ("system", "Be brief."), ("user", "My VPN is down"))
        | flat("gen_ai.completion", ("assistant", "it")),
        [],
    ),
    "OpenLLMetry before gen_ai": (
        {"llm.request.type": "chat", "llm.request.model": "big", "llm.usage.prompt_tokens": 100}
        | {"llm.usage.completion_tokens": 2}
        | flat("llm.prompts", ("user", "My VPN is down"))
        | flat("llm.completions", ("assistant", "it")),
        [],
    ),
    "OpenInference": (
        {"openinference.span.kind": "LLM", "llm.model_name": "big", "input.value": json.dumps({"messages": ASKED})}
        | {"llm.token_count.prompt": 100, "llm.token_count.completion": 2}
        | flat("llm.input_messages", ("system", "Be brief."), ("user", "My VPN is down"), inner="message.")
        | flat("llm.output_messages", ("assistant", "it"), inner="message."),
        [],
    ),
    "OpenInference, contents": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "big",
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 2,
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.contents.0.message_content.type": "text",
            "llm.input_messages.0.message.contents.0.message_content.text": "My VPN is down",
            "llm.input_messages.0.message.contents.1.message_content.type": "image",
            "llm.input_messages.0.message.contents.1.message_content.image.image.url": "data:image/png;base64,AAAA",
            "llm.output_messages.0.message.content": "it",
        },
        [],
    ),
    "OpenInference, values alone": (
        {
            "openinference.span.kind": "LLM",
            "llm.model_name": "big",
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 2,
            "input.value": "My VPN is down",
            "output.value": "it",
        },
        [],
    ),
    "Vercel's leaf": (
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "big",
            "ai.prompt.messages": json.dumps(
                [
                    {"role": "system", "content": "x"},
                    {"role": "user", "content": [{"type": "text", "text": "My VPN is down"}]},
                ]
            ),
            "ai.response.text": "it",
            "ai.usage.promptTokens": 100,
            "ai.usage.completionTokens": 2,
        },
        [],
    ),
    "Vercel's wrapper alone": (
        {
            "ai.operationId": "ai.streamText",
            "ai.model.id": "big",
            "ai.prompt": json.dumps({"system": "Be brief.", "prompt": "My VPN is down"}),
            "ai.response.text": "it",
            "ai.usage.inputTokens": 100,
            "ai.usage.outputTokens": 2,
        },
        [],
    ),
    "LangSmith": (
        USAGE
        | {
            "langsmith.span.kind": "llm",
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "big",
            "gen_ai.prompt": json.dumps(LANGCHAIN),
            "gen_ai.completion": json.dumps(GENERATED),
        },
        [],
    ),
    "MLflow": (
        {
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.spanInputs": json.dumps({"model": "big", "messages": ASKED}),
            "mlflow.spanOutputs": json.dumps(
                {"id": "c-1", "choices": [{"message": {"role": "assistant", "content": "it"}}]}
            ),
            "mlflow.chat.tokenUsage": json.dumps({"input_tokens": 100, "output_tokens": 2, "total_tokens": 102}),
        },
        [],
    ),
    "Langfuse": (
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "big",
            "langfuse.observation.input": json.dumps(ASKED),
            "langfuse.observation.output": json.dumps({"role": "assistant", "content": "it"}),
            "langfuse.observation.usage_details": json.dumps({"input": 100, "output": 2}),
        },
        [],
    ),
    "Logfire's OpenAI": (
        USAGE
        | {
            "gen_ai.system": "openai",
            "gen_ai.request.model": "big",
            "request_data": json.dumps({"messages": ASKED, "model": "big"}),
            "response_data": json.dumps({"message": {"role": "assistant", "content": "it"}, "usage": {}}),
        },
        [],
    ),
    "pydantic-ai's first format": (
        CALL
        | USAGE
        | {
            "events": json.dumps(
                [
                    {"event.name": "gen_ai.system.message", "content": "Be brief.", "role": "system"},
                    {"event.name": "gen_ai.user.message", "content": "My VPN is down", "role": "user"},
                    {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "it"}},
                ]
            )
        },
        [],
    ),
    "Google ADK": (
        USAGE
        | {
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "big",
            "gcp.vertex.agent.llm_request": json.dumps(
                {"model": "big", "contents": [{"role": "user", "parts": [{"text": "My VPN is down"}]}]}
            ),
            "gcp.vertex.agent.llm_response": json.dumps({"content": {"role": "model", "parts": [{"text": "it"}]}}),
        },
        [],
    ),
    "no operation": (
        USAGE | {"gen_ai.request.model": "big", "gen_ai.prompt": "My VPN is down", "gen_ai.completion": "it"},
        [],
    ),
    "an operation of its own": (
        USAGE | CALL | {"gen_ai.operation.name": "ask", "gen_ai.prompt": "My VPN is down", "gen_ai.completion": "it"},
        [],
    ),
    "Google's request and response": (
        CALL
        | USAGE
        | {
            "gen_ai.operation.name": "generate_content",
            "gen_ai.prompt": json.dumps({"contents": [{"role": "user", "parts": [{"text": "My VPN is down"}]}]}),
            "gen_ai.completion": json.dumps(
                {"candidates": [{"content": {"parts": [{"text": "it"}], "role": "model"}}]}
            ),
        },
        [],
    ),
    "Bedrock's converse": (
        CALL
        | USAGE
        | {
            "gen_ai.prompt": json.dumps({"messages": [{"role": "user", "content": [{"text": "My VPN is down"}]}]}),
            "gen_ai.completion": json.dumps(
                {"output": {"message": {"role": "assistant", "content": [{"text": "it"}]}}}
            ),
        },
        [],
    ),
    "OpenAI's responses": (
        CALL
        | USAGE
        | {
            "gen_ai.prompt": json.dumps({"input": "My VPN is down", "model": "big"}),
            "gen_ai.completion": json.dumps(
                {
                    "output": [
                        {"type": "reasoning", "summary": []},
                        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "it"}]},
                    ]
                }
            ),
        },
        [],
    ),
}
