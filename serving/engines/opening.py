"""From what a promotion names to an engine that can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from headrace import kinds
from headrace.contract.choice import Choice
from headrace.contract.control import Served
from headrace.costs import OWN_USD_PER_HOUR
from headrace.errors import ArtifactError, PlanError
from headrace.models.bundle import GRAPH, Manifest, read_manifest, verify
from headrace.models.chain import Chain, place
from headrace.plan import Plan
from headrace.plan.engines import EngineKeys, why_not
from serving.engines.chain import ChainEngine
from serving.engines.engine import Engine
from serving.engines.hosts import HostedModel, Hosts
from serving.engines.kinds import decisions, in_process, onnx, openai

NAME_ANOTHER = "name another engine in the plan"


WITHOUT_TORCH = frozenset({"encoder", "words", "chain"})
"""Families whose bundles answer without it. An encoder without a graph imports it when it is opened; tiers of a chain
are of other families."""


class Opener:
    """Opens engines for the tasks of a plan.

    environ: where an endpoint's `key_env` is looked up
    """

    def __init__(self, plan: Plan, environ: Mapping[str, str]) -> None:
        self.plan = plan
        self.hosts = Hosts(environ)

    async def open(self, task: str, served: Served) -> Engine:
        """An engine that was verified and gives the answers it was evaluated with.

        Raises ArtifactError or PlanError: what is wrong with the version, in one sentence.
        """
        if not served.artifact:
            return await self._incumbent(task, served)
        folder = Path(served.artifact)
        manifest = await asyncio.to_thread(verify, folder, served.digest)
        if (manifest.task, manifest.version) != (task, served.version):
            raise ArtifactError(
                f"the artifact at {folder} is {manifest.version} of task {manifest.task},"
                f" not {served.version} of task {task} as promoted; promote it again"
            )
        if manifest.of_kind == "chain":
            return await self._chain(task, folder, manifest)
        return await self._bundle(task, served.version, folder, manifest)

    async def _bundle(self, task: str, version: str, folder: Path, manifest: Manifest) -> Engine:
        name, keys = self._engine_of(task, manifest)
        takes = kinds.load("engines", keys.kind).BUNDLES
        if manifest.of_kind not in takes:
            raise ArtifactError(
                f"{version} is a bundle of kind {manifest.of_kind!r}, and engine {name} takes"
                f" {', '.join(sorted(takes)) or 'none'}; {why_not(keys.kind, manifest.of_kind) or NAME_ANOTHER}"
            )
        return await self.hosts.engine(name, keys, HostedModel(version, folder, manifest))

    async def _chain(self, task: str, folder: Path, manifest: Manifest) -> Engine:
        """Each tier on the engine of its own candidate; the incumbent, where it is the last one, at its address."""
        chain, spec = Chain.read(folder), self.plan.task(task)
        # An incumbent that is told labels of a later plan would name one that the chain has no place for.
        choice = Choice({label: text for label, text in spec.names.items() if label in manifest.labels}, spec.describe)
        opened: list[Engine] = []
        try:
            for tier in chain.tiers:
                if tier.folder:
                    at = place(folder, tier)
                    version = f"{manifest.version}+{tier.name}"
                    opened.append(await self._bundle(task, version, at, read_manifest(at, tier.digest)))
                else:
                    opened.append(await self._incumbent(task, Served(version=chain.incumbent)))
        except BaseException:
            for engine in opened:
                await engine.close()
            raise
        return ChainEngine(chain, opened, manifest.labels, choice)

    async def endpoint(self, name: str, model: str = "") -> Engine:
        """A model that an engine of the plan has by itself. Raises PlanError.

        model: what the endpoint calls it; empty where the plan says it
        """
        return await self.hosts.engine(name, self._keys(name), HostedModel(model))

    def _engine_of(self, task: str, manifest: Manifest) -> tuple[str, EngineKeys]:
        """The engine that a bundle's candidate names, or else its task; where neither does, in this process, on ONNX
        Runtime if the bundle has a graph.
        """
        spec = self.plan.task(task)
        candidate = spec.candidates.get(manifest.candidate)
        name = (candidate.engine if candidate else "") or spec.engine
        own = onnx.Keys(kind="onnx") if GRAPH in manifest.files else in_process.Keys(kind="in_process")
        keys = self._keys(name) if name else own
        if keys.usd_per_hour is None:
            price = candidate.usd_per_hour if candidate else OWN_USD_PER_HOUR
            keys = keys.model_copy(update={"usd_per_hour": price})
        return name or "of this process", keys

    def _keys(self, name: str) -> EngineKeys:
        try:
            return self.plan.engines[name].keys()
        except KeyError:
            there = ", ".join(self.plan.engines) or "none"
            raise PlanError(f"the plan has no engine {name!r}; it has {there}") from None

    async def _incumbent(self, task: str, served: Served) -> Engine:
        incumbent = self.plan.task(task).incumbent
        if served.version != incumbent.version:
            raise ArtifactError(
                f"{served.version} names no artifact and is not the plan's incumbent {incumbent.version};"
                " promote it again"
            )
        kind = decisions if incumbent.api == "decisions" else openai
        keys = kind.of_incumbent(incumbent)
        return await self.hosts.engine(f"incumbent of {task}", keys, HostedModel(served.version))


def warm(plan: Plan) -> None:
    """Import what the plan's bundles need: with torch ten seconds of work that would else be the first rollout's."""
    if not _needs_torch(plan):
        import onnxruntime  # noqa: F401
        import tokenizers  # noqa: F401

        return
    import peft  # noqa: F401

    from headrace.models import encoder_base

    encoder_base.Encoder()


def _needs_torch(plan: Plan) -> bool:
    bases = {spec.base for task in plan.served.values() for spec in task.candidates.values()}
    families = {plan.base(name).family for name in bases}
    return not families <= WITHOUT_TORCH or any(engine.kind == "in_process" for engine in plan.engines.values())
