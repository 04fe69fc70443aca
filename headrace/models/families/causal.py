"""Causal language models: any Llama-like one. Each label has a code of one token, and one pass scores all labels.

    question → chat template with the task's instructions → prompt
    label    → its code (headrace.models.codes)
    score    = log-probability of the code as the prompt's next token, normalised over the labels' codes

A base that nobody trained is told what each code stands for, and may be shown examples. One that is trained learns that
from its rows: its prompt says neither, and is a fraction as long. Bundles of older versions answer with labels' texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from headrace.errors import ArtifactError
from headrace.models.bases import Base, device, resolve
from headrace.models.bundle import Kind, Manifest
from headrace.models.causal_base import CausalBase
from headrace.models.codes import codes_of, listed, tokens_of
from headrace.models.family import LabelSet, Model, Step, Unsupported
from headrace.models.generation import Generation, Sampling, never
from headrace.models.prompt import Examples, Prompt, read_examples, read_prompt, read_soft, write_prompt, write_soft
from headrace.models.tensors import BATCH, Floats, Side, by_length, log_softmax, merged, write_adapter

CAN = frozenset({"gradient", "prompt"})
DTYPES = ("float32", "bfloat16", "float16")
TRAINED = "Classify the question."
"""All that a model is told whose weights or virtual tokens know the codes."""


class CausalModel(Model):
    """A published bundle of this family, loaded. See models/family.py, Model."""

    writes_text = True

    def __init__(
        self, base: CausalBase, prompt: Prompt, examples: Examples | None, manifest: Manifest, folder: Path
    ) -> None:
        self.base = base
        self.manifest = manifest
        self.folder = folder
        self._prompt = prompt
        self._examples = examples
        self._answers = prompt.answers(base, manifest.labels)

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, threads: int = 0, base: CausalBase | None = None) -> Self:
        """See family.Family.open."""
        if manifest.of_kind == "full":
            # It has its own weights and tokenizer.
            base = CausalBase(folder, manifest.max_length, manifest.dtype, threads)
        elif base is None or not manifest.keeps_base:
            base = load_base(manifest.of_base, threads)
        base = base.shared(manifest.max_length)
        if manifest.of_kind == "soft_prompt":
            base.soft = read_soft(folder, base.width)
        elif (folder / "adapter_model.safetensors").exists():
            base.module = merged(base.module, folder)
        prompt = read_prompt(folder)
        base.check_room(prompt.instructions)
        return cls(base, prompt, read_examples(folder), manifest, folder)

    def log_probabilities(self, texts: Sequence[str], batch: int = BATCH, side: Side = "left") -> Floats:
        """See Model. batch, side: how many prompts are read at once, and where the shorter ones are padded."""
        import numpy as np

        out = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        prompts = self._prompts(texts)
        with self.base.one:
            for rows in by_length(prompts, batch):
                out[rows] = self.base.log_probabilities([prompts[row] for row in rows], self._answers, side)
        return log_softmax(out)

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """See Model."""
        virtual = 0 if self.base.soft is None else len(self.base.soft)
        return [virtual + len(prompt) for prompt in self._prompts(texts)]

    def generate(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """See Model."""
        prompts = self._prompts(texts)
        with self.base.one:
            return self.base.generate(prompts, max_tokens)

    def stream(
        self, messages: Sequence[tuple[str, str]], sampling: Sampling, stopped: Callable[[], bool] = never
    ) -> Generation:
        """See Model. The bundle's instructions come first, unless the conversation has its own."""
        import torch

        if not any(role == "system" for role, _ in messages):
            messages = [("system", self._prompt.instructions), *messages]
        base, prompt = self.base, self.base.conversation(messages)
        if len(prompt) > base.room:
            raise ArtifactError(f"the conversation has {len(prompt)} tokens, and the model reads {base.room}")
        begin = None
        if base.soft is not None:
            with torch.inference_mode():
                begin, _ = base.inputs([prompt], "left")
            prompt = [base.end] * len(base.soft) + prompt
        return Generation(base.module, base.tokenizer, prompt, sampling, base.one, stopped, begin)

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """See Model."""
        with self.base.one:
            return self.base.embed(texts, step)

    def _prompts(self, texts: Sequence[str]) -> list[list[int]]:
        shown = self._examples.nearest(texts, self._prompt) if self._examples else [[] for _ in texts]
        instructions = self._prompt.instructions
        return [self.base.prompt(instructions, text, near) for text, near in zip(texts, shown, strict=True)]


