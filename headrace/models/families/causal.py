"""Causal language models: any Llama-like one. Labels are scored by the probability of their text after the prompt.

    question → chat template with the task's instructions → prompt
    label    → its text and the end of the turn, any number of tokens
    score    = sum of the log-probabilities of the label's tokens after the prompt, normalised over the labels

The prompt is read once for all labels; of labels that begin alike only what follows the first token is read again. How
rows are batched and on which side they are padded changes nothing: positions count from each row's own first token.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Self

import numpy as np

from headrace.errors import ArtifactError
from headrace.models.bases import resolve
from headrace.models.bundle import Manifest
from headrace.models.families.family import Floats, Step

PROMPT = "prompt.json"
BATCH = 32
# Sequences whose labels are read at once; each holds a copy of its prompt's keys and values.
CONTINUED = 64
Side = Literal["left", "right"]


class CausalBase:
    """A base and its tokenizer.

    module: transformers' model, for whoever tunes it
    max_length: tokens of a prompt; longer questions lose their end, never the instructions
    """

    def __init__(self, folder: Path, max_length: int, dtype: str = "float32", threads: int = 0) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if threads:
            torch.set_num_threads(threads)
        self.max_length = max_length
        where = {"pretrained_model_name_or_path": str(folder), "local_files_only": True}
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(**where)
            self.module: Any = AutoModelForCausalLM.from_pretrained(**where, dtype=getattr(torch, dtype)).eval()
        except (OSError, ValueError, KeyError) as error:
            raise ArtifactError(f"{folder} holds no causal model: {' '.join(str(error).split())[:200]}") from None
        self.end = int(self.tokenizer.eos_token_id)

    @property
    def parameters(self) -> int:
        """How many the model has."""
        return sum(int(tensor.numel()) for tensor in self.module.parameters())

    @property
    def width(self) -> int:
        """Of its hidden states."""
        return int(self.module.config.hidden_size)

    def prompt(self, instructions: str, question: str) -> list[int]:
        """Token ids up to where the answer begins."""
        whole = self._chat(instructions, question)
        if len(whole) > self.max_length:
            kept = self.tokenizer.encode(question, add_special_tokens=False)
            kept = kept[: max(1, len(kept) - (len(whole) - self.max_length))]
            whole = self._chat(instructions, self.tokenizer.decode(kept))
        return whole

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer, with the end of the turn: a label that begins another is told from it."""
        return [*self.tokenizer.encode(text, add_special_tokens=False), self.end]

    def log_probabilities(
        self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], side: Side = "left"
    ) -> Floats:
        """Float32 (len(prompts), len(answers)): of each answer after each prompt, the sum over its tokens."""
        import torch

        with torch.inference_mode():
            hidden = self._read(prompts, side)
            first = hidden.logits.float().log_softmax(-1)
            heads = torch.tensor([answer[0] for answer in answers])
            total = first[:, heads]
            longer = [number for number, answer in enumerate(answers) if len(answer) > 1]
            for pairs in _chunks([(row, number) for row in range(len(prompts)) for number in longer], CONTINUED):
                rests = self._continued(hidden, pairs, answers)
                total[[row for row, _ in pairs], [number for _, number in pairs]] += rests
            return np.asarray(total.numpy(), dtype=np.float32)

    def generate(self, prompts: Sequence[Sequence[int]], max_tokens: int) -> list[str]:
        """Greedily, until the end of the turn or so many tokens."""
        import torch

        ids, mask = _padded(prompts, "left", self.end)
        with torch.inference_mode():
            out = self.module.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=max_tokens, do_sample=False, pad_token_id=self.end
            )
        return [self.tokenizer.decode(row[ids.shape[1] :], skip_special_tokens=True).strip() for row in out]

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """Unit vectors, float32 (len(texts), width): the mean of the last hidden states."""
        import torch

        out = np.zeros((len(texts), self.width), dtype=np.float32)
        tokens = [self.tokenizer.encode(text)[: self.max_length] or [self.end] for text in texts]
        for rows in _chunks(sorted(range(len(texts)), key=lambda row: len(tokens[row])), BATCH):
            ids, mask = _padded([tokens[row] for row in rows], "right", self.end)
            with torch.inference_mode():
                hidden = self.module.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
                mean = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
                out[rows] = torch.nn.functional.normalize(mean, dim=-1).numpy()
            if step is not None:
                step(min(len(texts), rows[-1] + 1), len(texts))
        return out

    def _chat(self, instructions: str, question: str) -> list[int]:
        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": question}]
        if self.tokenizer.chat_template is None:
            return list(self.tokenizer.encode(f"{instructions}\n\n{question}\n"))
        text = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _read(self, prompts: Sequence[Sequence[int]], side: Side) -> _Read:
        import torch

        ids, mask = _padded(prompts, side, self.end)
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        lengths = mask.sum(1)
        last = lengths - 1 if side == "right" else torch.full_like(lengths, ids.shape[1] - 1)
        out = self.module.model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=True)
        logits = self.module.lm_head(out.last_hidden_state[torch.arange(len(prompts)), last])
        return _Read(logits, out.past_key_values, mask, lengths)

    def _continued(self, read: _Read, pairs: Sequence[tuple[int, int]], answers: Sequence[Sequence[int]]) -> Any:
        """Sums over the second and later tokens of the answers of these (prompt, answer) pairs."""
        import torch
        from transformers import DynamicCache

        rows = torch.tensor([row for row, _ in pairs])
        cache: Any = DynamicCache()
        for number, layer in enumerate(read.cache.layers):
            cache.update(layer.keys.index_select(0, rows), layer.values.index_select(0, rows), number)
        given, given_mask = _padded([answers[number][:-1] for _, number in pairs], "right", self.end)
        positions = read.lengths[rows].unsqueeze(1) + torch.arange(given.shape[1]).unsqueeze(0)
        out = self.module(
            input_ids=given,
            attention_mask=torch.cat([read.mask[rows], given_mask], dim=1),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        wanted, wanted_mask = _padded([answers[number][1:] for _, number in pairs], "right", self.end)
        said = out.logits.float().log_softmax(-1).gather(2, wanted.unsqueeze(-1)).squeeze(-1)
        return (said * wanted_mask).sum(1)


class _Read:
    """Prompts that were read: the logits of what follows, their keys and values, which of their places are padding."""

    def __init__(self, logits: Any, cache: Any, mask: Any, lengths: Any) -> None:
        self.logits, self.cache, self.mask, self.lengths = logits, cache, mask, lengths


class CausalModel:
    """A published bundle of this family, loaded. See families/family.py, Model."""

    def __init__(self, base: CausalBase, instructions: str, texts: Mapping[str, str], manifest: Manifest, folder: Path):
        self.base = base
        self.manifest = manifest
        self.folder = folder
        self._instructions = instructions
        self._answers = [base.answer(texts.get(label, label)) for label in manifest.labels]
        self._one = Lock()

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, threads: int = 0) -> Self:
        """See family.Family.open."""
        named = manifest.of_base
        base = CausalBase(resolve(named), manifest.max_length, named.dtype, threads)
        if (folder / "adapter_model.safetensors").exists():
            base.module = _merged(base.module, folder)
        file = folder / PROMPT
        try:
            prompt = json.loads(file.read_text("utf-8"))
            instructions, texts = str(prompt["instructions"]), {str(k): str(v) for k, v in prompt["texts"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"{file} holds no instructions with texts ({error}); publish it again") from None
        return cls(base, instructions, texts, manifest, folder)

    @property
    def labels(self) -> tuple[str, ...]:
        """See Model."""
        return self.manifest.labels

    def log_probabilities(self, texts: Sequence[str], batch: int = BATCH, side: Side = "left") -> Floats:
        """See Model. batch, side: how many prompts are read at once, and where the shorter ones are padded."""
        out = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        prompts = [self.base.prompt(self._instructions, text) for text in texts]
        with self._one:
            for rows in _chunks(sorted(range(len(texts)), key=lambda row: len(prompts[row])), batch):
                out[rows] = self.base.log_probabilities([prompts[row] for row in rows], self._answers, side)
        most = out.max(axis=1, keepdims=True) if len(texts) else out
        total: Floats = (out - most - np.log(np.exp(out - most).sum(axis=1, keepdims=True))).astype(np.float32)
        return total

    def score(self, texts: Sequence[str]) -> Floats:
        """See Model."""
        probabilities: Floats = np.exp(self.log_probabilities(texts))
        return probabilities

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """See Model."""
        return [len(self.base.prompt(self._instructions, text)) for text in texts]

    def generate(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """See Model."""
        with self._one:
            return self.base.generate([self.base.prompt(self._instructions, text) for text in texts], max_tokens)

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """See Model."""
        with self._one:
            return self.base.embed(texts, step)


def write_prompt(folder: Path, instructions: str, texts: Mapping[str, str]) -> None:
    """What a bundle of this family asks. texts: what is answered for a label, by label."""
    content = {"instructions": instructions, "texts": dict(texts)}
    (folder / PROMPT).write_text(json.dumps(content, indent=1, sort_keys=True), "utf-8")


open = CausalModel.open


def _padded(rows: Sequence[Sequence[int]], side: Side, filler: int) -> tuple[Any, Any]:
    """Ids and mask, both (rows, longest)."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), filler, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), longest) if side == "left" else slice(0, len(row))
        ids[number, place] = torch.tensor(row, dtype=torch.long)
        mask[number, place] = 1
    return ids, mask


def _chunks(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _merged(module: Any, folder: Path) -> Any:
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(module, str(folder), local_files_only=True).merge_and_unload()
    except (ValueError, RuntimeError, OSError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ArtifactError(f"the adapter in {folder} does not fit its base: {why}") from None
