"""Causal language models: any Llama-like one. Each label has a code of one token, and one pass scores all labels.

    question → chat template with the task's instructions → prompt
    label    → its code (headrace.models.codes)
    score    = log-probability of the code as the prompt's next token, normalised over the labels' codes

A base that nobody trained is told what each code stands for, and may be shown examples. One that is trained learns that
from its rows: its prompt says neither, and is a fraction as long. Bundles of older versions answer with labels' texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from headrace.models.asking import Asking
from headrace.models.bases import Base, device, resolve
from headrace.models.bundle import Kind, Manifest
from headrace.models.causal_base import CausalBase
from headrace.models.codes import codes_of, listed, tokens_of
from headrace.models.family import LabelSet, Model, Step, Unsupported
from headrace.models.generation import Generation, Sampling, never
from headrace.models.prompt import Examples, Prompt, read_soft, write_prompt, write_soft
from headrace.models.recall import Recall
from headrace.models.scoring import Scoring
from headrace.models.tensors import BATCH, Floats, Side, by_length, log_softmax, merged, write_adapter

CAN = frozenset({"gradient", "prompt", "text"})
DTYPES = ("float32", "bfloat16", "float16")
ANSWERS = 8
"""Scored at once: each of their tokens has logits of the whole vocabulary."""
TRAINED = "Classify the question."
"""All that a model is told whose weights or virtual tokens know the codes."""


class CausalModel(Model):
    """A published bundle of this family, loaded. See models/family.py, Model."""

    writes_text = True

    def __init__(self, base: CausalBase, asking: Asking, manifest: Manifest, folder: Path) -> None:
        self.base = base
        self.manifest = manifest
        self.folder = folder
        self.scoring = Scoring.read(folder)
        self._asking = asking
        self._recall = Recall()

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, threads: int = 0, base: CausalBase | None = None) -> Self:
        """See family.Family.open."""
        if manifest.of_kind == "full":
            # It has its own weights and tokenizer.
            base = CausalBase.load(folder, manifest.max_length, manifest.dtype, threads)
        elif base is None or not manifest.keeps_base:
            base = load_base(manifest.of_base, threads)
        base = base.shared(manifest.max_length)
        if manifest.of_kind == "soft_prompt":
            base.soft = read_soft(folder, base.width)
        elif (folder / "adapter_model.safetensors").exists():
            base.module = merged(base.module, folder)
        return cls(base, Asking.read(folder, base, manifest.labels), manifest, folder)

    def log_probabilities(self, texts: Sequence[str], batch: int = BATCH, side: Side = "left") -> Floats:
        """See Model. batch, side: how many prompts are read at once, and where the shorter ones are padded."""
        if not self.labels:
            raise Unsupported(f"{self.manifest.version} writes text and scores no labels")
        return self.scoring.calibrated(self._recall.of(texts, lambda new: self._read(new, batch, side)))

    def remembering(self) -> AbstractContextManager[None]:
        """See Model."""
        return self._recall.on()

    def _read(self, texts: Sequence[str], batch: int, side: Side) -> Floats:
        import numpy as np

        out = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        prompts = self._asking.prompts(texts)
        with self.base.one:
            for rows in by_length(prompts, batch):
                out[rows] = self.base.log_probabilities([prompts[row] for row in rows], self._asking.answers, side)
        return log_softmax(out)

    def answer_losses(self, texts: Sequence[str], answers: Sequence[str]) -> tuple[Floats, Floats]:
        """See Model."""
        import numpy as np
        import torch

        prompts, wanted = self._asking.prompts(texts), [self.base.answer(answer) for answer in answers]
        totals, tokens = np.zeros(len(texts), dtype=np.float32), np.zeros(len(texts), dtype=np.float32)
        whole = [[*prompt, *answer] for prompt, answer in zip(prompts, wanted, strict=True)]
        with self.base.one, torch.inference_mode():
            for rows in by_length(whole, ANSWERS):
                total, count = self.base.losses([prompts[row] for row in rows], [wanted[row] for row in rows])
                totals[rows], tokens[rows] = total.cpu().numpy(), count.cpu().numpy()
        return totals, tokens

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """See Model."""
        virtual = 0 if self.base.soft is None else len(self.base.soft)
        return [virtual + len(prompt) for prompt in self._asking.prompts(texts)]

    def generate(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """See Model."""
        prompts = self._asking.prompts(texts)
        with self.base.one:
            return self.base.generate(prompts, max_tokens)

    def stream(
        self, messages: Sequence[tuple[str, str]], sampling: Sampling, stopped: Callable[[], bool] = never
    ) -> Generation:
        """See Model. The bundle's instructions come first, unless the conversation has its own."""
        import torch

        base, prompt = self.base, self._asking.conversation(messages)
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


