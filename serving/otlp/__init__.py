"""OpenTelemetry as events.

receiver    OTLP over HTTP
decode      its two encodings into messages
genai       spans and log records into inferences and feedback
telling     what one span, or the log records of one, tell
calls       a call of a model out of attributes and events, by every dialect
dialects    the published ways to write a model call into a span: a table each
messages    the texts of a conversation in whatever shape
flattened   messages that are flattened into attributes
attributes  single values out of attributes
joining     what several spans and log records tell of one call
inference   a call as an inference: its id, and what the plan adds
instrumentations  their names as a label of metrics
evaluation  an evaluation result as feedback
"""
