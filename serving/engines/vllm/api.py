"""vLLM's HTTP API, as far as it is called.

    GET  /v1/models                   the base, and adapters by the name that they were loaded under
    POST /v1/load_lora_adapter        lora_name, lora_path; where VLLM_ALLOW_RUNTIME_LORA_UPDATING is True
    POST /v1/unload_lora_adapter      lora_name
    POST /v1/completions              token ids in, text or log-probabilities out, whole or as server-sent events

EngineFailed
├── Unreachable    no connection, or no answer in time
├── UnknownModel   it has no model of that name: an adapter was lost with a restart, or unloaded by another
└── Refused        it answered with an error of its own
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp

from headrace.plan.upstreams import place_of
from serving.engines.engine import EngineFailed
from serving.engines.server_sent import TooLarge, events

MAX_ANSWER_BYTES = 16 << 20
LOAD_S = 120.0
"""Loading an adapter takes milliseconds, and more where its files come over a network."""
ASK_S = 10.0
MAX_SENTENCE = 300


class Unreachable(EngineFailed):
    """See above."""


class UnknownModel(EngineFailed):
    """See above."""


class Refused(EngineFailed):
    """See above."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that the server has.

    root: the folder that it was loaded from; parent: the base's name, empty of the base itself
    max_length: tokens of prompt and answer together; 0 where it does not say
    """

    name: str
    root: str
    parent: str
    max_length: int


class Api:
    """A server, by its address.

    url: up to and with /v1; key: its API key, or None
    timeout_s: of a whole answer; of a streamed one until its next piece
    """

    def __init__(self, url: str, key: str | None, timeout_s: float) -> None:
        self.url = url.rstrip("/")
        self.place = place_of(self.url)
        self._http = aiohttp.ClientSession(
            headers={"authorization": f"Bearer {key}"} if key else {},
            # Admission bounds the requests; a probe, and a load, must not wait behind them for a connection.
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._whole = aiohttp.ClientTimeout(total=timeout_s)
        self._streamed = aiohttp.ClientTimeout(total=None, sock_connect=timeout_s, sock_read=timeout_s)

    async def close(self) -> None:
        await self._http.close()

    async def models(self) -> list[Listed]:
        """Raises EngineFailed."""
        content = await self._fetched("GET", "/models", None, aiohttp.ClientTimeout(total=ASK_S))
        try:
            return [
                Listed(
                    str(each["id"]),
                    str(each.get("root") or ""),
                    str(each.get("parent") or ""),
                    int(each.get("max_model_len") or 0),
                )
                for each in _object(self.place, content)["data"]
            ]
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Refused(f"{self.place} answered something that is no list of models") from None

    async def load(self, name: str, folder: str) -> None:
        """Load the adapter in a folder, which the server must see under the same path. Raises EngineFailed."""
        body = {"lora_name": name, "lora_path": folder}
        await self._fetched("POST", "/load_lora_adapter", body, aiohttp.ClientTimeout(total=LOAD_S))

    async def unload(self, name: str) -> None:
        """Raises EngineFailed; UnknownModel where the server has none of that name."""
        await self._fetched("POST", "/unload_lora_adapter", {"lora_name": name}, aiohttp.ClientTimeout(total=ASK_S))

    async def complete(self, body: Mapping[str, Any], within_s: float = 0.0) -> dict[str, Any]:
        """A whole completion, as vLLM writes it. Raises EngineFailed. within_s: instead of the usual time"""
        timeout = aiohttp.ClientTimeout(total=within_s) if within_s else self._whole
        return _object(self.place, await self._fetched("POST", "/completions", body, timeout))

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """The chunks of a completion, as they come. Raises EngineFailed, also in the middle."""
        try:
            async with self._http.post(
                f"{self.url}/completions", json=body, allow_redirects=False, timeout=self._streamed
            ) as response:
                if response.status != HTTPStatus.OK:
                    raise _failure(self.place, response.status, await response.content.read(MAX_ANSWER_BYTES))
                async with aclosing(events(response.content.iter_any())) as found:
                    async for data in found:
                        if data == b"[DONE]":
                            return
                        chunk = _object(self.place, data)
                        if error := chunk.get("error"):
                            raise Refused(f"{self.place} failed: {_said(error)}")
                        yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{self.place} did not answer: {_reason(error)}") from None
        except TooLarge as error:
            raise Refused(f"{self.place} answered too much: {error}") from None

    async def _fetched(
        self, method: str, path: str, body: Mapping[str, Any] | None, timeout: aiohttp.ClientTimeout
    ) -> bytes:
        try:
            async with self._http.request(
                method, self.url + path, json=body, allow_redirects=False, timeout=timeout
            ) as response:
                content = bytearray()
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > MAX_ANSWER_BYTES:
                        raise Refused(f"{self.place} answered too much: more than {MAX_ANSWER_BYTES >> 20} MiB")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{self.place} did not answer: {_reason(error)}") from None
        if response.status != HTTPStatus.OK:
            raise _failure(self.place, response.status, bytes(content))
        return bytes(content)


def _failure(url: str, status: int, content: bytes) -> EngineFailed:
    try:
        said = json.loads(content)
        why = _said(said.get("error", said))
    except (ValueError, AttributeError, RecursionError):
        why = ""
    kind = UnknownModel if status == HTTPStatus.NOT_FOUND else Refused
    return kind(f"{url} answered {status}{f': {why}' if why else ''}")


def _said(error: Any) -> str:
    """The message of an error, on one line."""
    message = error.get("message", "") if isinstance(error, dict) else error
    return " ".join(str(message).split())[:MAX_SENTENCE]


def _object(url: str, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(f"{url} answered something that is not vLLM's")
    return found


def _reason(error: Exception) -> str:
    return "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
