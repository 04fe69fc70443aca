"""A causal base and its tokenizer: conversations to token ids, and what the base makes of them.

A prompt may begin with virtual tokens: vectors that were tuned (P-tuning) and stand where embeddings of tokens would.
How rows are batched and on which side they are padded changes nothing: positions count from each row's own first token.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from threading import Lock
from typing import Any, Self

from headrace.errors import ArtifactError
from headrace.models.control_tokens import control_tokens, decode
from headrace.models.family import Step, Unsupported
from headrace.models.tensors import Floats, Side, by_length, padded

# Sequences whose labels are read at once; each holds a copy of its prompt's keys and values.
CONTINUED = 64
_CHARS = 16
"""Of a question, for each token that is read of it: texts have more tokens than one in eight characters."""

Example = tuple[str, str]
"""A question and its answer, shown before the question that is asked."""


class CausalBase:
    """A base and its tokenizer.

    module: transformers' model, for whoever tunes it
    max_length: tokens of a prompt; a prompt that is longer loses examples first, then the question's end, never the
        instructions
    soft: virtual tokens before every prompt, a torch tensor (tokens, width); None: there are none
    one: held for each pass through the module
    """

    def __init__(self, module: Any, tokenizer: Any, max_length: int) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.soft: Any = None
        self.one = Lock()
        self.end = int(tokenizer.eos_token_id)
        self._control = control_tokens(tokenizer)

    @classmethod
    def load(cls, folder: Path, max_length: int, dtype: str = "float32", threads: int = 0) -> Self:
        """Of a folder in Hugging Face's layout; 0 threads leaves torch's choice. Raises ArtifactError."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if threads:
            torch.set_num_threads(threads)
        where: dict[str, Any] = {"pretrained_model_name_or_path": str(folder), "local_files_only": True}
        try:
            tokenizer = AutoTokenizer.from_pretrained(**where)
            module = AutoModelForCausalLM.from_pretrained(**where, dtype=getattr(torch, dtype)).eval()
        except (OSError, ValueError, KeyError) as error:
            raise ArtifactError(f"{folder} holds no causal model: {' '.join(str(error).split())[:200]}") from None
        return cls(module, tokenizer, max_length)

    @classmethod
    def reading(cls, folder: Path, max_length: int) -> Self:
        """The tokenizer of such a folder alone, without weights: for prompts that another process reads.

        Raises ArtifactError.
        """
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise ArtifactError(f"{folder} holds no tokenizer: {' '.join(str(error).split())[:200]}") from None
        return cls(None, tokenizer, max_length)

    def shared(self, max_length: int) -> CausalBase:
        """The same module and tokenizer, for a bundle that reads prompts of another length."""
        found = copy(self)
        found.max_length = max_length
        return found

    @property
    def width(self) -> int:
        """Of its hidden states."""
        return int(self.module.config.hidden_size)

    @property
    def room(self) -> int:
        """Tokens that a prompt may have beside the virtual ones."""
        return self.max_length - (0 if self.soft is None else len(self.soft))

    def conversation(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Token ids of messages of (role, content), up to where the answer begins. Raises ArtifactError.

        A control token's text in a content is read as a blank: whoever asks cannot end a turn and begin another.
        """
        if self.tokenizer.chat_template is None:
            raise ArtifactError("the base has no chat template, so that it cannot read a conversation")
        spoken = [{"role": role, "content": self._control.sub(" ", content)} for role, content in messages]
        text = self.tokenizer.apply_chat_template(spoken, add_generation_prompt=True, tokenize=False)
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def prompt(self, instructions: str, question: str, examples: Sequence[Example] = ()) -> list[int]:
        """Token ids up to where the answer begins. examples: in the order in which they are shown."""
        question = self._beginning(question)
        whole = self._chat(instructions, question, examples)
        while examples and len(whole) > self.room:
            examples = examples[1:]
            whole = self._chat(instructions, question, examples)
        if len(whole) > self.room:
            kept = self.tokenizer.encode(self._control.sub(" ", question), add_special_tokens=False)
            # Half a character at the end may take more tokens than it had.
            while kept and (excess := len(whole) - self.room) > 0:
                kept = kept[: max(0, len(kept) - excess)]
                whole = self._chat(instructions, decode(self.tokenizer, kept))
        return whole

    def _beginning(self, question: str) -> str:
        """As much of a long question as can be read: all of 64 KiB, for each prompt that is tried, takes a second.

        Twice the room, so that the word in which it ends is never read.
        """
        head = question[: self.room * _CHARS]
        if len(head) == len(question):
            return question
        tokens = self.tokenizer.encode(head, add_special_tokens=False)
        return head if len(tokens) > 2 * self.room else question

    def check_room(self, instructions: str) -> None:
        """Raises Unsupported where the instructions leave no room for a question."""
        taken = len(self._chat(instructions, ""))
        if taken >= self.room:
            raise Unsupported(
                f"the instructions alone have {taken} tokens, and the model reads {self.room};"
                " shorten the labels' descriptions, or take a base that reads more"
            )

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer, with the end of the turn: a text that begins another is told from it."""
        return [*self.tokenizer.encode(self._control.sub(" ", text), add_special_tokens=False), self.end]

    def inputs(self, rows: Sequence[Sequence[int]], side: Side) -> tuple[dict[str, Any], Any]:
        """The keywords of a pass over rows of token ids, virtual tokens before each; and the mask of what is read."""
        import torch

        place = self.module.device
        soft = self.soft
        whole = rows if soft is None else [[self.end] * len(soft) + list(row) for row in rows]
        ids, mask = (tensor.to(place) for tensor in padded(whole, self.end, side))
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        words: dict[str, Any] = {"input_ids": ids}
        if soft is not None:
            virtual = (positions < len(soft)) & (mask == 1)
            embedded = self.module.get_input_embeddings()(ids)
            placed = soft.to(place, embedded.dtype)[positions.clamp(max=len(soft) - 1)]
            words = {"inputs_embeds": torch.where(virtual.unsqueeze(-1), placed, embedded)}
        return words | {"attention_mask": mask, "position_ids": positions}, mask

    def learned(self, rows: Sequence[Sequence[int]]) -> tuple[dict[str, Any], Any]:
        """The same, of rows that a gradient is taken of, which reaches `soft` too.

        They are filled up on the right, where nothing that is read sees the filling, and so they need no mask:
        attention without one is faster.
        """
        words, mask = self.inputs(rows, "right")
        return {name: words[name] for name in ("input_ids", "inputs_embeds") if name in words}, mask

    def losses(self, rows: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Of answers after their prompts, token ids of both: torch tensors (len(rows),), which a gradient may follow.

        The sum of -log probability over the answer's tokens, and how many they are. An answer that goes beyond what the
        base reads loses its end.
        """
        import torch

        answers = [answer[: self.room - len(row)] for row, answer in zip(rows, answers, strict=True)]
        words, mask = self.learned([[*row, *answer] for row, answer in zip(rows, answers, strict=True)])
        virtual = 0 if self.soft is None else len(self.soft)
        first = virtual + min(len(row) for row in rows)
        # A token is said at the place before it; of what lies before every answer no logits are computed.
        places = torch.arange(first - 1, mask.shape[1] - 1, device=mask.device)
        logits = self.module(**words, use_cache=False, logits_to_keep=places).logits.float()
        wanted = torch.full((len(rows), len(places)), -100, device=logits.device)
        for number, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            start = virtual + len(row) - first
            wanted[number, start : start + len(answer)] = torch.tensor(answer, device=logits.device)
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), wanted, reduction="none")
        return losses.sum(1), (wanted != -100).sum(1)

    def log_probabilities(
        self, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], side: Side = "left"
    ) -> Floats:
        """Float32 (len(prompts), len(answers)): of each answer after each prompt, the sum over its tokens.

        The prompt is read once for all answers; of those that begin alike only the rest is read again.
        """
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

        with torch.inference_mode():
            words, mask = self.inputs(prompts, "left")
            del words["position_ids"]
            out = self.module.generate(**words, max_new_tokens=max_tokens, do_sample=False, pad_token_id=self.end)
        # Of embeddings transformers gives back the answer alone.
        begins = mask.shape[1] if "input_ids" in words else 0
        return [decode(self.tokenizer, row[begins:]).strip() for row in out]

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

    def _chat(self, instructions: str, question: str, examples: Sequence[Example] = ()) -> list[int]:
        if self.tokenizer.chat_template is None:
            shown = "".join(f"{asked}\n{answer}\n\n" for asked, answer in examples)
            text = self._control.sub(" ", f"{instructions}\n\n{shown}{question}\n")
            return list(self.tokenizer.encode(text))
        turns = [turn for asked, answer in examples for turn in (("user", asked), ("assistant", answer))]
        return self.conversation([("system", instructions), *turns, ("user", question)])

    def _read(self, prompts: Sequence[Sequence[int]], side: Side) -> _Read:
        import torch

        words, mask = self.inputs(prompts, side)
        lengths = mask.sum(1)
        last = lengths - 1 if side == "right" else torch.full_like(lengths, mask.shape[1] - 1)
        out = self.module.model(**words, use_cache=True)
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
