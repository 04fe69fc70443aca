"""Requests for models that the gateway does not answer itself: passed to the upstream that the plan names, unchanged.

calls    what a client asks by OpenAI's API, read no further than the gateway has to
targets  which upstream answers which model
posting  over the HTTP library's connections, without its session
passing  the request to the upstream and its answer back, chunk by chunk as it comes
watch    what an answer says, read beside the client
record   an answer that passed as an inference
proxy    the whole of it
"""
