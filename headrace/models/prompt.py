"""What a bundle of a causal model asks: instructions, what is answered for each label, and examples.

prompt.json            `instructions`, and `codes`, by label (headrace.models.codes); bundles of older versions have
                       `texts` instead, of any number of tokens
examples.json          `shown`: how many examples a question gets; `rows`: [question, label], as people wrote them
examples.safetensors   `vectors` (rows, width), unit length, float32: where each row lies for EMBEDDER
adapter_model.safetensors, adapter_config.json   P-tuning's virtual tokens, in PEFT's layout
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from headrace.errors import ArtifactError
from headrace.models.bases import base_of
from headrace.models.bundle import PROMPT
from headrace.models.causal_base import Example
from headrace.models.codes import tokens_of
from headrace.models.tensors import Floats, read_tensors, write_tensors

EMBEDDER = "minilm-l6"
"""What finds examples that are like a question: trained to compare texts, as a causal base was not, and several times
smaller. It comes with headrace."""
EXAMPLES, VECTORS = "examples.json", "examples.safetensors"
SOFT = "prompt_embeddings"


@dataclass(frozen=True, slots=True)
class Prompt:
    """instructions: what the model is told; codes, texts: what it answers for a label, by label.

    One of the two is empty, and both are where the task has no labels.
    """

    instructions: str
    codes: Mapping[str, str]
    texts: Mapping[str, str]

    def answers(self, base: Any, labels: Sequence[str]) -> list[list[int]]:
        """Token ids of each label's answer. base: a CausalBase. Raises ArtifactError."""
        if self.codes:
            return [[token] for token in tokens_of(base.tokenizer, self.codes, labels)]
        return [base.answer(self.texts.get(label, label)) for label in labels]

    def said(self, label: str) -> str:
        """What an example answers."""
        return (self.codes or self.texts).get(label, label).strip()


def read_prompt(folder: Path) -> Prompt:
    """Of a bundle. Raises ArtifactError."""
    file = folder / PROMPT
    try:
        content = json.loads(file.read_text("utf-8"))
        codes, texts = content.get("codes", {}), content.get("texts", {})
        if not isinstance(content["instructions"], str) or not ({"codes", "texts"} & set(content)):
            raise KeyError("instructions")
        return Prompt(content["instructions"], _texts(codes), _texts(texts))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{file} holds no instructions with codes ({error}); publish it again") from None


def write_prompt(folder: Path, prompt: Prompt) -> None:
    """Into a candidate's folder."""
    content = {"instructions": prompt.instructions, "codes": dict(prompt.codes)}
    (folder / PROMPT).write_text(json.dumps(content, indent=1, sort_keys=True), "utf-8")


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of which the nearest to a question are shown before it.

    rows: (question, label); vectors: float32 (rows, width), unit length; shown: how many
    """

    rows: Sequence[tuple[str, str]]
    vectors: Floats
    shown: int

    @classmethod
    def of(cls, texts: Sequence[str], labels: Sequence[str], shown: int) -> Examples:
        """Of rows that are not embedded yet."""
        return cls(list(zip(texts, labels, strict=True)), _embedder().embed(texts), shown)

    def nearest(self, questions: Sequence[str], prompt: Prompt) -> list[list[Example]]:
        """For each question its examples, the nearest one last; of equally near ones the first row is nearest."""
        if not questions:
            return []
        likeness = _embedder().embed(questions) @ self.vectors.T
        best = (-likeness).argsort(axis=1, kind="stable")[:, : self.shown]
        return [
            [(self.rows[row][0], prompt.said(self.rows[row][1])) for row in reversed(found)] for found in best.tolist()
        ]

    def write(self, folder: Path) -> None:
        """Into a candidate's folder."""
        import torch

        content = {"shown": self.shown, "rows": [list(row) for row in self.rows]}
        (folder / EXAMPLES).write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
        write_tensors(folder / VECTORS, {"vectors": torch.from_numpy(self.vectors)})


def read_examples(folder: Path) -> Examples | None:
    """Of a bundle; None where it has none. Raises ArtifactError."""
    file = folder / EXAMPLES
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text("utf-8"))
        rows = [(str(text), str(label)) for text, label in content["rows"]]
        shown = int(content["shown"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{file} holds no rows of a question and a label ({error}); publish it again") from None
    vectors = read_tensors(folder / VECTORS).get("vectors")
    if vectors is None or vectors.dim() != 2 or len(vectors) != len(rows) or not rows:
        raise ArtifactError(f"{folder / VECTORS} does not hold a vector for each of {len(rows)} rows; publish it again")
    return Examples(rows, vectors.numpy(), shown)


def write_soft(folder: Path, soft: Any, base: str, token_dim: int) -> None:
    """Virtual tokens, a torch tensor (tokens, width), as `PeftModel.from_pretrained` reads them."""
    write_tensors(folder / "adapter_model.safetensors", {SOFT: soft})
    config = {
        "peft_type": "P_TUNING",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "num_virtual_tokens": len(soft),
        "token_dim": token_dim,
        "num_transformer_submodules": 1,
        "encoder_hidden_size": token_dim,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True), "utf-8")


def read_soft(folder: Path, width: int) -> Any:
    """Virtual tokens of a bundle, a torch tensor (tokens, width). Raises ArtifactError."""
    file = folder / "adapter_model.safetensors"
    soft = read_tensors(file).get(SOFT)
    if soft is None or soft.dim() != 2 or soft.shape[1] != width:
        found = None if soft is None else tuple(soft.shape)
        raise ArtifactError(f"{file} holds {SOFT} of shape {found}; its base needs (tokens, {width})")
    return soft


@cache
def _embedder() -> Any:
    from headrace.models.families import family_of

    base = base_of(EMBEDDER)
    return family_of(base.family).load_base(base, 0)


def _texts(given: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in given.items()}
