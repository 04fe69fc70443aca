"""Any endpoint that speaks OpenAI's chat completions: the incumbent, a server of one's own, a hosted model."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from headrace.contract.completions import Manners, error_in, text_of
from headrace.errors import PlanError
from headrace.plan.engines import EngineKeys
from headrace.plan.section import NotNegative, Positive
from headrace.plan.upstreams import Incumbent, place_of
from serving.engines.endpoint_answers import Passing, content_of, failure, reason_of
from serving.engines.engine import Capability, Delta, Engine, EngineFailed, Final, Message, Request, ToolCall, ToolPiece
from serving.engines.hosts import Host, HostedModel
from serving.engines.server_sent import TooLarge, events

if TYPE_CHECKING:
    import aiohttp

BUNDLES = frozenset[str]()
"""It serves the models that the endpoint has."""
ATTEMPTS = 2
MAX_COUNT = 2**31 - 1
_REFUSED = frozenset({400, 422})
CONNECT_S = 10.0
JSON = {"content-type": "application/json"}


class Keys(EngineKeys):
    """Its table in the plan."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """Up to and with /v1."""
    model: str = ""
    """The model name to ask for, whatever name a request gives; empty: that name."""
    key_env: str = ""
    """The environment variable that holds the API key; empty for none."""
    timeout_s: Positive = 600.0
    """Of a whole answer; of a streamed one until its next piece. As long as OpenAI's own clients wait: a model that
    reasons may write for minutes before anything comes."""
    images: bool = False
    """Whether its models take images in messages."""
    usd_per_million_in: NotNegative = 0.0
    usd_per_million_out: NotNegative = 0.0

    @property
    def connect_s(self) -> float:
        """How long a connection may take to open: an address that nobody has says nothing."""
        return min(self.timeout_s, CONNECT_S)

    @property
    def place(self) -> str:
        """The address without its secrets."""
        return place_of(self.url)


def of_incumbent(incumbent: Incumbent) -> Keys:
    """The incumbent of a task, as an engine."""
    return Keys(
        kind="openai",
        url=incumbent.url,
        model=incumbent.model,
        key_env=incumbent.key_env,
        timeout_s=incumbent.timeout_s,
        images=incumbent.images,
        usd_per_million_in=incumbent.usd_per_million_in,
        usd_per_million_out=incumbent.usd_per_million_out,
    )


def host_of(model: HostedModel) -> str:
    """One endpoint for all its models."""
    return ""


async def open(keys: EngineKeys, model: HostedModel, environ: Mapping[str, str]) -> Host:
    """The endpoint. Raises PlanError where its API key is missing."""
    assert isinstance(keys, Keys)
    return Endpoint(keys, key_of(keys.key_env, keys.place, environ))


def key_of(key_env: str, place: str, environ: Mapping[str, str]) -> str | None:
    """The API key of a place, None where it takes none. Raises PlanError where it is missing."""
    if not key_env:
        return None
    # Read from a file it ends with the file's line break, which no header can carry.
    if not (key := environ.get(key_env, "").strip()):
        raise PlanError(f"the API key of {place} is missing; set the environment variable {key_env}")
    return key


class Endpoint(Host):
    """Connections to one address."""

    def __init__(self, keys: Keys, key: str | None = None) -> None:
        # aiohttp and not httpx: httpx looks at every pooled connection for each request, measured 2.1 ms of processor
        # a request with 32 of them against 0.15 ms. Neither takes a proxy from the environment here: the plan names
        # the address.
        import aiohttp

        self.keys = keys
        self._http = aiohttp.ClientSession(
            headers={"authorization": f"Bearer {key}"} if key else {},
            connector=aiohttp.TCPConnector(limit=keys.capacity),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def engine(self, model: HostedModel) -> Engine:
        """See Host.engine."""
        return ChatModel(self.keys, self._http, self.keys.model or model.name)

    async def close(self) -> None:
        await self._http.close()


class _AskedOtherwise(Exception):
    """The model takes the question in another form, which is known now."""


class ChatModel(Engine):
    """A model behind an endpoint.

    A request that fails for a passing reason (no connection, a timeout, 429, 5xx) is tried once more, unless a part of
    its answer has been given already. One that a model refuses for a parameter, or whose bound ends it in its thoughts,
    is asked as the model takes it, and so are later ones (headrace/contract/completions.py).
    """

    labels = ()

    def __init__(self, keys: Keys, http: aiohttp.ClientSession, name: str) -> None:
        import aiohttp

        self._keys = keys
        self._http = http
        self._name = name
        self._manners = Manners()
        self._url = keys.url.rstrip("/") + "/chat/completions"
        self._whole = aiohttp.ClientTimeout(total=keys.timeout_s)
        self._streamed = aiohttp.ClientTimeout(total=None, sock_connect=keys.connect_s, sock_read=keys.timeout_s)
        self._unreachable = (aiohttp.ClientError, TimeoutError, OSError)

    @property
    def capabilities(self) -> frozenset[Capability]:
        images = {Capability.IMAGES} if self._keys.images else set()
        return frozenset({Capability.TEXT, Capability.TOOLS} | images)

    async def run(self, request: Request) -> AsyncGenerator[Delta | Final]:
        """See Engine.run."""
        fields = _body(self._name, request)
        left = ATTEMPTS
        while True:
            begun = False
            try:
                async with aclosing(self._try(fields, request.stream)) as items:
                    async for item in items:
                        begun = True
                        yield item
                return
            except _AskedOtherwise:  # each of the few ways is found once
                continue
            except Passing:
                left -= 1
                if begun or not left:
                    raise

    async def close(self) -> None:
        """The connections are the host's."""

    async def _try(self, fields: Mapping[str, Any], stream: bool) -> AsyncGenerator[Delta | Final]:
        started = time.perf_counter()
        sent = self._manners.body(fields)
        answer = _Answer(self._keys, started)
        timeout = self._streamed if stream else self._whole
        try:
            async with self._http.post(
                self._url, data=json.dumps(sent).encode(), headers=JSON, allow_redirects=False, timeout=timeout
            ) as response:
                if response.status in _REFUSED and self._manners.refused(fields, sent, await content_of(response)):
                    raise _AskedOtherwise
                if response.status != HTTPStatus.OK:
                    raise failure(self._keys.place, response)
                if response.content_type == "text/event-stream":
                    async with aclosing(events(response.content.iter_any())) as found:
                        async for data in found:
                            if data == b"[DONE]":
                                break
                            delta = answer.add(_parsed(self._keys.place, data), "delta")
                            if delta.text or delta.tool_calls:
                                yield delta
                else:
                    delta = answer.add(_parsed(self._keys.place, await content_of(response)), "message")
                    if stream:
                        yield delta
        except self._unreachable as error:
            raise Passing(f"{self._keys.place} did not answer: {reason_of(error)}") from None
        except TooLarge as error:
            raise EngineFailed(f"{self._keys.place} answered too much: {error}") from None
        final = answer.final()
        if not stream and self._manners.cut_in_thought(fields, sent, final.text, final.finish_reason):
            raise _AskedOtherwise
        yield final