class Tuned:
    """What is alike in tuning a causal model to label and to write. See models/family.py, Tunable and Prompted.

    kept: the prompt of what nobody trained; learned: of what is trained
    """

    kind: Kind = "prompt"

    def __init__(self, base: CausalBase, name: str, kept: Prompt, learned: Prompt) -> None:
        self.base = base
        self.base.module.to(device())
        self._named = name
        self._kept = kept
        self._learned = learned
        self._prompt_encoder: Any = None
        self._examples: Examples | None = None
        for prompt in (kept, learned):
            base.check_room(prompt.instructions)

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
        return [self.base.prompt(self._learned.instructions, text) for text in texts]

    def set_head(self, weight: Floats, bias: Floats) -> None:
        raise Unsupported("a causal model takes no linear head")

    def set_virtual_tokens(self, count: int) -> int:
        """See models/family.py, Prompted."""
        from headrace.models.soft_prompt import PromptEncoder

        if count >= self.base.max_length:
            raise Unsupported(f"{count} virtual tokens are more than the {self.base.max_length} that the base reads")
        self.module.requires_grad_(False)
        words = self.base.tokenizer.encode(self._kept.instructions, add_special_tokens=False)
        self._prompt_encoder = PromptEncoder(self.module.get_input_embeddings(), words, count).to(device())
        self.base.soft = self._prompt_encoder()
        self.base.check_room(self._learned.instructions)
        return sum(int(each.numel()) for each in self._prompt_encoder.parameters())

    def save(self, folder: Path, kind: Kind) -> None:
        write_prompt(folder, self._kept if kind == "prompt" else self._learned)
        if self._examples is not None:
            self._examples.write(folder)
        if kind == "adapter":
            write_adapter(self.module, folder)
        elif kind == "soft_prompt":
            write_soft(folder, self._prompt_encoder().detach(), self._named, self.base.width)
        elif kind == "full":
            self.module.save_pretrained(str(folder))
            self.base.tokenizer.save_pretrained(str(folder))

    def _refresh_soft(self) -> None:
        """The virtual tokens as the encoder that is trained makes them now."""
        if self._prompt_encoder is not None:
            self.base.soft = self._prompt_encoder()


class TunableCausal(Tuned):
    """A causal model that answers with codes."""

    def __init__(self, base: Base, labels: LabelSet, threads: int = 0) -> None:
        loaded = load_base(base, threads)
        codes = codes_of(loaded.tokenizer, labels)
        told = f"Which of these does the question belong to? Answer with its name alone.\n{listed(labels, codes)}"
        super().__init__(loaded, base.name, Prompt(told, codes, {}), Prompt(TRAINED, codes, {}))
        self.labels = labels
        self._tokens = tokens_of(loaded.tokenizer, codes, labels.ids)

    def losses(self, rows: Sequence[Sequence[int]], truth: Sequence[int]) -> Any:
        """Cross-entropy over the labels' codes, which is what is scored; nothing of the prompt is learned."""
        import torch

        self._refresh_soft()
        words, mask = self.base.learned(rows)
        # Of the last place of each row; rows of like length have few different ones.
        places, place_of = (mask.sum(1) - 1).unique(return_inverse=True)
        found = self.module(**words, use_cache=False, logits_to_keep=places).logits
        logits = found[torch.arange(len(rows), device=found.device), place_of][:, self._tokens].float()
        return torch.nn.functional.cross_entropy(logits, torch.tensor(truth, device=logits.device), reduction="none")

    def set_examples(self, texts: Sequence[str], truth: Sequence[int], shown: int) -> None:
        """See models/family.py, Prompted."""
        self._examples = Examples.of(texts, [self.labels.ids[label] for label in truth], shown)


class TunableWriter(Tuned):
    """A causal model that learns to answer with texts: supervised fine-tuning in the base's own chat template.

    answers: the texts; the truth of a row is the number of its answer
    """

    def __init__(self, base: CausalBase, name: str, instructions: str, answers: Sequence[str]) -> None:
        prompt = Prompt(instructions, {}, {})
        super().__init__(base, name, prompt, prompt)
        self._answers = answers
        self._tokens = [base.answer(text) for text in answers]

    def losses(self, rows: Sequence[Sequence[int]], truth: Sequence[int]) -> Any:
        """The mean over the answer's tokens and the end of its turn; nothing of the prompt is learned."""
        self._refresh_soft()
        total, tokens = self.base.losses(rows, [self._tokens[number] for number in truth])
        return total / tokens.clamp(min=1)

    def set_examples(self, texts: Sequence[str], truth: Sequence[int], shown: int) -> None:
        """See models/family.py, Prompted. Of a text that answers, the truth is its number."""
        self._examples = Examples.of(texts, [self._answers[number] for number in truth], shown)


open = CausalModel.open
tunable = TunableCausal


def writer(base: Base, instructions: str, answers: Sequence[str], threads: int = 0) -> TunableWriter:
    """See models/family.py, Writes."""
    return TunableWriter(load_base(base, threads), base.name, instructions, answers)


def embedded(base: Base, texts: Sequence[str], threads: int = 0, step: Step | None = None) -> Floats:
    """See models/family.py, Family."""
    return load_base(base, threads).embed(texts, step)


def load_base(base: Base, threads: int = 0) -> CausalBase:
    """See family.Family.load_base."""
    return CausalBase.load(resolve(base), base.max_length, base.dtype, threads)
