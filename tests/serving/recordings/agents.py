"""Agents that are instrumented by packages of PyPI: each asks the fake model once and exports what that recorded.

Run by record.py with the agent's name, in the environment that its packages are installed in; MODEL_URL says where the
fake model is. An agent imports its packages itself, since no environment has all of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

MODEL, QUESTION, SYSTEM, SESSION = "incumbent-70b", "My VPN is down", "Be brief.", "conversation-7"
URL = os.environ["MODEL_URL"]
MESSAGES: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]


def providers() -> list[Any]:
    """The SDK's providers of spans and log records, set as the global ones."""
    from opentelemetry import _logs, trace
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    spans, logs = TracerProvider(), LoggerProvider()
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    trace.set_tracer_provider(spans)
    _logs.set_logger_provider(logs)
    return [spans, logs]


def ask_openai(stream: bool = False) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=f"{URL}/v1", api_key="none")
    more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, **more)
    assert not stream or list(answer)


def openai_v2() -> None:
    """opentelemetry-instrumentation-openai-v2"""
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    ask_openai()


def openai_v2_stream() -> None:
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    ask_openai(stream=True)


def openllmetry_openai() -> None:
    """opentelemetry-instrumentation-openai, which is OpenLLMetry's"""
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    ask_openai()


def openinference_openai(stream: bool = False) -> None:
    """openinference-instrumentation-openai"""
    from openinference.instrumentation import using_session
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    with using_session(SESSION):
        ask_openai(stream)


def openinference_openai_stream() -> None:
    openinference_openai(stream=True)


def openinference_openai_responses() -> None:
    from openai import OpenAI
    from openinference.instrumentation import using_session
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument()
    with using_session(SESSION):
        OpenAI(base_url=f"{URL}/v1", api_key="none").responses.create(model=MODEL, instructions=SYSTEM, input=QUESTION)


def two_on_one_call() -> None:
    """OpenInference's and OpenTelemetry's own instrumentation of one client"""
    from openinference.instrumentation.openai import OpenAIInstrumentor as First
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor as Second

    First().instrument()
    Second().instrument()
    ask_openai()


def ask_langchain() -> None:
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(base_url=f"{URL}/v1", api_key="none", model=MODEL)  # type: ignore[arg-type]
    prompt = ChatPromptTemplate.from_messages([("system", SYSTEM), ("human", "{question}")])
    (prompt | model).invoke({"question": QUESTION}, config={"metadata": {"session_id": SESSION}})


def openinference_langchain() -> None:
    """openinference-instrumentation-langchain"""
    from openinference.instrumentation.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument()
    ask_langchain()


def openllmetry_langchain() -> None:
    """opentelemetry-instrumentation-langchain, which is OpenLLMetry's"""
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    LangchainInstrumentor().instrument()
    ask_langchain()


def langsmith() -> None:
    """langsmith, which sends LangChain's runs as OTLP"""
    from langchain_core.tracers.langchain import wait_for_all_tracers

    ask_langchain()
    wait_for_all_tracers()


def pydantic_ai() -> None:
    """pydantic-ai's own spans"""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    Agent.instrument_all()
    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key="none"))
    Agent(model, name="helpdesk", system_prompt=SYSTEM).run_sync(QUESTION)


def litellm() -> None:
    """LiteLLM's callback `otel`"""
    import litellm
    from litellm.integrations.opentelemetry import OpenTelemetry, OpenTelemetryConfig

    where = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
    own = OpenTelemetry(OpenTelemetryConfig(exporter="otlp_http", endpoint=f"{where}/v1/traces"))
    litellm.callbacks = [own]
    metadata = {"session_id": SESSION}
    litellm.completion(f"openai/{MODEL}", MESSAGES, api_base=f"{URL}/v1", api_key="none", metadata=metadata)
    import time

    time.sleep(3)  # its callbacks run on threads of their own
    from opentelemetry import trace

    trace.get_tracer_provider().force_flush()  # type: ignore[attr-defined]


def ask_anthropic() -> None:
    from anthropic import Anthropic

    asked: list[Any] = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    Anthropic(base_url=URL, api_key="none").messages.create(model=MODEL, max_tokens=10, system=SYSTEM, messages=asked)


def openllmetry_anthropic() -> None:
    """opentelemetry-instrumentation-anthropic, which is OpenLLMetry's"""
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument()
    ask_anthropic()


def openinference_anthropic() -> None:
    """openinference-instrumentation-anthropic"""
    from openinference.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument()
    ask_anthropic()


def google_genai() -> None:
    """opentelemetry-instrumentation-google-genai"""
    from google import genai
    from google.genai import types
    from opentelemetry.instrumentation.google_genai import GoogleGenAiSdkInstrumentor

    GoogleGenAiSdkInstrumentor().instrument()
    client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=URL))
    config = types.GenerateContentConfig(system_instruction=SYSTEM)
    client.models.generate_content(model=MODEL, contents=QUESTION, config=config)


def semantic_kernel() -> None:
    """semantic-kernel's own spans and log records"""
    import logging

    from openai import AsyncOpenAI
    from opentelemetry import _logs
    from opentelemetry.sdk._logs import LoggingHandler
    from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
    from semantic_kernel.contents import ChatHistory

    logging.getLogger().addHandler(LoggingHandler(logger_provider=_logs.get_logger_provider()))
    logging.getLogger().setLevel(logging.INFO)
    history = ChatHistory(system_message=SYSTEM)
    history.add_user_message(QUESTION)
    service = OpenAIChatCompletion(MODEL, async_client=AsyncOpenAI(base_url=f"{URL}/v1", api_key="none"))
    asyncio.run(service.get_chat_message_contents(history, OpenAIChatPromptExecutionSettings()))


if __name__ == "__main__":
    started = providers()
    globals()[sys.argv[1]]()
    for one in started:
        one.shutdown()