class _Answer:
    """An answer, put together from the pieces of a stream or from one whole completion."""

    def __init__(self, keys: Keys, started: float) -> None:
        self._keys = keys
        self._started = started
        self._text: list[str] = []
        self._calls: dict[int, ToolCall] = {}
        self._usage: tuple[int, int] = 0, 0
        self._finish_reason = ""
        self._first_token_ms = 0.0

    def add(self, fields: Mapping[str, Any], part: str) -> Delta:
        """Take a chunk, of which the choice's piece is `delta`, or a completion, of which it is `message`."""
        try:
            if error := error_in(fields):
                why = error.get("message") if isinstance(error, dict) else error
                raise EngineFailed(f"{self._keys.place} failed: {str(why)[:200]}")
            usage = fields.get("usage")
            if usage:
                self._usage = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
            if not fields["choices"]:
                return Delta()
            choice = fields["choices"][0]
            piece = choice.get(part) or {}
            if (said := text_of(piece.get("content"))) is None:
                raise TypeError
            text = _repaired(said)
            self._text.append(text)
            calls = tuple(_piece(place, call) for place, call in enumerate(piece.get("tool_calls") or ()))
            self._finish_reason = _repaired(str(choice.get("finish_reason") or self._finish_reason))
        except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError):
            raise EngineFailed(f"{self._keys.place} answered something that is no chat completion") from None
        for call in calls:
            known = self._calls.get(call.index, ToolCall("", "", ""))
            self._calls[call.index] = ToolCall(
                known.id or call.id, known.name + call.name, known.arguments + call.arguments
            )
        if (text or calls) and not self._first_token_ms:
            self._first_token_ms = self._elapsed_ms()
        if part == "message":
            self._finish_reason = self._finish_reason or "stop"
        return Delta(text, calls)

    def final(self) -> Final:
        """Raises EngineFailed where the stream ended in the middle."""
        if not self._finish_reason:
            raise EngineFailed(f"{self._keys.place} ended its answer in the middle")
        tokens_in, tokens_out = self._usage
        keys = self._keys
        return Final(
            text="".join(self._text),
            tool_calls=tuple(call for _, call in sorted(self._calls.items())),
            finish_reason=self._finish_reason,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            first_token_ms=self._first_token_ms or self._elapsed_ms(),
            cost=(tokens_in * keys.usd_per_million_in + tokens_out * keys.usd_per_million_out) / 1e6,
        )

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000


def _body(model: str, request: Request) -> dict[str, Any]:
    asked = request.sampling
    fields = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "max_tokens": asked.max_tokens,
        "stop": list(asked.stop) or None,
        "seed": asked.seed,
        "tools": list(request.tools) or None,
        "tool_choice": request.tool_choice,
        "stream": True if request.stream else None,
        "stream_options": {"include_usage": True} if request.stream else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _message(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": list(message.parts) or message.content}
    if message.tool_calls:
        fields["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _piece(place: int, call: Mapping[str, Any]) -> ToolPiece:
    function = call.get("function") or {}
    index = call.get("index")
    return ToolPiece(
        place if index is None else int(index),
        _repaired(str(call.get("id") or "")),
        _repaired(str(function.get("name") or "")),
        _repaired(str(function.get("arguments") or "")),
    )


def _count(tokens: Any) -> int:
    """As many tokens as an event can hold."""
    return min(max(int(tokens or 0), 0), MAX_COUNT)


def _repaired(text: str) -> str:
    """Without halves of surrogate pairs, which JSON can write and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _parsed(url: str, content: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise EngineFailed(f"{url} answered something that is no chat completion")
    return fields
