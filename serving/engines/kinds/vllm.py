"""vLLM: adapters and full models of causal bases, on a server that headrace starts, or on one that runs elsewhere.

A host is a vLLM server with one base. Adapters of that base share it, and so does the base as it is; a full model gets
a server of its own, which is ready before the version before it leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from headrace.errors import ArtifactError, PlanError
from headrace.plan.engines import EngineKeys
from headrace.plan.section import Positive
from serving.engines.engine import Engine, EngineFailed
from serving.engines.hosts import Host, HostedModel
from serving.engines.kinds.openai import key_of

if TYPE_CHECKING:
    from headrace.models.bundle import Manifest
    from headrace.models.causal_base import CausalBase
    from serving.engines.vllm.adapters import Adapters
    from serving.engines.vllm.api import Api, Listed
    from serving.engines.vllm.server import Server

BUNDLES = frozenset({"adapter", "full", "prompt"})
WHY_NOT = {
    "soft_prompt": "vLLM has no virtual tokens and takes embeddings as pickled tensors alone: P-tuned versions are"
    " served by an engine of kind in_process",
}
"""By kind of bundle that it does not take, the reason."""
ELSEWHERE = "an engine of kind in_process serves it"


class Keys(EngineKeys):
    """Its table in the plan."""

    url: Annotated[str, Field(pattern=r"^(https?://[^\s]+)?$", max_length=2000)] = ""
    """Of a server that runs already, up to and with /v1; empty: headrace starts one for each base."""
    key_env: str = ""
    """With `url`: the environment variable that holds its API key; empty for none."""
    python: str = ".venv-vllm/bin/python"
    """Without `url`: the interpreter of the environment that vLLM is installed in."""
    arguments: tuple[str, ...] = ()
    """Without `url`: more of vLLM's command line, as `--enforce-eager` or `--gpu-memory-utilization=0.6`."""
    max_loras: Annotated[int, Field(ge=1, le=1024)] = 4
    """Adapters on a server at once: of each task the live one, the one before and a candidate."""
    max_lora_rank: Literal[8, 16, 32, 64, 128, 256, 320, 512] = 16
    """The greatest rank of an adapter."""
    timeout_s: Positive = 60.0
    """Of a whole answer; of a streamed one until its next piece."""
    start_s: Positive = 600.0
    """How long a server may take until it answers."""
    hang_s: Positive = 120.0
    """A server that answers nothing for so long is started again."""


def host_of(model: HostedModel) -> str:
    """Adapters of one base share a host; a full model has one of its own."""
    manifest = _bundle(model)
    if manifest.of_kind == "full":
        return str(model.folder)
    base = manifest.of_base
    return " ".join((base.family, base.source, base.revision, base.digest, base.dtype))


async def open(keys: EngineKeys, model: HostedModel, environ: Mapping[str, str]) -> Host:
    """The server, when it answers. Raises ArtifactError or PlanError: what is wrong, in one sentence."""
    assert isinstance(keys, Keys)
    _bundle(model)
    if keys.url:
        return await VllmHost.reached(keys, environ)
    return await VllmHost.started(keys, model, environ)


