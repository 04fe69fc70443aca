"""Published bundles of any family, answering in this process: the default.

A host is a loaded base. Bundles that leave its weights as they are (a head, a prompt, virtual tokens) share it; an
adapter is merged into a base of its own and a tuned model brings one, so that both answer as fast as the base.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from headrace.errors import ArtifactError, HeadraceError
from headrace.plan.engines import EngineKeys
from serving.engines.batches import Batches
from serving.engines.engine import Capability, Delta, Engine, EngineFailed, Final, Request, question_of
from serving.engines.hosts import Host, HostedModel

if TYPE_CHECKING:
    from headrace.models.families import Model

BUNDLES = frozenset({"head", "adapter", "full", "prompt", "soft_prompt", "words"})
MAX_WRITING = 4
"""Texts that one model writes at once; more wait for a thread. Each holds its keys and values in memory."""


class Keys(EngineKeys):
    """Its table in the plan."""

    url: Annotated[str, Field(max_length=0)] = ""
    """None: it answers in the gateway's own process."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads of torch, for the whole process; 0: torch decides."""


def host_of(model: HostedModel) -> str:
    """Bundles of one base share a host where they keep its weights."""
    manifest = _bundle(model)
    if not manifest.keeps_base:
        return str(model.folder)
    base = manifest.of_base
    return " ".join((base.family, base.source, base.revision, base.digest, base.dtype))


async def open(keys: EngineKeys, model: HostedModel, environ: Mapping[str, str]) -> Host:
    """A host with the base that the bundle leaves as it is, or with none. Raises ArtifactError."""
    from headrace.models.families import load_base

    threads = getattr(keys, "threads", 0)
    manifest = _bundle(model)
    base = await asyncio.to_thread(load_base, manifest, threads) if manifest.keeps_base else None
    return LoadedBase(base, threads)


class LoadedBase(Host):
    """A base in this process's memory; None where its one bundle brings its own weights."""

    def __init__(self, base: Any, threads: int = 0) -> None:
        self._base = base
        self._threads = threads

    async def engine(self, model: HostedModel) -> Engine:
        """See Host.engine."""
        return BundleEngine(await asyncio.to_thread(self._checked, model))

    async def close(self) -> None:
        self._base = None

    def _checked(self, model: HostedModel) -> Model:
        from headrace.models.families import open_bundle
        from headrace.models.family import PARITY_TOLERANCE, parity

        manifest = _bundle(model)
        assert model.folder is not None
        loaded = open_bundle(model.folder, manifest, self._threads, self._base)
        off, most = parity(loaded), PARITY_TOLERANCE[manifest.of_base.dtype]
        # Written so that a parity of NaN is refused too.
        if not off <= most:
            raise ArtifactError(
                f"{model.name} is off by {off:.2g} from the log-probabilities of its evaluation"
                f" (at most {most:g}); publish it again"
            )
        return loaded


class BundleEngine(Engine):
    """A bundle: scores its labels in batches; writes text where its family can."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._batches = Batches(model)
        self._closed = threading.Event()
        self._writing = ThreadPoolExecutor(MAX_WRITING, thread_name_prefix="writing") if model.writes_text else None

    @property
    def capabilities(self) -> frozenset[Capability]:
        writes = {Capability.TEXT} if self._model.writes_text else set()
        return frozenset({Capability.LABEL_SCORES} | writes)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self._model.labels)

    def run(self, request: Request) -> AsyncGenerator[Delta | Final]:
        """See Engine.run. With labels the last user message is the question; without, the whole conversation is."""
        return self._scored(request) if request.labels else self._written(request)

    async def close(self) -> None:
        self._closed.set()
        await self._batches.close()
        if self._writing:
            await asyncio.to_thread(self._writing.shutdown)

    async def _scored(self, request: Request) -> AsyncGenerator[Delta | Final]:
        found = await self._batches.score(question_of(request.messages))
        yield Final(
            scores={label: found.scores[label] for label in request.labels},
            tokens_in=found.tokens,
            first_token_ms=found.elapsed_ms,
        )

    async def _written(self, request: Request) -> AsyncGenerator[Delta | Final]:
        assert self._writing is not None
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | BaseException | None] = asyncio.Queue()
        stopped = threading.Event()
        started = time.perf_counter()
        writing: list[Any] = []

        def unwanted() -> bool:
            return stopped.is_set() or self._closed.is_set()

        def write() -> None:
            try:
                if unwanted():
                    return
                messages = [(message.role, message.content) for message in request.messages]
                generation = self._model.stream(messages, _sampling(request), unwanted)
                writing.append(generation)
                for piece in generation:
                    if unwanted():
                        return
                    loop.call_soon_threadsafe(pieces.put_nowait, piece)
            # Whatever a model raises is this request's failure; a panic of the tokenizer's Rust code is no Exception.
            except BaseException as error:
                loop.call_soon_threadsafe(pieces.put_nowait, error)
            else:
                loop.call_soon_threadsafe(pieces.put_nowait, None)

        self._writing.submit(write)
        text, first_token_ms = "", 0.0
        try:
            while (piece := await pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise _failure(piece)
                first_token_ms = first_token_ms or (time.perf_counter() - started) * 1000
                text += piece
                yield Delta(piece)
        finally:
            stopped.set()
        (generation,) = writing
        yield Final(
            text=text,
            finish_reason=generation.finish_reason,
            tokens_in=generation.tokens_in,
            tokens_out=generation.tokens_out,
            first_token_ms=first_token_ms or (time.perf_counter() - started) * 1000,
        )


def _bundle(model: HostedModel) -> Any:
    if model.manifest is None:
        raise ArtifactError(f"{model.name} names no artifact; only a published bundle answers in process")
    return model.manifest


def _sampling(request: Request) -> Any:
    from headrace.models.generation import DEFAULT_TOKENS, Sampling

    asked = request.sampling
    return Sampling(
        temperature=asked.temperature or 0.0,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        max_tokens=DEFAULT_TOKENS if asked.max_tokens is None else asked.max_tokens,
        stop=asked.stop,
        seed=asked.seed,
    )


def _failure(error: BaseException) -> EngineFailed:
    if isinstance(error, HeadraceError):
        return EngineFailed(str(error))
    return EngineFailed(f"the model failed: {error}")
