"""What the gateway's routes are made of.

app           the routes
direct        those of questions and events, on a way around the framework
dependencies  what they call
callers       who asks: the holder of an API key, or programs on this machine where there is no key yet
paths         paths as clients join them, with a slash too many
admission     who sends a request, and the only way to its body
limits        how many events a tenant and a key may send
capacity      how much of the gateway the requests in progress may hold, and their bodies as they come
bodies        how large the body of a request may be
encodings     gzip, deflate and zstd undone within bounds
requests      what the bodies of requests may hold
refusal       a request that gets no answer: the status, and one sentence in OpenAI's form
cross_origin  requests of web pages from elsewhere
page_files    the JavaScript client, for web pages
openai_api    OpenAI's API: tasks as models, and the models of upstreams
chat          OpenAI's chat completions and completions for task aliases
responses     OpenAI's responses for task aliases
label_shapes  how a label is written: as text, as JSON by a schema, as a tool's call
decisions     a choice among options, with probabilities and none of these
answers       what the routes of questions share
askers        who asks, in headers or in the body
departure     clients that leave before their answer
large_work    large work on threads, so that questions do not wait behind it
metrics       what Prometheus reads at /metrics
"""