class TunableCausal:
    """A causal model that answers with codes. See models/family.py, Tunable and Prompted."""

    kind: Kind = "prompt"

    def __init__(self, base: Base, labels: LabelSet, threads: int = 0) -> None:
        self.base = CausalBase(resolve(base), base.max_length, base.dtype, threads)
        self.base.module.to(device())
        self.labels = labels
        self._named = base.name
        self._threads = threads
        self._examples: Examples | None = None
        self._prompt_encoder: Any = None
        self._codes = codes_of(self.base.tokenizer, labels)
        self._tokens = tokens_of(self.base.tokenizer, self._codes, labels.ids)
        self._instructions = (
            f"Which of these does the question belong to? Answer with its name alone.\n{listed(labels, self._codes)}"
        )
        self.base.check_room(self._instructions)

    @property
    def module(self) -> Any:
        return self.base.module

    @module.setter
    def module(self, module: Any) -> None:
        self.base.module = module

    @property
    def parameters(self) -> int:
        return sum(int(tensor.numel()) for tensor in self.module.parameters())

    def trainable(self) -> dict[str, Any]:
        named = {name: tensor for name, tensor in self.module.named_parameters() if tensor.requires_grad}
        if self._prompt_encoder is not None:
            named |= {f"prompt_encoder.{name}": each for name, each in self._prompt_encoder.named_parameters()}
        return named

    def prepare(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        """The prompts of what is trained."""
        return [self.base.prompt(TRAINED, text) for text in texts]

    def losses(self, rows: Sequence[Sequence[int]], truth: Sequence[int]) -> Any:
        """Cross-entropy over the labels' codes, which is what is scored; nothing of the prompt is learned."""
        import torch

        if self._prompt_encoder is not None:
            self.base.soft = self._prompt_encoder()
        words, _ = self.base.inputs(rows, "left")
        logits = self.module(**words, use_cache=False, logits_to_keep=1).logits[:, -1, self._tokens].float()
        return torch.nn.functional.cross_entropy(logits, torch.tensor(truth, device=logits.device), reduction="none")

    def set_head(self, weight: Floats, bias: Floats) -> None:
        raise Unsupported("a causal model takes no linear head")

    def set_examples(self, texts: Sequence[str], truth: Sequence[int], shown: int) -> None:
        """See models/family.py, Prompted."""
        self._examples = Examples.of(texts, [self.labels.ids[label] for label in truth], shown, self._threads)

    def set_virtual_tokens(self, count: int) -> int:
        """See models/family.py, Prompted."""
        from headrace.models.soft_prompt import PromptEncoder

        if count >= self.base.max_length:
            raise ArtifactError(f"{count} virtual tokens are more than the {self.base.max_length} that the base reads")
        self.module.requires_grad_(False)
        words = self.base.tokenizer.encode(self._instructions, add_special_tokens=False)
        table = self.module.get_input_embeddings()
        self._prompt_encoder = PromptEncoder(table, words, count).to(device())
        self.base.soft = self._prompt_encoder()
        self.base.check_room(TRAINED)
        return sum(int(each.numel()) for each in self._prompt_encoder.parameters())

    def save(self, folder: Path, kind: Kind) -> None:
        write_prompt(folder, self._instructions if kind == "prompt" else TRAINED, self._codes)
        if self._examples is not None:
            self._examples.write(folder)
        if kind == "adapter":
            write_adapter(self.module, folder)
        elif kind == "soft_prompt":
            write_soft(folder, self._prompt_encoder().detach(), self._named, self.base.width)
        elif kind == "full":
            self.module.save_pretrained(str(folder))
            self.base.tokenizer.save_pretrained(str(folder))


open = CausalModel.open
tunable = TunableCausal


def embedded(base: Base, texts: Sequence[str], threads: int = 0, step: Step | None = None) -> Floats:
    """See models/family.py, Family."""
    return load_base(base, threads).embed(texts, step)


def load_base(base: Base, threads: int = 0) -> CausalBase:
    """See family.Family.load_base."""
    return CausalBase(resolve(base), base.max_length, base.dtype, threads)
