"""Adapters of one vLLM server: loaded for the first version that needs them, unloaded after the last.

A name says what it stands for and never anything else: version and digest of the bundle, `router@12-3fa9c1d2e4b5`. So a
name that the server has already, from another gateway or from before a restart of this one, is the same adapter.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import ArtifactError
from serving.engines.engine import EngineFailed
from serving.engines.vllm.api import Api, Listed, Refused, UnknownModel

log = logging.getLogger(__name__)

RETRY_S = 15.0
"""An adapter that did not answer as it was evaluated after a restart is tried again this often."""
Check = Callable[[], Awaitable[None]]
"""Raises ArtifactError where an adapter does not answer as it was evaluated."""


@dataclass(slots=True)
class _Held:
    folder: Path
    check: Check
    users: int = 0
    broken: str = ""
    again_at: float = 0.0
    reload: asyncio.Task[None] | None = None


class Adapters:
    """Those that this process holds at a server.

    most: at once, whoever loaded them; rank: the greatest that it takes
    """

    def __init__(self, api: Api, most: int, rank: int) -> None:
        self._api = api
        self._most = most
        self._rank = rank
        self._held: dict[str, _Held] = {}
        self._one = asyncio.Lock()

    async def hold(self, name: str, folder: Path, check: Check) -> None:
        """Load it, and check that it answers as it was evaluated; whoever holds one lets it `go`.

        Raises ArtifactError: the adapter is not what the server takes, the server is full, or it answers otherwise.
        """
        async with self._one:
            held = self._held.get(name)
            if held is None:
                _check_adapter(folder, self._rank)
                held = _Held(folder, check)
                await self._load(name, folder)
                try:
                    await check()
                except BaseException:
                    await self._unload(name)
                    raise
                self._held[name] = held
            held.users += 1

    async def go(self, name: str) -> None:
        """One that held it needs it no more."""
        async with self._one:
            held = self._held[name]
            held.users -= 1
            if not held.users:
                del self._held[name]
                await self._unload(name)

    async def ready(self, name: str) -> None:
        """Wait while it is loaded again and not checked yet. Raises EngineFailed where it cannot be."""
        held = self._held.get(name)
        if held is not None and held.reload is not None:
            await asyncio.shield(held.reload)

    async def again(self, name: str) -> None:
        """The server has lost it: load it once more, and check it. Raises EngineFailed.

        Many requests find out at once; it is done once, also where the first of them goes away.
        """
        held = self._held.get(name)
        if held is None:
            raise EngineFailed(f"{name} was unloaded")
        if held.reload is None:
            if time.monotonic() < held.again_at:
                raise EngineFailed(held.broken)
            held.reload = asyncio.create_task(self._reload(name, held))
            held.reload.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(held.reload)

    async def _reload(self, name: str, held: _Held) -> None:
        try:
            async with self._one:
                if name not in self._held:
                    raise EngineFailed(f"{name} was unloaded")
                if await self._load(name, held.folder):
                    await held.check()
                    log.warning("vLLM at %s had lost %s, and has it again", self._api.url, name)
        except ArtifactError as error:
            held.broken, held.again_at = str(error), time.monotonic() + RETRY_S
            await self._unload(name)
            raise EngineFailed(held.broken) from None
        finally:
            held.reload = None

    async def replay(self) -> None:
        """After a restart: all of them. What fails says so to whoever asks it."""
        for name in list(self._held):
            with suppress(EngineFailed):
                await self.again(name)

    async def _load(self, name: str, folder: Path) -> bool:
        """Whether it had to be loaded. Raises ArtifactError, EngineFailed."""
        there = {model.name: model for model in await self._api.models() if model.parent}
        if name in there:
            if there[name].root == str(folder):
                return False
            raise ArtifactError(
                f"vLLM at {self._api.url} has {name} from {there[name].root} and not from {folder}: unload it there"
            )
        await self._make_room(there)
        try:
            await self._api.load(name, str(folder))
        except UnknownModel as error:
            raise ArtifactError(
                f"vLLM does not load {name} ({error}): it must be started with --enable-lora and"
                f" VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and see {folder} under this path"
            ) from None
        except Refused as error:
            raise ArtifactError(f"vLLM does not take the adapter of {name}: {error}; publish it again") from None
        return True

    async def _make_room(self, there: dict[str, Listed]) -> None:
        """Unload what no version of this process answers on: left over, or another gateway's, which loads it again."""
        for other in sorted(there.keys() - self._held.keys()):
            if len(there) < self._most:
                return
            await self._unload(other)
            del there[other]
        if len(there) >= self._most:
            raise ArtifactError(
                f"vLLM at {self._api.url} has {', '.join(sorted(there))}, as many adapters as the engine's max_loras"
                f" ({self._most}) allows; retire a version or raise max_loras"
            )

    async def _unload(self, name: str) -> None:
        # A server that has it no more, or is gone, needs nothing.
        with suppress(EngineFailed):
            await self._api.unload(name)


def _check_adapter(folder: Path, most: int) -> None:
    """Raises ArtifactError for one that vLLM would not apply as PEFT does."""
    file = folder / "adapter_config.json"
    try:
        config = json.loads(file.read_text("utf-8"))
        kind, rank = config["peft_type"], max(_ranks(config))
        beside = config.get("modules_to_save") or []
        directed = bool(config.get("use_dora"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{file} is no configuration of an adapter ({error!r}); publish it again") from None
    if kind != "LORA" or beside or directed:
        what = "DoRA" if directed else f"modules beside it ({', '.join(map(str, beside))})" if beside else kind
        raise ArtifactError(f"{file} has {what}, which vLLM does not serve; an engine of kind in_process does")
    if rank > most:
        raise ArtifactError(
            f"the adapter in {folder} has rank {rank}, and the engine's max_lora_rank is {most}; raise that, or tune"
            " with a smaller rank"
        )


def _ranks(config: dict[str, object]) -> Iterator[int]:
    yield int(str(config["r"]))
    patterns = config.get("rank_pattern") or {}
    assert isinstance(patterns, dict)
    yield from map(int, patterns.values())
