"""The gateway: answers questions with the version that a task's promotion names, and says what it answered.

__main__.py   builds the settings and runs the gateway
service.py    starts the pieces in order, and stops them
app.py        HTTP: routes, errors, probes, metrics, over parts.py;  chat.py  OpenAI's shapes;  requests.py  bodies
keys.py       who sends an API key;  limits.py  how many events a tenant and a key may send
caller.py     admits a request, and reads its body: bodies.py  pieces, gzip;  room.py  what each key may hold
intake.py     events by HTTP: batches.py parses (pure); 202 when they are kept;  turns.py  large work on threads
gateway.py    one question: choose, answer, fall back, record
routing.py    which arm answers a session (pure)
breaker.py    when a failing candidate leaves the traffic (pure)
fleet.py      loads versions, swaps the routing table, drains what nobody names
follower.py   reads promotions from Kafka;  remembered.py  keeps the last ones on disk for a start without Kafka
shadow.py     candidates that answer beside the live version
link.py       the way to Kafka, which may be down;  heartbeat.py  acknowledgements
otlp.py       OpenTelemetry by HTTP;  otlp_decode.py  its encodings;  otlp_genai.py, otlp_said.py  spans into answers
otlp_evaluation.py  evaluation results into feedback
engines/      what computes an answer: an encoder in this process, an OpenAI-compatible upstream
"""
