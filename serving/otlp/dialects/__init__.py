"""The published ways to write a model call into a span: a table each.

dialect        what a table says
conventions    OpenTelemetry's semantic conventions for generative AI, 1.26 to today
events         their span events and log records
openinference  OpenInference (Arize Phoenix)
openllmetry    OpenLLMetry (Traceloop) and what came before the conventions
vercel         Vercel's AI SDK
platforms      LangSmith, MLflow, Langfuse, Logfire, Langtrace, Google ADK, Alibaba, Braintrust, CozeLoop

A new dialect is a file with one table here, and its place in `DIALECTS`.
"""

from __future__ import annotations

from serving.otlp.dialects.conventions import CONVENTIONS
from serving.otlp.dialects.dialect import Dialect
from serving.otlp.dialects.openinference import OPENINFERENCE
from serving.otlp.dialects.openllmetry import OPENLLMETRY, TRACELOOP
from serving.otlp.dialects.platforms import (
    ADK,
    ALIBABA,
    BRAINTRUST,
    COZELOOP,
    LANGFUSE,
    LANGSMITH,
    LANGTRACE,
    LOGFIRE,
    MLFLOW,
)
from serving.otlp.dialects.vercel import VERCEL

DIALECTS: tuple[Dialect, ...] = (
    OPENINFERENCE,
    VERCEL,
    LANGSMITH,
    MLFLOW,
    LANGFUSE,
    LOGFIRE,
    LANGTRACE,
    ADK,
    ALIBABA,
    BRAINTRUST,
    COZELOOP,
    TRACELOOP,
    CONVENTIONS,
    OPENLLMETRY,
)
"""In the order in which they say which kind a span is: a platform's own word goes before gen_ai.operation.name, which
LangSmith, for one, sets to `chat` on the spans of prompt templates as well."""
