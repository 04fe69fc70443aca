"""vLLM as an engine: a server for each base, its adapters, and models that answer on them.

api         vLLM's HTTP API, as far as it is called
server      a server that this process started, restarted when it dies or hangs
adapters    adapters of one server: loaded, counted, unloaded, loaded again
options     log-probabilities of labels, also of more than one answer can hold
model       a version on a server: labels by one prefill, text token by token, the check before it serves

Nothing of vLLM is imported: it runs in an environment of its own.
"""
