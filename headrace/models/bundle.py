"""A published model, a bundle: a folder that appears whole or not at all, and is what its manifest says.

    <root>/<task>/<number>-a<attempt>/
        manifest.json              Manifest; the sha256 of this file is the bundle's digest
        report.html, report.md, README.md    the report of the run that made it, and its model card; no model reads them
        parity.json                texts and the log-probabilities that evaluation got for them
        scoring.json               how raw scores become calibrated probabilities (scoring.py)
        head.safetensors           `weight` (labels, width) and `bias` (labels,), float32, on the pooled embedding
        neighbours.safetensors     embeddings of training rows, which have a say beside the head (neighbours.py)
        prompt.json                what a causal model is told, and what it answers for each label
        examples.json, examples.safetensors                    what it is shown before a question, and where that lies
        adapter_config.json, adapter_model.safetensors         PEFT's own two files: an adapter's, or virtual tokens
        words.safetensors          what a model of words counts, and its weights (families/words.py)
        encoder.onnx, encoder_weights.json    the encoder as a graph for ONNX Runtime, and which weights it takes from
                                   safetensors files; of kind int8 it holds its own (onnx_graph.py)
        chain.json                 other bundles, by folder and digest, and when each of them answers (chain.py)
        encoder.safetensors        a tuned encoder's weights; with config.json where it has fewer layers than its base
        model.safetensors, model-00001-of-00002.safetensors    a tuned model's, whole or in shards, with its
        config.json, tokenizer.json, chat_template.jinja, …    configuration and tokenizer in Hugging Face's layout

Which of them a bundle may hold follows from its kind (FILES). Its base is not in it: the manifest refers to that by
source and digest. Tensors are safetensors, never pickle, because loading a pickle runs it. Nothing lies in subfolders:
the tiers of a chain are bundles beside it, <number>-a<attempt>+<tier>, and a chain without one of them is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationError

from headrace.contract.events import Moment, Name, Optional200, Record, sentence
from headrace.errors import ArtifactError
from headrace.models.bases import Base, base_of
from headrace.models.chain import Chain, place

MANIFEST = "manifest.json"
PROMPT = "prompt.json"
GRAPH, GRAPH_WEIGHTS = "encoder.onnx", "encoder_weights.json"
REPORT, REPORT_TEXT, CARD = "report.html", "report.md", "README.md"
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_FILES = 64
MAX_BYTES = 64 * 1024**3

_FILE_NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*\.(safetensors|json|jinja|model|onnx|txt|html|md)"
)

Kind = Literal["head", "adapter", "full", "prompt", "soft_prompt", "words", "chain", "int8"]
_PROMPT = r"prompt\.json|parity\.json|scoring\.json"
_SCORING = rf"head\.safetensors|neighbours\.safetensors|encoder\.onnx|{_PROMPT}"
_HEAD = rf"encoder_weights\.json|{_SCORING}"
_TOKENIZER = (
    r"tokenizer(_config)?\.json|tokenizer\.model|special_tokens_map\.json|added_tokens\.json|vocab\.json|merges\.txt|"
    r"chat_template\.(jinja|json)"
)
_WEIGHTS = r"(encoder|model|model-\d{5}-of-\d{5})\.safetensors|model\.safetensors\.index\.json"
FILES = {
    "head": _HEAD,
    "adapter": rf"adapter_config\.json|adapter_model\.safetensors|{_HEAD}",
    "full": rf"(generation_)?config\.json|{_WEIGHTS}|{_TOKENIZER}|{_HEAD}",
    "prompt": rf"examples\.(json|safetensors)|{_PROMPT}",
    "soft_prompt": rf"adapter_config\.json|adapter_model\.safetensors|{_PROMPT}",
    "words": r"words\.safetensors|parity\.json|scoring\.json",
    "chain": r"chain\.json|parity\.json",
    "int8": _SCORING,
}
"""By kind of bundle, a pattern of the files that it may hold beside the manifest."""
_KINDS: dict[str, Kind] = {"lora": "adapter", "full": "full"}
_VERSION = re.compile(r"[a-z][a-z0-9_.-]*@([0-9]+)")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _several_or_none(labels: tuple[str, ...]) -> tuple[str, ...]:
    if len(labels) == 1:
        raise ValueError("there are at least two labels to choose from")
    return labels


class Manifest(Record):
    """What a model is and where it came from.

    version: task@number, as in router@12; candidate: the name the plan gives it
    family: which file of models/families loads it; base, method: which model, tuned how
    base_source, base_revision, base_digest, dtype: of that model, which is referred to and not copied (bases.Base);
        empty in bundles of older versions, whose bases came with headrace
    labels: the order of its scores; none of a version that writes text
    dataset: digest of the data set; seed, code_revision: what else makes it again
    parameters: of the whole model; trained_parameters: those that tuning changed
    metrics: of its evaluation, shares and milliseconds by name
    max_length: tokens, longer texts are cut
    kind: what tuning made of the base, and so which files there are (FILES); as its method says in older bundles
    files: name to sha256, all files but this one
    """

    version: Annotated[str, Field(pattern=f"^{_VERSION.pattern}$")]
    task: Name
    job_id: UUID
    attempt: Annotated[int, Field(ge=0)]
    candidate: Name
    family: Name = "encoder"
    base: Name
    base_source: Annotated[str, Field(max_length=1000)] = ""
    base_revision: Optional200 = ""
    base_digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    dtype: Name = "float32"
    method: Name
    labels: Annotated[tuple[Name, ...], Field(max_length=1000), AfterValidator(_several_or_none)]
    dataset: Optional200 = ""
    seed: int = 0
    code_revision: Optional200 = ""
    created_at: Moment
    parameters: Annotated[int, Field(ge=0)] = 0
    trained_parameters: Annotated[int, Field(ge=0)] = 0
    metrics: dict[str, float] = Field(default_factory=dict)
    max_length: Annotated[int, Field(ge=8, le=1_000_000)] = 64
    kind: Kind | Literal[""] = ""
    files: dict[str, Sha256] = Field(default_factory=dict)

    @property
    def of_kind(self) -> Kind:
        """Its kind, also where an older version did not write it down."""
        return self.kind or _KINDS.get(self.method, "head")

    @property
    def label_set(self) -> str:
        """The sha256 of its labels in their order."""
        return hashlib.sha256(json.dumps(self.labels).encode()).hexdigest()

    @property
    def keeps_base(self) -> bool:
        """Its base's weights stay as they are, so that several bundles can answer on one loaded base."""
        return self.of_kind in ("head", "prompt", "soft_prompt")

    @property
    def of_base(self) -> Base:
        """The base, to be resolved. Raises ArtifactError."""
        if not self.base_source:
            return base_of(self.base)
        return Base(
            self.base, self.family, self.base_source, self.base_revision, self.base_digest, self.dtype, self.max_length
        )


