"""OpenTelemetry as events.

receiver          OTLP over HTTP
grpc_receiver     OTLP over gRPC
status            what a sender is told whose export is not taken
service           what becomes of an export, however it came
exports           a body in pieces: messages to read, and what cannot be read of it
layout            where spans and log records are in a body
wire              protobuf's wire format: finding them, and mending strings
json_scan         finding them in OTLP's JSON
json_read         one of them from JSON as exporters write it
decode            values of attributes as plain ones
genai             spans and log records into inferences and feedback
telling           what one span, or the log records of one, tell
calls             a call of a model out of attributes and events, by every dialect
shapes           what the names of attributes alone say of a span
dialects          the published ways to write a model call into a span: a table each
flattened         messages that are flattened into attributes
attributes        single values out of attributes
grouping          which spans and log records tell of one call
joining           what they tell together, also in several exports
inference         a call as an inference: its id, and what the plan adds
instrumentations  their names as a label of metrics
evaluation        an evaluation result as feedback
"""
