"""The versions that are loaded and the table that says which of them answer.

The table is never changed, only replaced: a request reads its task's lane once and keeps it. A new promotion is loaded
beside the old one, the lane is swapped in one assignment, and the versions that nobody names any more are drained.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from headrace.contract.choice import Choice
from headrace.contract.control import Served
from headrace.errors import UserError
from serving.answering.breaker import Tally
from serving.answering.routing import Desired
from serving.engines.engine import Engine
from serving.versions.loaded import Key, LoadedVersion, key_of

log = logging.getLogger(__name__)

FIRST_S = 60.0
"""After so long at a start the incumbent answers until what should serve is open: a vLLM server takes minutes."""
RETRY_S = 15.0
"""A version that could not be opened is tried again this often: its files may still be on their way."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the table.

    desired: what was asked for; live, canary, shadow: what answers
    standby: the version before, kept loaded so that a roll back is a swap
    incumbent: the plan's, which may stand in for the live version; None where it cannot be opened
    pinned: by tenant, who answers it whatever is promoted
    error: why not everything that was asked for answers
    candidate_error: why the canary or the shadow does not, where it is one of them
    """

    task: str
    desired: Desired
    live: LoadedVersion
    canary: LoadedVersion | None = None
    shadow: LoadedVersion | None = None
    standby: LoadedVersion | None = None
    incumbent: LoadedVersion | None = None
    pinned: Mapping[str, LoadedVersion] = field(default_factory=dict)
    error: str = ""
    candidate_error: str = ""

    @property
    def loaded(self) -> dict[Key, LoadedVersion]:
        """What is loaded for the task."""
        return {each.key: each for each in (*self.serving, self.incumbent) if each}

    @property
    def ready(self) -> list[str]:
        """Versions that were asked for and are able to answer."""
        return sorted({each.served.version for each in self.serving if each})

    @property
    def serving(self) -> tuple[LoadedVersion | None, ...]:
        """The versions that were asked for by name, each in its part."""
        return self.live, self.canary, self.shadow, self.standby, *self.pinned.values()

    @property
    def complete(self) -> bool:
        """The live version is the one that was asked for."""
        return self.live.key == key_of(self.desired.live)


class Fleet:
    """Opens, swaps and drains.

    open_engine: task and version to an engine; raises where the version cannot answer
    choices: by task, the labels that it chooses from
    last_resort: by task, what serves when nothing else can be opened: the plan's incumbent
    on_change: called after each swap
    """

    def __init__(
        self,
        open_engine: Callable[[str, Served], Awaitable[Engine]],
        choices: Mapping[str, Choice],
        last_resort: Mapping[str, Served],
        on_change: Callable[[], None],
    ) -> None:
        self._open_engine = open_engine
        self._choices = choices
        self._last_resort = last_resort
        self._on_change = on_change
        self._table: Mapping[str, Lane] = {}
        self._wanted: dict[str, Desired] = {}
        self._changed = {task: asyncio.Event() for task in last_resort}
        self._tending: list[asyncio.Task[None]] = []
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def table(self) -> Mapping[str, Lane]:
        """The lanes of now."""
        return self._table

    async def start(self, desired: Mapping[str, Desired]) -> None:
        """Return when each task has a version that answers. Raises UserError where none can be opened."""
        self._wanted = dict(desired)
        opening = {task: asyncio.create_task(self._rebuild(task)) for task in desired}
        await asyncio.gather(*(self._first(task, each) for task, each in opening.items()))
        self._tending = [asyncio.create_task(self._tend(task, each)) for task, each in opening.items()]

    async def _first(self, task: str, opening: asyncio.Task[None]) -> None:
        """Wait for what should serve, at most FIRST_S where the last resort can answer until then."""
        await asyncio.wait({opening}, timeout=FIRST_S)
        if not opening.done():
            desired, served = self._wanted[task], self._last_resort[task]
            why = f"{desired.live.version} is still being opened, and {served.version} answers"
            with contextlib.suppress(UserError):
                version = LoadedVersion(served, await self._open_engine(task, served), self._choices[task])
                if task in self._table:
                    self._drain([version])
                else:
                    log.warning("task %s: %s", task, why)
                    self._table = {**self._table, task: Lane(task, desired, version, error=why)}
        if task not in self._table:
            await opening

    def want(self, task: str, desired: Desired) -> None:
        """Ask for another state. What of it is loaded answers at once; what serves now goes on until the rest is."""
        self._wanted[task] = desired
        self._swap(task, desired)
        self._changed[task].set()

    async def close(self) -> None:
        """Drain and close everything."""
        for task in self._tending:
            task.cancel()
        await asyncio.gather(*self._tending, return_exceptions=True)
        for lane in self._table.values():
            self._drain(lane.loaded.values())
        await asyncio.gather(*self._draining, return_exceptions=True)

    async def _tend(self, task: str, opening: asyncio.Task[None]) -> None:
        with contextlib.suppress(UserError):
            await opening
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S if self._table[task].error else None):
                    await self._changed[task].wait()
            self._changed[task].clear()
            await self._rebuild(task)

    async def _rebuild(self, task: str) -> None:
        old = self._table.get(task)
        desired = self._wanted[task]
        lane = await self._build(task, desired, old)
        if old and lane == old:
            return
        if old and desired is not self._wanted[task]:
            # Taken back while it was loading: it never gets traffic.
            self._drain(each for key, each in lane.loaded.items() if key not in old.loaded)
            return
        before, kept = self._table.get(task), list(lane.loaded.values())
        self._table = {**self._table, task: lane}
        if before:
            self._drain(each for each in before.loaded.values() if each not in kept)
        if lane.error:
            log.error("task %s, generation %d: %s", task, desired.generation, lane.error)
        log.info("task %s, generation %d: %s answers", task, desired.generation, lane.live.served.version)
        self._on_change()

    def _swap(self, task: str, desired: Desired) -> None:
        """Nobody waits for what may take minutes to open: a roll back to the standby least of all.

        The generation is acknowledged when all of it is there.
        """
        old = self._table.get(task)
        if old is None or key_of(desired.live) not in old.loaded:
            return

        def there(served: Served | None) -> LoadedVersion | None:
            return old.loaded.get(key_of(served)) if served else None

        pinned = {tenant: version for tenant, served in desired.pins.items() if (version := there(served))}
        lane = Lane(
            task,
            replace(desired, generation=old.desired.generation),
            old.loaded[key_of(desired.live)],
            canary=there(desired.canary),
            shadow=there(desired.shadow),
            standby=there(desired.previous),
            incumbent=old.incumbent,
            pinned=pinned,
        )
        _start_afresh(lane, old)
        self._table = {**self._table, task: lane}
        kept = list(lane.loaded.values())
        self._drain(each for each in old.loaded.values() if each not in kept)

    async def _build(self, task: str, desired: Desired, old: Lane | None) -> Lane:
        held = dict(old.loaded) if old else {}
        errors: dict[Key, str] = {}

        async def loaded(served: Served | None) -> LoadedVersion | None:
            if served is None or key_of(served) in held:
                return held[key_of(served)] if served else None
            try:
                engine = await self._open_engine(task, served)
                held[key_of(served)] = LoadedVersion(served, engine, self._choices[task])
            except Exception as error:  # a version that cannot be opened is reported and does not serve
                errors[key_of(served)] = str(error) or type(error).__name__
                return None
            return held[key_of(served)]

        try:
            live = await loaded(desired.live)
            if live is None:
                live = old.live if old else await loaded(desired.previous) or await loaded(self._last_resort[task])
            if live is None:
                raise UserError(f"no version of task {task} can be opened: {'; '.join(errors.values())}")
            # A candidate is tried where the live version cannot be opened, too: that is no fault of its own.
            lane = Lane(task, desired, live, canary=await loaded(desired.canary), shadow=await loaded(desired.shadow))
            _start_afresh(lane, old)
            incumbent = await self._stand_in(task, held)
            # A tenant whose version cannot be opened is answered by the live one, and the error says so.
            pinned = {tenant: await loaded(served) for tenant, served in desired.pins.items()}
        except asyncio.CancelledError:
            self._drain(each for key, each in held.items() if not old or key not in old.loaded)
            raise
        # Only what is loaded anyway: opening a version that no longer serves could fail for nothing.
        standby = held.get(key_of(desired.previous)) if desired.previous else None
        candidates = [key_of(served) for served in (desired.canary, desired.shadow) if served]
        return replace(
            lane,
            standby=standby,
            incumbent=incumbent,
            pinned={tenant: version for tenant, version in pinned.items() if version},
            error="; ".join(errors.values()),
            candidate_error="; ".join(errors[key] for key in candidates if key in errors),
        )

    async def _stand_in(self, task: str, held: dict[Key, LoadedVersion]) -> LoadedVersion | None:
        """The plan's incumbent; without it, as where its API key is gone, the others serve all the same."""
        served = self._last_resort[task]
        if key_of(served) not in held:
            try:
                engine = await self._open_engine(task, served)
            except Exception as error:  # nobody asked for it by name
                log.warning("task %s: %s cannot stand in: %s", task, served.version, error)
                return None
            held[key_of(served)] = LoadedVersion(served, engine, self._choices[task])
        return held[key_of(served)]

    def _drain(self, versions: Iterable[LoadedVersion]) -> None:
        for version in versions:
            task = asyncio.create_task(version.close())
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)


def _start_afresh(lane: Lane, old: Lane | None) -> None:
    """What a candidate did in another part, or when it was tried before, does not count."""
    tried, before = lane.canary or lane.shadow, old and (old.canary or old.shadow)
    if tried and tried is not before:
        tried.tally = Tally()
