"""What the gateway's routes are made of.

app           the routes
dependencies  what they call
callers       who asks: the holder of an API key, or programs on this machine where there is no key yet
paths         paths as clients join them, with a slash too many
admission     who sends a request, and the only way to its body
limits        how many events a tenant and a key may send
capacity      how much of the gateway the requests in progress may hold
bodies        the body of a request as it comes, within bounds
encodings     gzip, deflate and zstd undone within bounds
requests      what the bodies of requests may hold
refusal       a request that gets no answer: the status, and one sentence in OpenAI's form
cross_origin  requests of web pages from elsewhere
page_files    the JavaScript client, for web pages
chat          OpenAI's chat completions for task aliases
large_work    large work on threads, so that questions do not wait behind it
metrics       what Prometheus reads at /metrics
"""
