"""OpenTelemetry as events.

receiver       OTLP over HTTP
grpc_receiver  OTLP over gRPC
status         what a sender is told whose export is not taken
service        what becomes of an export, however it came
exports        a body in pieces: messages to read, and what cannot be read of it
layout         where spans and log records are in a body
wire           protobuf's wire format: finding them, and mending strings
json_scan      finding them in OTLP's JSON
json_read      one of them from JSON as exporters write it
decode         values of attributes as plain ones
attributes     what the attributes of a span or log record say
genai          GenAI spans into inferences
evaluation     an evaluation result as feedback
"""
