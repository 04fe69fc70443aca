"""One line that makes a program's calls of a model inferences: nothing of the call changes, whatever happens here.

    from headrace.client import Client
    from headrace.integrations.openai import observed

    client = observed(OpenAI(), Client(url="http://127.0.0.1:8080", emitter="helpdesk"), task="helpdesk")

Feedback then names an answer by the provider's own id: `headrace.feedback(response_id=completion.id, …)`.

openai   the OpenAI client, with and without an event loop, streaming or not
litellm  LiteLLM, in a program or as its proxy
about    what a block of code knows of its calls: session, user, task
answers  an answered call as an inference; an error here is logged, and is nobody's problem
"""
