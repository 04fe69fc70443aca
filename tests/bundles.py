"""Published bundles for tests: real ones, of real bases, that answer what a test wants."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
from safetensors.numpy import save_file

from headrace.contract.control import Served
from headrace.models import bundle
from headrace.models.bundle import Manifest
from headrace.models.chain import Chain
from headrace.models.encoder_base import Encoder
from headrace.models.families import open_as_served
from headrace.models.prompt import Prompt, write_prompt

LABELS = ("hr", "it", "finance", "product", "out_of_scope")
PARITY_TEXTS = ("How do I reset my password?", "When is the pay day?", "Where do I send this invoice?")


def artifact(
    root: Path, number: int, label: str = "hr", parity_off: float = 0.0, bias: float = 20.0, int8: bool = False
) -> Served:
    """Publish router@number, the untuned encoder with a head that always says `label`.

    parity_off: by how much its recorded log-probabilities are wrong; bias: how sure it is; int8: quantised
    """
    work = root / f"work-{uuid4().hex}"
    work.mkdir(parents=True)
    biases = np.zeros(len(LABELS), np.float32)
    biases[LABELS.index(label)] = bias
    weight = np.random.default_rng(number).normal(size=(len(LABELS), 384)).astype(np.float32)
    save_file({"weight": weight, "bias": biases}, work / "head.safetensors")
    from headrace.models.onnx_graph import write_graph, write_quantised  # with torch, which a gateway does without

    module = Encoder().module
    if int8:
        write_quantised(module.config, module.state_dict(), work)
    else:
        write_graph(module.config, work)
    fields = {"base": "minilm-l6", "candidate": "probe", "method": "probe", "kind": "int8" if int8 else "head"}
    return _published(work, root, number, fields, parity_off)


def causal_artifact(root: Path, number: int, max_length: int = 512) -> Served:
    """Publish router@number, the untuned causal default."""
    work = root / f"work-{uuid4().hex}"
    work.mkdir(parents=True)
    codes = dict(zip(LABELS, "ABCDE", strict=True))
    listed = ", ".join(f"{code} for {label}" for label, code in codes.items())
    write_prompt(work, Prompt(f"Which department answers? Answer {listed}.", codes, {}))
    fields = {"base": "smollm2-135m-q4", "family": "causal", "candidate": "small", "method": "untuned"}
    return _published(work, root, number, fields | {"kind": "prompt", "max_length": max_length}, 0.0)


def chain_artifact(
    root: Path, number: int, tiers: Sequence[Served], threshold: float, incumbent: str = "", on_failure: str = "cheaper"
) -> Served:
    """Publish router@number, a chain of published bundles beside it.

    threshold: of every tier but the last; incumbent: a version that is the last tier, behind these
    """
    work = root / f"work-{uuid4().hex}"
    work.mkdir(parents=True)
    said: list[dict[str, object]] = [
        {"name": f"tier-{place}", "folder": Path(one.artifact).name, "digest": one.digest, "threshold": threshold}
        for place, one in enumerate(tiers)
    ]
    if incumbent:
        said.append({"name": "incumbent", "accuracy": 0.9})
    said[-1]["threshold"] = None
    fields = {"tiers": said, "incumbent": incumbent, "on_failure": on_failure}
    Chain.model_validate(fields).write(work)
    manifest = _manifest(number, {"family": "chain", "base": "chain", "candidate": "chain", "method": "chain"})
    published = bundle.publish(work, root, manifest.model_copy(update={"kind": "chain"}))
    return Served(version=manifest.version, artifact=str(published.path), digest=published.digest)


def _published(work: Path, root: Path, number: int, fields: dict[str, object], parity_off: float) -> Served:
    manifest = _manifest(number, fields)
    found = open_as_served(work, manifest).log_probabilities(PARITY_TEXTS) + parity_off
    (work / "parity.json").write_text(json.dumps({"texts": PARITY_TEXTS, "log_probabilities": found.tolist()}))
    published = bundle.publish(work, root, manifest)
    return Served(version=manifest.version, artifact=str(published.path), digest=published.digest)


def _manifest(number: int, fields: Mapping[str, object]) -> Manifest:
    known = {
        "version": f"router@{number}",
        "task": "router",
        "job_id": uuid4(),
        "attempt": 1,
        "labels": LABELS,
        "created_at": datetime.now(UTC),
    }
    return Manifest.model_validate(known | dict(fields))
