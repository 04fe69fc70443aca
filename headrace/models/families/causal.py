"""Causal language models: any Llama-like one. Labels are scored by the probability of their text after the prompt.

    question → chat template with the task's instructions → prompt
    label    → its text and the end of the turn, any number of tokens
    score    = sum of the log-probabilities of the label's tokens after the prompt, normalised over the labels

The prompt is read once for all labels; of labels that begin alike only what follows the first token is read again. How
rows are batched and on which side they are padded changes nothing: positions count from each row's own first token.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from threading import Lock
from typing import Any, Self

from headrace.errors import ArtifactError
from headrace.models.bases import Base, device, resolve
from headrace.models.bundle import PROMPT, Kind, Manifest
from headrace.models.control_tokens import control_tokens, decode
from headrace.models.family import LabelSet, Model, Step, Unsupported
from headrace.models.generation import Generation, Sampling, never
from headrace.models.scoring import Scoring
from headrace.models.tensors import BATCH, Floats, Side, by_length, log_softmax, merged, padded, write_adapter

CAN = frozenset({"gradient"})
DTYPES = ("float32", "bfloat16", "float16")
# Sequences whose labels are read at once; each holds a copy of its prompt's keys and values.
CONTINUED = 64


class CausalBase:
    """A base and its tokenizer.

    module: transformers' model, for whoever tunes it
    max_length: tokens of a prompt; longer questions lose their end, never the instructions
    one: held for each pass through the module
    """

    def __init__(self, folder: Path, max_length: int, dtype: str = "float32", threads: int = 0) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if threads:
            torch.set_num_threads(threads)
        self.max_length = max_length
        self.one = Lock()
        where = {"pretrained_model_name_or_path": str(folder), "local_files_only": True}
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(**where)
            self.module: Any = AutoModelForCausalLM.from_pretrained(**where, dtype=getattr(torch, dtype)).eval()
        except (OSError, ValueError, KeyError) as error:
            raise ArtifactError(f"{folder} holds no causal model: {' '.join(str(error).split())[:200]}") from None
        self.end = int(self.tokenizer.eos_token_id)
        self._control = control_tokens(self.tokenizer)

    def shared(self, max_length: int) -> CausalBase:
        """The same module and tokenizer, for a bundle that reads prompts of another length."""
        found = copy(self)
        found.max_length = max_length
        return found

    @property
    def width(self) -> int:
        """Of its hidden states."""
        return int(self.module.config.hidden_size)

    def conversation(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Token ids of messages of (role, content), up to where the answer begins. Raises ArtifactError.

        A control token's text in a content is read as a blank: whoever asks cannot end a turn and begin another.
        """
        if self.tokenizer.chat_template is None:
            raise ArtifactError("the base has no chat template, so that it cannot read a conversation")
        spoken = [{"role": role, "content": self._control.sub(" ", content)} for role, content in messages]
        text = self.tokenizer.apply_chat_template(spoken, add_generation_prompt=True, tokenize=False)
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def prompt(self, instructions: str, question: str) -> list[int]:
        """Token ids up to where the answer begins."""
        whole = self._chat(instructions, question)
        if len(whole) > self.max_length:
            kept = self.tokenizer.encode(self._control.sub(" ", question), add_special_tokens=False)
            # Half a character at the end may take more tokens than it had.
            while kept and (excess := len(whole) - self.max_length) > 0:
                kept = kept[: max(0, len(kept) - excess)]
                whole = self._chat(instructions, decode(self.tokenizer, kept))
        return whole

    def check_room(self, instructions: str) -> None:
        """Raises ArtifactError where the instructions leave no room for a question."""
        taken = len(self._chat(instructions, ""))
        if taken >= self.max_length:
            raise ArtifactError(
                f"the instructions alone have {taken} tokens, and the model reads {self.max_length};"
                " shorten the labels' descriptions, or take a base that reads more"
            )

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer, with the end of the turn: a label that begins another is told from it."""
        return [*self.tokenizer.encode(text, add_special_tokens=False), self.end]

    def log_probabilities(
        self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], side: Side = "left"
    ) -> Floats:
        """Float32 (len(prompts), len(answers)): of each answer after each prompt, the sum over its tokens."""
        import numpy as np
        import torch

        with torch.inference_mode():
            hidden = self._read(prompts, side)
            first = hidden.logits.float().log_softmax(-1)
            heads = torch.tensor([answer[0] for answer in answers])
            total = first[:, heads]
            longer = [number for number, answer in enumerate(answers) if len(answer) > 1]
            continued = [(row, number) for row in range(len(prompts)) for number in longer]
            for start in range(0, len(continued), CONTINUED):
                pairs = continued[start : start + CONTINUED]
                rests = self._continued(hidden, pairs, answers)
                total[[row for row, _ in pairs], [number for _, number in pairs]] += rests
            return np.asarray(total.numpy(), dtype=np.float32)

    def generate(self, prompts: Sequence[Sequence[int]], max_tokens: int) -> list[str]:
        """Greedily, until the end of the turn or so many tokens."""
        import torch

        ids, mask = padded(prompts, self.end, "left")
        with torch.inference_mode():
            out = self.module.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=max_tokens, do_sample=False, pad_token_id=self.end
            )
        return [decode(self.tokenizer, row[ids.shape[1] :]).strip() for row in out]

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """Unit vectors, float32 (len(texts), width): the mean of the last hidden states."""
        import numpy as np
        import torch

        out = np.zeros((len(texts), self.width), dtype=np.float32)
        tokens = [self.tokenizer.encode(text)[: self.max_length] or [self.end] for text in texts]
        done = 0
        for rows in by_length(tokens):
            ids, mask = padded([tokens[row] for row in rows], self.end)
            with torch.inference_mode():
                hidden = self.module.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
                mean = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
                out[rows] = torch.nn.functional.normalize(mean, dim=-1).numpy()
            done += len(rows)
            if step is not None:
                step(done, len(texts))
        return out

    def _chat(self, instructions: str, question: str) -> list[int]:
        if self.tokenizer.chat_template is None:
            return list(self.tokenizer.encode(self._control.sub(" ", f"{instructions}\n\n{question}\n")))
        return self.conversation([("system", instructions), ("user", question)])

    def _read(self, prompts: Sequence[Sequence[int]], side: Side) -> _Read:
        import torch

        ids, mask = padded(prompts, self.end, side)
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
        given, given_mask = padded([answers[number][:-1] for _, number in pairs], self.end)
        positions = read.lengths[rows].unsqueeze(1) + torch.arange(given.shape[1]).unsqueeze(0)
        out = self.module(
            input_ids=given,
            attention_mask=torch.cat([read.mask[rows], given_mask], dim=1),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        wanted, wanted_mask = padded([answers[number][1:] for _, number in pairs], self.end)
        said = out.logits.float().log_softmax(-1).gather(2, wanted.unsqueeze(-1)).squeeze(-1)
        return (said * wanted_mask).sum(1)


class _Read:
    """Prompts that were read: the logits of what follows, their keys and values, which of their places are padding."""

    def __init__(self, logits: Any, cache: Any, mask: Any, lengths: Any) -> None:
        self.logits, self.cache, self.mask, self.lengths = logits, cache, mask, lengths


class CausalModel(Model):
    """A published bundle of this family, loaded. See models/family.py, Model."""

    writes_text = True

    def __init__(self, base: CausalBase, instructions: str, texts: Mapping[str, str], manifest: Manifest, folder: Path):
        self.base = base
        self.manifest = manifest
        self.folder = folder
        self.scoring = Scoring.read(folder)
        self._instructions = instructions
        self._answers = [base.answer(texts.get(label, label)) for label in manifest.labels]

    @classmethod
    def open(cls, folder: Path, manifest: Manifest, threads: int = 0, base: CausalBase | None = None) -> Self:
        """See family.Family.open."""
        if manifest.of_kind == "full":
            # It has its own weights and tokenizer.
            base = CausalBase(folder, manifest.max_length, manifest.dtype, threads)
        elif base is None or not manifest.keeps_base:
            base = load_base(manifest.of_base, threads)
        base = base.shared(manifest.max_length)
        if (folder / "adapter_model.safetensors").exists():
            base.module = merged(base.module, folder)
        file = folder / PROMPT
        try:
            prompt = json.loads(file.read_text("utf-8"))
            instructions, texts = str(prompt["instructions"]), {str(k): str(v) for k, v in prompt["texts"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"{file} holds no instructions with texts ({error}); publish it again") from None
        base.check_room(instructions)
        return cls(base, instructions, texts, manifest, folder)

    def log_probabilities(self, texts: Sequence[str], batch: int = BATCH, side: Side = "left") -> Floats:
        """See Model. batch, side: how many prompts are read at once, and where the shorter ones are padded."""
        import numpy as np

        out = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        prompts = [self.base.prompt(self._instructions, text) for text in texts]
        with self.base.one:
            for rows in by_length(prompts, batch):
                out[rows] = self.base.log_probabilities([prompts[row] for row in rows], self._answers, side)
        return self.scoring.calibrated(log_softmax(out))

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """See Model."""
        return [len(self.base.prompt(self._instructions, text)) for text in texts]

    def generate(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """See Model."""
        with self.base.one:
            return self.base.generate([self.base.prompt(self._instructions, text) for text in texts], max_tokens)

    def stream(
        self, messages: Sequence[tuple[str, str]], sampling: Sampling, stopped: Callable[[], bool] = never
    ) -> Generation:
        """See Model. The bundle's instructions come first, unless the conversation has its own."""
        if not any(role == "system" for role, _ in messages):
            messages = [("system", self._instructions), *messages]
        prompt = self.base.conversation(messages)
        if len(prompt) > self.base.max_length:
            raise ArtifactError(
                f"the conversation has {len(prompt)} tokens, and the model reads {self.base.max_length}"
            )
        return Generation(self.base.module, self.base.tokenizer, prompt, sampling, self.base.one, stopped)

    def embed(self, texts: Sequence[str], step: Step | None = None) -> Floats:
        """See Model."""
        with self.base.one:
            return self.base.embed(texts, step)


