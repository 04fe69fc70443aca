"""How models of a kind are loaded and asked: a family is a file, here or in a company's own package (headrace.kinds).

encoder  encoders with a linear head
causal   causal language models
words    TF-IDF and a linear head, without pre-trained weights
chain    models of other families, the next asked where one is not sure
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from headrace import kinds
from headrace.errors import ArtifactError
from headrace.models.bundle import GRAPH, Manifest, verify
from headrace.models.family import Family, Model

__all__ = ["Model", "family_of", "load", "load_base", "open_as_served", "open_bundle"]


def family_of(name: str) -> Family:
    """Raises ArtifactError."""
    if name not in kinds.names("families"):
        raise ArtifactError(f"family {name!r} is not one that this version knows; it needs another version of headrace")
    return cast(Family, kinds.load("families", name))


def load(path: Path | str, digest: str = "", threads: int = 0) -> Model:
    """Verify a bundle and load it. Raises ArtifactError in one sentence.

    digest: of its manifest, as a promotion names it; empty to trust the folder's own
    """
    folder = Path(path)
    return open_as_served(folder, verify(folder, digest), threads)


def load_base(manifest: Manifest, threads: int = 0) -> Any:
    """A bundle's base, to be shared by bundles that leave it as it is (Manifest.keeps_base). Raises ArtifactError."""
    return family_of(manifest.family).load_base(manifest.of_base, threads)


def open_as_served(folder: Path, manifest: Manifest, threads: int = 0) -> Model:
    """Load a folder as a gateway does where its plan names no engine: on ONNX Runtime if the bundle has a graph.

    Like `open_bundle` otherwise; 0 threads: one of ONNX Runtime. Raises ArtifactError.
    """
    if not (folder / GRAPH).exists():
        return open_bundle(folder, manifest, threads)
    from headrace.models.families import encoder
    from headrace.models.onnx_encoder import graph_of

    return encoder.open_on_graph(folder, manifest, graph_of(folder, manifest, threads))


def open_bundle(folder: Path, manifest: Manifest, threads: int = 0, base: Any = None) -> Model:
    """Load a folder laid out as models/bundle.py says without checking its digests. Raises ArtifactError.

    base: its base where that is loaded already (load_base); None loads one for this bundle alone
    """
    return family_of(manifest.family).open(folder, manifest, threads, base)