@dataclass(frozen=True, slots=True)
class Published:
    """Where an artifact stands, the sha256 of its manifest, and the manifest with its files filled in."""

    path: Path
    digest: str
    manifest: Manifest


def publish(work: Path, root: Path, manifest: Manifest, part: str = "") -> Published:
    """Copy the files of `work` and their manifest to the version's own folder under `root`, by one rename.

    part: the name of a tier, where the version is a chain and this is one of its tiers
    A crash leaves at most a hidden folder that no reader looks at. The same artifact published twice is one artifact.
    Raises ArtifactError for a file that an artifact may not hold, and where another artifact has the name already.
    """
    name = f"{number_of(manifest.version)}-a{manifest.attempt}"
    target = root / manifest.task / (f"{name}+{part}" if part else name)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        files: dict[str, str] = {}
        for source in _listed(work):
            if source.name == MANIFEST:
                continue
            _check_name(work, source.name, manifest.of_kind)
            shutil.copyfile(source, staging / source.name)
            _sync(staging / source.name)
            files[source.name] = _sha256(staging / source.name)
        complete = manifest.model_copy(update={"files": files})
        content = complete.model_dump_json(indent=1).encode()
        (staging / MANIFEST).write_bytes(content)
        _sync(staging / MANIFEST)
        staging.chmod(0o755)
        digest = hashlib.sha256(content).hexdigest()
        try:
            staging.rename(target)
        except OSError:
            if not target.is_dir():
                raise
            verify(target, digest)  # raises unless it is this very artifact
        _sync(target.parent)
        return Published(target, digest, complete)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def verify(path: Path, digest: str = "") -> Manifest:
    """The manifest of an artifact whose every byte is what was published.

    digest: the sha256 of the manifest that a promotion names; empty to trust the folder's own manifest
    Raises ArtifactError in one sentence: missing, half-written, changed, too large, or holding what it may not hold.
    Of a chain each tier is verified as well.
    """
    manifest = read_manifest(path, digest)
    _check_files(path, manifest)
    if manifest.of_kind == "chain":
        _verify_tiers(path, manifest)
    return manifest


