"""A version on a vLLM server: labels by one prefill over option codes, text token by token, the check before it serves.

Prompts are made here, as token ids, by what the trainer makes them with (headrace/models/asking.py): the same template
and cuts, and a control token's text in a question stays text, which vLLM's own chat endpoint would read as the token.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from headrace.errors import ArtifactError
from headrace.models.asking import Asking
from headrace.models.bundle import Manifest
from headrace.models.family import PARITY_TOLERANCE, recorded
from headrace.models.generation import DEFAULT_TOKENS
from headrace.models.scoring import Scoring
from headrace.models.tensors import Floats, log_softmax
from serving.engines.engine import Capability, Delta, Engine, EngineFailed, Final, Request, question_of
from serving.engines.vllm import options
from serving.engines.vllm.api import Api, Refused, UnknownModel

TOLERANCE = PARITY_TOLERANCE | {"float32": 1e-3}
"""Greatest difference between a log-probability at evaluation and vLLM's, by dtype. In fp32 6e-5 was measured
(docs/log.md); the others are those of two machines in process (models/family.py)."""


class At(Protocol):
    """Where a model answers.

    api: of its server; max_length: tokens that this reads and writes in one request
    """

    api: Api
    max_length: int

    async def ready(self, name: str) -> None:
        """Raises EngineFailed while the server is down; waits while it gets the model back."""

    async def again(self, name: str) -> None:
        """The server says that it has no such model. Raises EngineFailed where that stays so."""

    async def go(self, name: str) -> None:
        """The model is needed no more."""


class VllmModel(Engine):
    """A bundle that a server answers for.

    name: of the adapter, or of the base, at the server; base: the base's
    """

    capabilities = frozenset({Capability.LABEL_SCORES, Capability.TEXT})

    def __init__(self, at: At, name: str, base: str, manifest: Manifest, folder: Path, asking: Asking) -> None:
        self._at = at
        self._name = name
        self._base = base
        self._manifest = manifest
        self._folder = folder
        self._asking = asking
        self._scoring = Scoring.read(folder)
        self._tokens = [token for (token,) in asking.answers]

    @property
    def labels(self) -> tuple[str, ...]:
        return self._manifest.labels

    def run(self, request: Request) -> AsyncGenerator[Delta | Final]:
        """See Engine.run. With labels the last user message is the question; without, the whole conversation is."""
        return self._scored(request) if request.labels else self._written(request)

    async def close(self) -> None:
        await self._at.go(self._name)

    async def check(self) -> None:
        """Raises ArtifactError where it does not answer as it was evaluated."""
        texts, expected = recorded(self._folder, len(self.labels))
        most = TOLERANCE[self._manifest.of_base.dtype]
        found = await self._log_probabilities(self._name, texts)
        off = _difference(found, expected)
        if off <= most:
            return
        version = self._manifest.version
        if self._name != self._base:
            base = await self._log_probabilities(self._base, texts)
            if _difference(found, base) <= most:
                raise ArtifactError(
                    f"{version} answers as its base does: vLLM took the adapter in {self._folder} and does not apply it"
                    f" (off by {off:.2g}, at most {most:g}); an engine of kind in_process may serve it"
                )
        raise ArtifactError(
            f"{version} is off by {off:.2g} from the log-probabilities of its evaluation (at most {most:g}): vLLM has"
            f" other weights under its name, or another base; publish it again, and look at {self._at.api.url}"
        )

    async def _log_probabilities(self, name: str, texts: Sequence[str]) -> Floats:
        """Calibrated, float32 (len(texts), len(labels))."""
        prompts = await asyncio.to_thread(self._asking.prompts, texts)
        try:
            found = [(await self._scores(name, prompt))[0] for prompt in prompts]
        except EngineFailed as error:
            raise ArtifactError(f"{self._manifest.version} does not answer on vLLM: {error}") from None
        return self._scoring.calibrated(np.concatenate(found))

    async def _scored(self, request: Request) -> AsyncGenerator[Delta | Final]:
        await self._at.ready(self._name)
        started = time.perf_counter()
        (prompt,) = await asyncio.to_thread(self._asking.prompts, [question_of(request.messages)])
        raw, tokens = await self._known(lambda: self._scores(self._name, prompt))
        probabilities = np.exp(self._scoring.calibrated(raw))[0].clip(0, 1).tolist()
        scores = dict(zip(self.labels, probabilities, strict=True))
        yield Final(
            scores={label: scores[label] for label in request.labels},
            tokens_in=tokens,
            first_token_ms=(time.perf_counter() - started) * 1000,
        )

    async def _scores(self, name: str, prompt: Sequence[int]) -> tuple[Floats, int]:
        """Log-probabilities over the labels, float32 (1, len(labels)), and how many tokens were read."""
        api = self._at.api
        answers, found = [], []
        parts = options.parts(self._tokens)
        # The first alone, so that the others find the prompt in the prefix cache.
        for batch in (parts[:1], parts[1:]):
            new = await asyncio.gather(*(api.complete(options.body(name, prompt, part)) for part in batch))
            answers += new
            found += [options.read(api.url, answer, part) for answer, part in zip(new, batch, strict=True)]
        raw = log_softmax(np.asarray([options.joined(self._tokens, found)], dtype=np.float64))
        if not np.isfinite(raw).all():
            raise EngineFailed(f"{api.url} gave log-probabilities that are none")
        return raw, _count(answers[0], "prompt_tokens")

    async def _written(self, request: Request) -> AsyncGenerator[Delta | Final]:
        await self._at.ready(self._name)
        started = time.perf_counter()
        messages = [(message.role, message.content) for message in request.messages]
        try:
            prompt = await asyncio.to_thread(self._asking.conversation, messages)
        except ArtifactError as error:
            raise EngineFailed(str(error)) from None
        text, finish, first_token_ms = "", "", 0.0
        usage: Mapping[str, Any] = {}
        async with aclosing(self._chunks(self._body(prompt, request))) as chunks:
            async for chunk in chunks:
                usage = chunk.get("usage") or usage
                piece, ended = _piece(self._at.api.url, chunk)
                finish = ended or finish
                if piece:
                    first_token_ms = first_token_ms or (time.perf_counter() - started) * 1000
                    text += piece
                    yield Delta(piece)
        if not finish:
            raise EngineFailed(f"{self._at.api.url} ended its answer in the middle")
        yield Final(
            text=text,
            finish_reason=finish,
            tokens_in=_count({"usage": usage}, "prompt_tokens") or len(prompt),
            tokens_out=_count({"usage": usage}, "completion_tokens"),
            first_token_ms=first_token_ms or (time.perf_counter() - started) * 1000,
        )

    def _body(self, prompt: Sequence[int], request: Request) -> dict[str, Any]:
        asked = request.sampling
        wanted = DEFAULT_TOKENS if asked.max_tokens is None else asked.max_tokens
        fields = {
            "model": self._name,
            "prompt": prompt,
            "max_tokens": max(1, min(wanted, self._at.max_length - len(prompt))),
            "temperature": asked.temperature or 0.0,
            "top_p": asked.top_p,
            "repetition_penalty": 1.0,
            "stop": list(asked.stop) or None,
            "stop_token_ids": [self._asking.base.end],
            "seed": asked.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return {name: value for name, value in fields.items() if value is not None}

    async def _chunks(self, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """An adapter that the server has lost is loaded again once, before anything of the answer was given."""
        try:
            async with aclosing(self._at.api.stream(body)) as chunks:
                async for chunk in chunks:
                    yield chunk
                return
        except UnknownModel:
            await self._at.again(self._name)
        async with aclosing(self._at.api.stream(body)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _known(self, ask: Callable[[], Awaitable[tuple[Floats, int]]]) -> tuple[Floats, int]:
        try:
            return await ask()
        except UnknownModel:
            await self._at.again(self._name)
            return await ask()


def _piece(url: str, chunk: Mapping[str, Any]) -> tuple[str, str]:
    """The text of a chunk and, in the last one, why it ends."""
    try:
        if not chunk["choices"]:
            return "", ""
        choice = chunk["choices"][0]
        text = (choice.get("text") or "").encode("utf-8", "replace").decode()
        return text, str(choice.get("finish_reason") or "")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Refused(f"{url} answered something that is no completion") from None


def _count(answer: Mapping[str, Any], which: str) -> int:
    try:
        return max(0, int(answer["usage"][which]))
    except (KeyError, TypeError, ValueError):
        return 0


def _difference(one: Floats, other: Floats) -> float:
    found = float(np.abs(one - other).max())
    return found if math.isfinite(found) else math.inf