def prompt_of(labels: LabelSet) -> str:
    """What a model is told that nobody wrote a prompt for."""
    listed = "\n".join(f"- {line}" for line in labels.lines())
    return f"Which of these does the question belong to? Answer with its name alone.\n{listed}"


def write_prompt(folder: Path, instructions: str, texts: Mapping[str, str]) -> None:
    """What a bundle of this family asks. texts: what is answered for a label, by label."""
    content = {"instructions": instructions, "texts": dict(texts)}
    (folder / PROMPT).write_text(json.dumps(content, indent=1, sort_keys=True), "utf-8")


class TunableCausal:
    """A causal model that is told which labels there are. See models/family.py, Tunable."""

    kind: Kind = "prompt"

    def __init__(self, base: Base, labels: LabelSet, threads: int = 0) -> None:
        self.base = CausalBase(resolve(base), base.max_length, base.dtype, threads)
        self.base.module.to(device())
        self._texts = {label: labels.texts[label] for label in labels.ids}
        self._answers = [self.base.answer(text) for text in self._texts.values()]
        self._instructions = prompt_of(labels)
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
        return {name: tensor for name, tensor in self.module.named_parameters() if tensor.requires_grad}

    def prepare(self, texts: Sequence[str]) -> Sequence[Sequence[int]]:
        return [self.base.prompt(self._instructions, text) for text in texts]

    def losses(self, rows: Sequence[Sequence[int]], truth: Sequence[int]) -> Any:
        """The answer's tokens alone are learned, the end of the turn among them; the prompt is not."""
        answers = [self._answers[label] for label in truth]
        whole = [[*row, *answer] for row, answer in zip(rows, answers, strict=True)]
        ids, mask = (tensor.to(self.module.device) for tensor in padded(whole, self.base.end))
        logits = self.module(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        said = logits.log_softmax(-1).gather(2, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
        learned = [[0] * len(row) + [1] * len(answer) for row, answer in zip(rows, answers, strict=True)]
        return -(said * padded(learned, 0)[0].to(said.device)[:, 1:]).sum(1)

    def set_head(self, weight: Floats, bias: Floats) -> None:
        raise Unsupported("a causal model takes no linear head")

    def save(self, folder: Path, kind: Kind) -> None:
        write_prompt(folder, self._instructions, self._texts)
        if kind == "adapter":
            write_adapter(self.module, folder)
        elif kind == "full":
            self.module.save_pretrained(str(folder))
            self.base.tokenizer.save_pretrained(str(folder))


open = CausalModel.open
tunable = TunableCausal


def embedded(base: Base, texts: Sequence[str], threads: int = 0, step: Step | None = None) -> Floats:
    """See models/family.py, Family."""
    return CausalBase(resolve(base), base.max_length, base.dtype, threads).embed(texts, step)


def load_base(base: Base, threads: int = 0) -> CausalBase:
    """See family.Family.load_base."""
    return CausalBase(resolve(base), base.max_length, base.dtype, threads)
