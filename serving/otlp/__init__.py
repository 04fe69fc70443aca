"""OpenTelemetry as events.

receiver    OTLP over HTTP
decode      its two encodings into messages
attributes  what the attributes of a span or log record say
genai       GenAI spans into inferences
evaluation  an evaluation result as feedback
"""
