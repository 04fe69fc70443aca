"""How models of a kind are loaded and asked. A family is a file here, which a manifest names.

family   what a family is, and the check that a loaded model answers as it was evaluated
encoder  encoders with a linear head
causal   causal language models
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from headrace.errors import ArtifactError
from headrace.models.bundle import Manifest, verify
from headrace.models.families.family import Family, Model

__all__ = ["Model", "family_of", "load", "open_bundle"]


def family_of(name: str) -> Family:
    """Raises ArtifactError."""
    module = f"{__name__}.{name}"
    if name == "family" or not name.isidentifier() or find_spec(module) is None:
        raise ArtifactError(f"family {name!r} is not one that this version knows; it needs another version of headrace")
    return cast(Family, import_module(module))


def load(path: Path | str, digest: str = "", threads: int = 0) -> Model:
    """Verify a bundle and load it. Raises ArtifactError in one sentence.

    digest: of its manifest, as a promotion names it; empty to trust the folder's own
    """
    folder = Path(path)
    return open_bundle(folder, verify(folder, digest), threads)


def open_bundle(folder: Path, manifest: Manifest, threads: int = 0) -> Model:
    """Load a folder laid out as models/bundle.py says without checking its digests. Raises ArtifactError."""
    return family_of(manifest.family).open(folder, manifest, threads)
