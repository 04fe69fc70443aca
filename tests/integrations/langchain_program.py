"""A model of LangChain, told by docs/integrations.md's lines to send what it does."""

from __future__ import annotations

import sys

from langchain_openai import ChatOpenAI
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.langchain import LangchainInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
LangchainInstrumentor().instrument(tracer_provider=provider)

model = ChatOpenAI(model="small-1b", base_url=sys.argv[1], api_key="k")
print(model.invoke("My VPN is down").content)
provider.shutdown()
