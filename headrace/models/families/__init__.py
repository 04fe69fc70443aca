"""How models of a kind are loaded and asked: a family is a file, here or in a company's own package (headrace.kinds).

encoder  encoders with a linear head
causal   causal language models
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from headrace import kinds
from headrace.errors import ArtifactError
from headrace.models.bundle import Manifest, verify
from headrace.models.family import Family, Model

__all__ = ["Model", "family_of", "load", "open_bundle"]


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
    return open_bundle(folder, verify(folder, digest), threads)


def open_bundle(folder: Path, manifest: Manifest, threads: int = 0) -> Model:
    """Load a folder laid out as models/bundle.py says without checking its digests. Raises ArtifactError."""
    return family_of(manifest.family).open(folder, manifest, threads)
