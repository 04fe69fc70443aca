"""Encoders on ONNX Runtime, without torch: the default for bundles that have a graph.

A host is a loaded graph. Heads of one base share it, of whatever task; an adapter is merged into weights of its own, a
tuned encoder and a quantised one bring theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from headrace.models.bundle import GRAPH, Manifest
from headrace.plan.engines import EngineKeys
from serving.engines.hosts import Host, HostedModel
from serving.engines.kinds import in_process

if TYPE_CHECKING:
    from headrace.models.families import Model
    from headrace.models.onnx_encoder import Graph

BUNDLES = frozenset({"head", "adapter", "full", "int8"})


class Keys(EngineKeys):
    """Its table in the plan."""

    url: Annotated[str, Field(max_length=0)] = ""
    """None: it answers in the gateway's own process."""
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads for one question, or for a batch of them; 0: one."""


def host_of(model: HostedModel) -> str:
    """Bundles of one base share a host where they keep its weights, and their graphs are the same."""
    manifest = in_process.bundle_of(model)
    return f"{in_process.host_of(model)} {manifest.files.get(GRAPH, '')}"


async def open(keys: EngineKeys, model: HostedModel, environ: Mapping[str, str]) -> Host:
    """A host with the bundle's graph. Raises ArtifactError."""
    from headrace.models.onnx_encoder import graph_of

    manifest = in_process.bundle_of(model)
    assert model.folder is not None
    return LoadedGraph(await asyncio.to_thread(graph_of, model.folder, manifest, getattr(keys, "threads", 0)))


class LoadedGraph(in_process.LoadedBase):
    """A graph in this process's memory."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)

    def _opened(self, model: HostedModel, manifest: Manifest) -> Model:
        from headrace.models.families.encoder import open_on_graph

        assert model.folder is not None
        return open_on_graph(model.folder, manifest, self._base)
