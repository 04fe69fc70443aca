"""OpenTelemetry as events.

receiver    OTLP over HTTP
grpc_receiver    OTLP over gRPC
service     what becomes of an export, however it came
status      what a sender is told whose export is not taken
exports     a body in pieces of messages, and what of it cannot be read
layout      where the elements of a body lie
wire        protobuf's wire format
json_scan   where the elements of OTLP's JSON lie
json_read   OTLP's JSON into messages
decode      the values of attributes as plain ones
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