class VllmHost(Host):
    """A vLLM server, reached or started.

    server: None where it is another's
    base: the model that it serves without an adapter
    """

    def __init__(self, keys: Keys, api: Api, server: Server | None, base: Listed) -> None:
        from serving.engines.vllm.adapters import Adapters

        self.api = api
        self.max_length = base.max_length
        self.server = server
        self.adapters: Adapters = Adapters(api, keys.max_loras, keys.max_lora_rank)
        self._base = base
        self._reading: CausalBase | None = None

    @classmethod
    async def reached(cls, keys: Keys, environ: Mapping[str, str]) -> VllmHost:
        """A server that runs already."""
        from serving.engines.vllm.api import Api

        api = Api(keys.url, key_of(keys.key_env, keys.url, environ), keys.timeout_s)
        try:
            return cls(keys, api, None, await _base(api))
        except BaseException:
            await api.close()
            raise

    @classmethod
    async def started(cls, keys: Keys, model: HostedModel, environ: Mapping[str, str]) -> VllmHost:
        """A server of this process's own, once it answers."""
        import asyncio

        from headrace.models.bases import resolve
        from serving.engines.vllm.server import Server, command

        if not Path(keys.python).is_file():
            raise PlanError(
                f"there is no {keys.python}, with which vLLM would be started; install it with `make install-vllm`, or"
                " name the interpreter of its environment as `python` of the engine, or a server that runs as `url`"
            )
        manifest, own = _bundle(model), _own_server(model)
        assert model.folder is not None
        folder = model.folder if own else await asyncio.to_thread(resolve, manifest.of_base)
        name = name_of(model) if own else manifest.base
        lora = ["--enable-lora", "--max-loras", str(keys.max_loras), "--max-lora-rank", str(keys.max_lora_rank)]
        more = [*([] if own else lora), *keys.arguments]
        home = Path(environ.get("HEADRACE_HOME") or "var")
        host: list[VllmHost] = []

        async def back() -> None:
            for each in host:
                await each.adapters.replay()

        server = Server(
            name,
            lambda port: command(keys.python, folder, name, manifest.of_base.dtype, port, more),
            home / "serving" / "vllm" / f"{name}.log",
            environ,
            keys.timeout_s,
            keys.start_s,
            keys.hang_s,
            back,
        )
        await server.start()
        try:
            host.append(cls(keys, server.api, server, await _base(server.api)))
        except BaseException:
            await server.close()
            raise
        return host[0]

    async def engine(self, model: HostedModel) -> Engine:
        """See Host.engine."""
        import asyncio

        from headrace.models.asking import Asking
        from headrace.models.bases import resolve
        from headrace.models.causal_base import CausalBase
        from serving.engines.vllm.model import VllmModel

        manifest, folder = _bundle(model), model.folder
        assert folder is not None

        def asking() -> Asking:
            if self._reading is None:
                where = folder if manifest.of_kind == "full" else resolve(manifest.of_base)
                self._reading = CausalBase.reading(where, manifest.max_length)
            return Asking.read(folder, self._reading.shared(manifest.max_length), manifest.labels)

        asks = await asyncio.to_thread(asking)
        if any(len(answer) > 1 for answer in asks.answers):
            raise ArtifactError(f"{model.name} answers with labels' texts of several tokens; {ELSEWHERE}")
        if self.max_length and self.max_length <= manifest.max_length:
            raise ArtifactError(
                f"{model.name} reads {manifest.max_length} tokens, and vLLM at {self.api.url} reads and writes"
                f" {self.max_length} at once; start it with a greater --max-model-len"
            )
        adapter = manifest.of_kind == "adapter"
        name = name_of(model) if adapter else self._base.name
        found = VllmModel(self, name, self._base.name, manifest, folder, asks)
        try:
            if adapter:
                await self.adapters.hold(name, folder, found.check)
            else:
                await found.check()
        except EngineFailed as error:
            raise ArtifactError(f"{model.name} cannot be loaded by vLLM: {error}") from None
        return found

    async def ready(self, name: str) -> None:
        """See model.At."""
        if self.server is not None:
            self.server.check()
        await self.adapters.ready(name)

    async def again(self, name: str) -> None:
        """See model.At."""
        if name == self._base.name:
            raise EngineFailed(f"vLLM at {self.api.url} does not have {name} any more")
        await self.adapters.again(name)

    async def go(self, name: str) -> None:
        """See model.At."""
        if name != self._base.name:
            await self.adapters.go(name)

    async def close(self) -> None:
        await (self.server or self.api).close()


def name_of(model: HostedModel) -> str:
    """What vLLM knows a bundle by: `router@12-3fa9c1d2e4b5`, with its digest, so that it never means another one."""
    from headrace.models.bundle import MANIFEST

    assert model.folder is not None
    return f"{model.name}-{hashlib.sha256((model.folder / MANIFEST).read_bytes()).hexdigest()[:12]}"


def _bundle(model: HostedModel) -> Manifest:
    if model.manifest is None:
        raise ArtifactError(f"{model.name or 'the model'} names no artifact; vLLM serves published bundles")
    if model.manifest.family != "causal":
        raise ArtifactError(
            f"{model.name} is of family {model.manifest.family!r}, and vLLM serves causal models; {ELSEWHERE}"
        )
    if not model.manifest.labels:
        raise ArtifactError(f"{model.name} has no labels, by whose log-probabilities it is checked; {ELSEWHERE}")
    return model.manifest


def _own_server(model: HostedModel) -> bool:
    return _bundle(model).of_kind == "full"


async def _base(api: Api) -> Listed:
    """What a server serves without an adapter. Raises ArtifactError."""
    try:
        bases = [model for model in await api.models() if not model.parent]
    except EngineFailed as error:
        raise ArtifactError(f"vLLM cannot be reached: {error}") from None
    if not bases:
        raise ArtifactError(f"{api.url} serves no base; it is no vLLM server that adapters can be loaded into")
    return bases[0]
