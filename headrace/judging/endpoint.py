"""An endpoint of chat completions or decisions as batch work asks it: few questions at a time, and with patience."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from headrace.contract import decisions
from headrace.contract.completions import CUT, Manners, answer_in, error_in, text_of
from headrace.errors import HeadraceError
from headrace.plan.upstreams import Upstream, place_of

T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
# One question that always fails must not stand in the way of the others for ever.
ATTEMPTS = 6
MAX_ANSWER_BYTES = 256 * 1024
# The endpoint refuses this question; another attempt gets the same answer.
_REFUSED = frozenset({400, 413, 415, 422})
# Nobody gets an answer: a wrong key or model, or too many requests. Waiting, or a person, helps.
_CLOSED = frozenset({401, 403, 404, 429, 503})
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Unanswered(HeadraceError):
    """The endpoint gave no answer to this question, and will not."""


@dataclass(frozen=True, slots=True)
class Said:
    """A model's answer. tokens_in, tokens_out: 0 where the endpoint does not say"""

    text: str
    tokens_in: int = 0
    tokens_out: int = 0


class Endpoint:
    """A judge, or another model. At most `concurrency` questions are under way at a time."""

    def __init__(self, upstream: Upstream, concurrency: int) -> None:
        key = os.environ.get(upstream.key_env, "").strip() if upstream.key_env else ""
        self._manners = Manners()
        path = decisions.PATH if upstream.api == "decisions" else "/chat/completions"
        self._url = upstream.url.rstrip("/") + path
        self._place = place_of(self._url)
        self._free = asyncio.Semaphore(concurrency)
        self._http = httpx.AsyncClient(
            timeout=upstream.timeout_s,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            limits=httpx.Limits(max_connections=concurrency),
            trust_env=False,
        )

    async def ask(self, body: dict[str, Any]) -> str:
        """The content of the model's answer without its thoughts; empty where it is cut off. See `said`."""
        return (await self.said(body)).text

    async def said(self, body: dict[str, Any]) -> Said:
        """The answer, with its tokens. Waits while the endpoint is away. Raises Unanswered."""
        return await self._patiently(lambda: self._once(body))

    async def decided(self, task: str, text: str, options: Sequence[str]) -> decisions.Decided:
        """A decision endpoint's choice among these options. Waits while it is away. Raises Unanswered."""
        body = decisions.body_of(task, text, options)

        async def once() -> decisions.Decided:
            response = await self._posted(body)
            self._check(response)
            try:
                return decisions.decided(response.content[:MAX_ANSWER_BYTES], options)
            except decisions.NoDecision as error:
                raise Unanswered(f"{self._place} answered something that is no decision: {error}") from None

        return await self._patiently(once)

    async def _patiently(self, once: Callable[[], Awaitable[T]]) -> T:
        failed, delay = 0, FIRST_RETRY_S
        while True:
            try:
                async with self._free:
                    return await once()
            except _Again as again:
                failed += again.counts
                if failed >= ATTEMPTS:
                    raise Unanswered(f"{self._place}: {again} {failed} times") from None
                log.warning("%s does not answer: %s", self._place, again)
            await asyncio.sleep(delay * random.uniform(0.7, 1.0))
            delay = min(2 * delay, LAST_RETRY_S)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def _once(self, body: dict[str, Any]) -> Said:
        sent = self._manners.body(body)
        response = await self._posted(sent)
        status = response.status_code
        if status in _REFUSED and self._manners.refused(body, sent, response.content[:MAX_ANSWER_BYTES]):
            return await self._once(body)
        self._check(response)
        answer = _parsed(response)
        if error_in(answer):
            raise _Again("an error under status 200", counts=True)
        text, finish_reason, tokens_in, tokens_out = _said(answer)
        if self._manners.cut_in_thought(body, sent, text, finish_reason):
            return await self._once(body)
        # The beginning of an answer says something else than all of it.
        return Said("" if finish_reason == CUT else answer_in(text) or "", tokens_in, tokens_out)

    async def _posted(self, body: Mapping[str, Any]) -> httpx.Response:
        try:
            return await self._http.post(self._url, json=body)
        except httpx.ConnectError as error:
            raise _Again(str(error) or "no connection", counts=False) from None
        except httpx.HTTPError as error:
            raise _Again(f"{type(error).__name__} {error}".strip(), counts=True) from None

    def _check(self, response: httpx.Response) -> None:
        """Raises Unanswered and _Again for a status without an answer."""
        status = response.status_code
        if status in _REFUSED:
            raise Unanswered(f"{self._place} refused the question: {status} {_code(response)}".rstrip())
        if status != 200:
            raise _Again(f"status {status}", counts=status not in _CLOSED)


def structured(model: str, instructions: str, data: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a question that is answered by one JSON object. schema: that object's, strict"""
    return {
        "model": model,
        "temperature": 0,
        "messages": [
            {"role": "system", "content": instructions},
            {"role": "user", "content": json.dumps(data, ensure_ascii=False)},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": schema},
        },
    }


class _Again(Exception):
    """Try again later.

    counts: against this question; otherwise the endpoint is away for everyone
    """

    def __init__(self, text: str, counts: bool) -> None:
        super().__init__(text)
        self.counts = counts


def _parsed(response: httpx.Response) -> Any:
    """A body's JSON; None where it is none, or none that may be read."""
    if len(response.content) > MAX_ANSWER_BYTES:
        return None
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _code(response: httpx.Response) -> str:
    """The error's code or type as OpenAI's API has them; its message may repeat the question, which no log may hold."""
    try:
        error = _parsed(response)["error"]
        said = error.get("code") or error.get("type")
    except (KeyError, TypeError, AttributeError):
        return ""
    return said if isinstance(said, str) and _CODE.fullmatch(said) else ""


def _said(found: Any) -> tuple[str, str, int, int]:
    """The answer's text and why it ended, empty where there is none and so no verdict; tokens in and out."""
    try:
        choice = found["choices"][0]
        content, finish_reason = choice["message"]["content"], choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        return "", "", 0, 0
    usage = found.get("usage")
    tokens = [usage.get(name) if isinstance(usage, dict) else 0 for name in ("prompt_tokens", "completion_tokens")]
    counts = [count if isinstance(count, int) and 0 <= count < 1 << 31 else 0 for count in tokens]
    return text_of(content) or "", str(finish_reason or ""), counts[0], counts[1]
