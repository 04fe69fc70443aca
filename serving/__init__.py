"""The gateway: answers questions with the version that a task's promotion names, and says what it answered.

service          the gateway as a whole: what is started in which order, and what is stopped
app              the gateway over HTTP
parts            what the routes call
callers          who asks: the holder of an API key, or programs on this machine where there is no key yet
admission        who sends a request, and the only way to its body
limits           how many events a tenant and a key may send
room             how much of the gateway the requests in progress may hold
bodies           the body of a request, in pieces and unzipped, within bounds
requests         what the bodies of requests may hold
refusal          a request that gets no answer: the status, and one sentence in OpenAI's form
browsers         cross-origin requests of web pages
chat             OpenAI's chat completions for task aliases
intake           events that arrive over HTTP, kept before they are acknowledged
batches          from a request's body to events, each taken or named with what is wrong with it
stamping         the bytes of events as their principal's
published        what a web page's user says about an answer whose token the page has
turns            large work on threads, so that questions do not wait behind it
otlp             OpenTelemetry over HTTP
otlp_decode      OTLP's two encodings into messages, attributes into plain values
otlp_genai       GenAI spans into inferences
otlp_said        what the attributes of a span or log record say
otlp_evaluation  an evaluation result as feedback
gateway          one question: choose who answers, answer, fall back where a candidate fails
routing          which arm answers a session: pure, so that every replica and every restart decides alike
breaker          when a failing candidate leaves the traffic without waiting for anybody
fleet            the versions that are loaded and the table that says which of them answer
seat             a version in use: counts what is in flight, so that it leaves without dropping a request
shadow           candidates that answer beside the live version, for nobody
follower         reads promotions and tells the fleet what to serve
remembered       the last promotions, in a file, for a start without Kafka
heartbeat        what the gateway tells the others: which generation serves, and which candidate is out
link             the way to Kafka, as the gateway uses it; it may be down at any time
metrics          what Prometheus reads at /metrics; one registry a gateway
engines          what computes an answer
__main__         runs the gateway until SIGTERM
"""