def read_manifest(path: Path, digest: str = "") -> Manifest:
    """The manifest in a folder, of that sha256 where one is given, without its files. Raises ArtifactError."""
    if not path.is_dir():
        raise ArtifactError(f"there is no artifact at {path}; publish it again or roll back to a version that exists")
    manifest_file = path / MANIFEST
    if not manifest_file.is_file() or manifest_file.is_symlink():
        raise ArtifactError(f"the artifact at {path} has no {MANIFEST}: it is half-written; publish it again")
    if manifest_file.stat().st_size > MAX_MANIFEST_BYTES:
        raise ArtifactError(f"{manifest_file} is larger than {MAX_MANIFEST_BYTES} bytes; it is not a manifest")
    content = manifest_file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if digest and found != digest:
        raise ArtifactError(
            f"{manifest_file} has digest {found[:12]}… and not {digest[:12]}… as promoted; do not serve it"
        )
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise ArtifactError(f"{manifest_file} is not a manifest: {sentence('Manifest', error)}") from None


def _verify_tiers(path: Path, manifest: Manifest) -> None:
    for tier in Chain.read(path).bundles:
        if not tier.digest:
            raise ArtifactError(f"the chain at {path} names no digest for its tier {tier.name}; publish it again")
        found = read_manifest(place(path, tier), tier.digest)
        if found.of_kind == "chain" or (found.task, found.labels) != (manifest.task, manifest.labels):
            raise ArtifactError(f"the tier {tier.name} of the chain at {path} is no model of the chain's labels")
        verify(place(path, tier), tier.digest)


def number_of(version: str) -> int:
    """12 of router@12. Raises ArtifactError."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ArtifactError(f"{version!r} is not a version; it looks like router@12")
    return int(match[1])


def _check_files(path: Path, manifest: Manifest) -> None:
    if len(manifest.files) > MAX_FILES:
        raise ArtifactError(
            f"the artifact at {path} names {len(manifest.files)} files; at most {MAX_FILES} are allowed"
        )
    for name in manifest.files:
        _check_name(path, name, manifest.of_kind)
    for entry in _listed(path):
        if entry.name != MANIFEST and entry.name not in manifest.files:
            _check_name(path, entry.name, manifest.of_kind)
            raise ArtifactError(
                f"the artifact at {path} holds {entry.name!r}, which its manifest does not name; remove it"
            )
    total = 0
    for name, digest in sorted(manifest.files.items()):
        file = path / name
        if not file.is_file() or file.is_symlink():
            raise ArtifactError(f"the artifact at {path} lacks its file {name!r}: it is half-written; publish it again")
        total += file.stat().st_size
        if total > MAX_BYTES:
            raise ArtifactError(f"the artifact at {path} is larger than {MAX_BYTES} bytes; it is refused")
        if _sha256(file) != digest:
            raise ArtifactError(f"{file} is not the file that was published: its sha256 differs; publish it again")


def _check_name(path: Path, name: str, kind: Kind) -> None:
    if name == MANIFEST or not _FILE_NAME.fullmatch(name):
        raise ArtifactError(
            f"the artifact at {path} has a file {name!r}; only plain names of .safetensors and .json files, and a"
            " tokenizer's, are allowed (no pickle, no folders)"
        )
    if name not in (REPORT, REPORT_TEXT, CARD) and not re.fullmatch(FILES[kind], name):
        raise ArtifactError(
            f"the artifact at {path} has a file {name!r}, which a bundle of kind {kind!r} does not hold"
        )


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda entry: entry.name)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
