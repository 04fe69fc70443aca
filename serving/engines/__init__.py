"""What computes an answer. An engine is opened for one version of one task and closed when nobody names it any more.

engine            the boundary between the gateway and a model: requests, deltas, the final answer, capabilities
classify          a label for a text, on top of any engine
opening           from what a promotion names to an engine that can answer
hosts             what several versions answer on together; opened, counted, closed
chain             engines in a row: the next is asked where one is not sure
admission         who gets in at a host: its capacity, its queue, deadlines
kinds             the engines that there are, a file each
vllm              a vLLM server: started, reached, asked
batches           questions scored together, on one thread
server_sent       server-sent events, read with bounds
endpoint_answers  what the response of an endpoint is: a body within bounds, or a failure

Nothing is imported here: a plan that names a kind is checked on machines without torch and aiohttp.
"""
