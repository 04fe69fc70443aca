"""Bundles for tests of the vLLM engine: of real layout, whose recorded answers are those that the double gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import uuid4

import numpy as np
from bundles import LABELS, PARITY_TEXTS
from safetensors.numpy import save_file
from vllm_double import BASE, log_probabilities, weights_of

from headrace.contract.control import Served
from headrace.models.asking import Asking
from headrace.models.bases import base_of, resolve
from headrace.models.bundle import Kind, Manifest, publish
from headrace.models.causal_base import CausalBase
from headrace.models.codes import codes_of
from headrace.models.family import LabelSet
from headrace.models.prompt import Prompt, write_prompt

DEFAULT = "smollm2-135m-q4"
MAX_LENGTH = 256


@cache
def _base() -> CausalBase:
    return CausalBase.reading(resolve(base_of(DEFAULT)), MAX_LENGTH)


def bundle(
    root: Path,
    number: int,
    kind: Kind = "adapter",
    labels: Sequence[str] = LABELS,
    rank: int = 8,
    off: float = 0.0,
    family: str = "causal",
    **config: object,
) -> Served:
    """Publish router@number, of weights that no other number has.

    off: by how much its recorded log-probabilities are wrong; config: more of the adapter's configuration
    """
    work = root / f"work-{uuid4().hex}"
    work.mkdir(parents=True)
    base = _base()
    codes = codes_of(base.tokenizer, LabelSet(tuple(labels), {label: label for label in labels}, {}))
    write_prompt(work, Prompt("Classify the question.", codes, {}))
    tensors = {"a": np.full(4, number, np.float32)}
    weights = BASE
    if kind == "adapter":
        save_file(tensors, work / "adapter_model.safetensors")
        said = {"peft_type": "LORA", "r": rank, "target_modules": ["q_proj"]} | config
        (work / "adapter_config.json").write_text(json.dumps(said))
        weights = weights_of(work)
    elif kind == "full":
        save_file(tensors, work / "model.safetensors")
        (work / "config.json").write_text("{}")
        base.tokenizer.save_pretrained(str(work))
        weights = weights_of(work, "model.safetensors")
    asking = Asking.read(work, base, labels)
    tokens = [token for (token,) in asking.answers]
    found = np.array([log_probabilities(weights, prompt, tokens) for prompt in asking.prompts(PARITY_TEXTS)]) + off
    recorded = {"texts": PARITY_TEXTS, "log_probabilities": found.tolist()}
    (work / "parity.json").write_text(json.dumps(recorded))
    manifest = Manifest(
        version=f"router@{number}", task="router", job_id=uuid4(), attempt=1, candidate="adapted", family=family,
        base=DEFAULT, method="lora", kind=kind, labels=tuple(labels), created_at=datetime.now(UTC),
        max_length=MAX_LENGTH,
    )  # fmt: skip
    published = publish(work, root, manifest)
    return Served(version=manifest.version, artifact=str(published.path), digest=published.digest)
