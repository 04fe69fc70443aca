"""A vLLM server that this process started: it dies with this process, and is started again when it dies or hangs.

It listens on loopback alone, with a key that only this process knows. It is ready once it has answered a request, and
hangs when it has answered none of PROBES in a row: that it accepts connections says nothing.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from headrace.embedded.server import free_port
from headrace.errors import ArtifactError
from headrace.process.child import Child
from headrace.process.guard import Guard
from serving.engines.engine import EngineFailed
from serving.engines.vllm.api import Api
from serving.engines.vllm.options import PART

log = logging.getLogger(__name__)

PROBES = 3
LOOK_S = 0.2
FIRST_DELAY_S, LONGEST_DELAY_S = 0.5, 60.0
STEADY_S = 300.0
"""After so long without a failure the next one counts as the first."""
GRACE_S = 10.0
LOG_BYTES = 32 << 20
PASSED = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD")
PASSED_PREFIXES = (
    "LC_", "PYTHON", "VLLM_", "CUDA", "NVIDIA_", "NCCL_", "ROCR_", "HIP_", "HF_", "OMP_", "MKL_", "KMP_", "TORCH",
    "TRITON_", "XDG_",
)  # fmt: skip
"""Of the environment: what vLLM and its libraries read, and no key of an upstream or of headrace."""


def command(python: str, folder: Path, name: str, dtype: str, port: int, more: Sequence[str]) -> list[str]:
    """How vLLM is started. folder: of the weights; name: under which it serves them; more: further arguments"""
    return [
        python, "-m", "vllm.entrypoints.openai.api_server",
        "--model", str(folder), "--served-model-name", name, "--dtype", dtype,
        "--host", "127.0.0.1", "--port", str(port),
        "--max-logprobs", str(PART), "--logprobs-mode", "processed_logprobs",
        "--generation-config", "vllm", *more,
    ]  # fmt: skip


def environment(given: Mapping[str, str], key: str) -> dict[str, str]:
    """The server's own: what it needs of this process's; nothing is fetched and nothing is reported."""
    passed = {name: value for name, value in given.items() if name in PASSED or name.startswith(PASSED_PREFIXES)}
    quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    return passed | quiet | {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_API_KEY": key}


class Server:
    """One server, until `close`.

    name: of the base, or of the full model, that it serves
    argv: of the port, the command
    start_s: how long it may take until it answers; hang_s: how long it may then answer nothing at all
    back: called each time that it answers again after it had died
    """

    def __init__(
        self,
        name: str,
        argv: Callable[[int], list[str]],
        log_file: Path,
        environ: Mapping[str, str],
        timeout_s: float,
        start_s: float,
        hang_s: float,
        back: Callable[[], Awaitable[None]],
    ) -> None:
        port, key = free_port(), secrets.token_urlsafe(24)
        self.api = Api(f"http://127.0.0.1:{port}/v1", key, timeout_s)
        self._name = name
        self._child = Child(f"vLLM for {name}", argv(port), log_file, environment(environ, key))
        self._start_s = start_s
        self._hang_s = hang_s
        self._back = back
        self._guard = Guard()
        self._down = "it has not been started"
        self._watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the server's process."""
        return self._child.pid

    def check(self) -> None:
        """Raises EngineFailed while it does not answer."""
        if self._down:
            raise EngineFailed(f"vLLM for {self._name} is starting again: {self._down}")

    async def start(self) -> None:
        """Return once it answers. Raises ArtifactError, in a sentence, where it ends before or takes too long."""
        try:
            self._launch()
            await self._answered()
        except BaseException:
            await self.close()
            raise
        self._down = ""
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop it and what it started."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.to_thread(self._child.stop, GRACE_S)
        await asyncio.to_thread(self._guard.close)
        await self.api.close()

    def _launch(self) -> None:
        # Not in a thread of a pool: the kernel ends the child with the thread that forked it.
        self._child.trim(LOG_BYTES)
        self._child.start()
        assert self._child.pid is not None
        self._guard.watch(self._child.pid)

    async def _answered(self) -> None:
        """Wait until it has answered a request. Raises ArtifactError."""
        began = time.monotonic()
        while True:
            if not self._child.alive:
                raise ArtifactError(self._child.last_words())
            if await self._answers(self._start_s):
                log.info("vLLM for %s answers after %.0f s", self._name, time.monotonic() - began)
                return
            if time.monotonic() - began > self._start_s:
                raise ArtifactError(
                    f"vLLM for {self._name} answered nothing within {self._start_s:g} s (start_s);"
                    f" its log is {self._child.log}"
                )
            await asyncio.sleep(LOOK_S)

    async def _answers(self, within_s: float) -> bool:
        # The first answer after a start takes many times as long as the others.
        with suppress(EngineFailed):
            asked = {"model": self._name, "prompt": [0], "max_tokens": 1, "temperature": 0}
            await self.api.complete(asked, within_s)
            return True
        return False

    async def _watch(self) -> None:
        delay_s, began, asked, misses = FIRST_DELAY_S, time.monotonic(), time.monotonic(), 0
        while True:
            await asyncio.sleep(LOOK_S)
            now = time.monotonic()
            if self._child.alive and now - asked >= self._hang_s / PROBES:
                misses = 0 if await self._answers(self._hang_s / PROBES) else misses + 1
                asked = time.monotonic()
            if self._child.alive and misses < PROBES:
                continue
            if self._child.alive:
                self._down = f"it answered nothing for {self._hang_s:g} s"
            else:
                self._down = self._child.last_words()
            log.error("vLLM for %s is started again: %s", self._name, self._down)
            delay_s = FIRST_DELAY_S if now - began > STEADY_S else min(LONGEST_DELAY_S, 2 * delay_s)
            await self._revive(delay_s)
            began, asked, misses = time.monotonic(), time.monotonic(), 0

    async def _revive(self, delay_s: float) -> None:
        """Start it again until it answers and has its adapters."""
        while True:
            await asyncio.to_thread(self._end)
            await asyncio.sleep(delay_s)
            try:
                self._launch()
                await self._answered()
            except (ArtifactError, OSError) as error:
                self._down = str(error)
                log.error("vLLM for %s does not come back: %s", self._name, error)
                delay_s = min(LONGEST_DELAY_S, 2 * delay_s)
                continue
            try:
                await self._back()
            except Exception:  # each model says for itself what it lacks, when it is asked
                log.exception("vLLM for %s is back without all of its adapters", self._name)
            self._down = ""
            return

    def _end(self) -> None:
        """Nothing of its process group is left: a dead server's engine would keep its memory."""
        self._child.kill()
        if self._child.pid is not None:
            self._guard.forget(self._child.pid)
