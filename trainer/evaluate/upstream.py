"""What an upstream says to questions that it was not asked before: asked as a gateway asks it, with the same words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from headrace.contract.choice import Choice
from headrace.judging.endpoint import Endpoint, Unanswered
from headrace.plan import Task
from headrace.plan.upstreams import Upstream

AT_ONCE = 8
WITHIN_S = 900.0
"""How long all of them may take at most; one that is away longer does not hold a job up."""


def asked(upstream: Upstream, task: Task, texts: Sequence[str], within_s: float = WITHIN_S) -> list[str]:
    """Its label of each text; as at a gateway, an empty one where an answer names none.

    within_s: how long all of them may take, if that is less than WITHIN_S
    Raises Unanswered where it gives no answer to a text, or is not done in time.
    """
    choice, within_s = Choice(task.names, task.describe), min(within_s, WITHIN_S)

    async def one(endpoint: Endpoint, text: str) -> str:
        if upstream.api == "decisions":
            return (await endpoint.decided(upstream.model, text, choice.labels)).label
        messages = [{"role": "system", "content": choice.instruction}, {"role": "user", "content": text}]
        body = {"model": upstream.model, "messages": messages, "temperature": 0, "max_tokens": choice.max_tokens}
        return choice.named(await endpoint.ask(body)) or ""

    async def every() -> list[str]:
        endpoint = Endpoint(upstream, AT_ONCE)
        try:
            async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(endpoint, text)) for text in texts]
            return [task.result() for task in tasks]
        except* Unanswered as errors:
            raise Unanswered(str(errors.exceptions[0])) from None
        except* TimeoutError:
            raise Unanswered(f"{upstream.url} did not answer {len(texts)} questions within {within_s:.0f} s") from None
        finally:
            await endpoint.close()

    return asyncio.run(every())
