"""What `make bench-otlp` runs.

spans         exports of chat spans as agents send them
senders       OTLP over HTTP and gRPC, as fast as it is answered
otelcol       an OpenTelemetry Collector as a process
otelcol.yaml  what that collector is built of
"""
