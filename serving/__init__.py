"""The gateway: answers questions with the version that a task's promotion names, and says what it answered.

http       the routes, and what guards them
intake     events that arrive over HTTP
otlp       OpenTelemetry as events
proxy      requests for models of upstreams, passed through
answering  one question: who answers it, and what is recorded of it
versions   which versions are loaded, and who says so
engines    what computes an answer
replica    one gateway among others: its start, its end, its heartbeats
__main__   runs the gateway until SIGTERM
"""
