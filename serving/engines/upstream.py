"""Any OpenAI-compatible endpoint that chooses a label: the big incumbent."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from http import HTTPStatus

import aiohttp

from headrace.plan import Upstream
from serving.engines.engine import Answer, EngineFailed

CONNECTIONS = 256
"""Requests that an upstream sees at once; more wait their turn."""
ATTEMPTS = 2
MAX_TOKENS = 32

_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_JSON = {"content-type": "application/json"}
_DRESSING = " \t\r\n\"'`*.,:;!"


class UpstreamModel:
    """Asks for one label: a system message lists them, the last user message is the question verbatim.

    A request that fails for a passing reason (no connection, a timeout, 429, 5xx) is tried once more.
    An answer that names no label of the task becomes `out_of_scope`, where that is one of its labels, or else no label.
    names: the labels' texts, which the model reads and answers with, by their ids
    """

    def __init__(
        self,
        upstream: Upstream,
        names: Mapping[str, str],
        describe: Mapping[str, str],
        out_of_scope: str,
        key: str | None = None,
    ) -> None:
        self._upstream = upstream
        self._labels = {_plain(said): label for label, text in names.items() for said in (text, label)}
        self._otherwise = out_of_scope if out_of_scope in names else ""
        self._system = {"role": "system", "content": instruction(names, describe)}
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._url = upstream.url.rstrip("/") + "/chat/completions"
        # aiohttp and not httpx: httpx looks at every pooled connection for each request, measured 2.1 ms of processor
        # a request with 32 of them against 0.15 ms. Neither takes a proxy from the environment here: the plan names
        # the address.
        self._http = aiohttp.ClientSession(
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=aiohttp.ClientTimeout(total=upstream.timeout_s),
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def answer(self, text: str) -> Answer:
        """Raises EngineFailed after the second try, or at once where trying again cannot help."""
        fields = {
            "model": self._upstream.model,
            "messages": [self._system, {"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
        }
        body = json.dumps(fields).encode()
        async with self._places:
            for left in reversed(range(ATTEMPTS)):
                started = time.perf_counter()
                try:
                    async with self._http.post(self._url, data=body, headers=_JSON, allow_redirects=False) as response:
                        status, content = response.status, await response.read()
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    failure = EngineFailed(f"{self._upstream.url} did not answer: {_reason(error)}")
                else:
                    if status == HTTPStatus.OK:
                        return self._read(content, (time.perf_counter() - started) * 1000)
                    failure = EngineFailed(f"{self._upstream.url} answered {status}")
                    if status not in _RETRIED:
                        raise failure
                if not left:
                    raise failure
        raise AssertionError("unreachable: the last try returns or raises")

    async def close(self) -> None:
        await self._http.close()

    def _read(self, content: bytes, elapsed_ms: float) -> Answer:
        try:
            fields = json.loads(content)
            output = fields["choices"][0]["message"]["content"] or ""
            usage = fields.get("usage") or {}
            tokens_in, tokens_out = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
            label = self._labels.get(_plain(output))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            raise EngineFailed(f"{self._upstream.url} answered something that is no chat completion") from None
        plan = self._upstream
        cost = (tokens_in * plan.usd_per_million_in + tokens_out * plan.usd_per_million_out) / 1e6
        return Answer(
            label=self._otherwise if label is None else label,
            first_token_ms=elapsed_ms,
            output=output,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost=cost,
            recognised=label is not None,
        )


def instruction(names: Mapping[str, str], describe: Mapping[str, str]) -> str:
    """The system message: what the labels stand for, and that the answer is one of them and nothing else."""
    lines = [f"- {text}: {describe[label]}" if label in describe else f"- {text}" for label, text in names.items()]
    return "\n".join(
        [
            "You send each question to the one expert who answers it. The experts:",
            *lines,
            "Answer with one name of this list, exactly as written, and nothing else.",
        ]
    )


def _plain(text: str) -> str:
    """As models dress a name up: case, quotes, a full stop, spaces or dashes for underscores."""
    return re.sub(r"[\s-]+", "_", text.strip(_DRESSING).lower())


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return str(error) or type(error).__name__
