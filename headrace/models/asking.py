"""How a bundle of a causal model asks: its prompts and conversations as token ids, whoever has the weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from headrace.errors import ArtifactError
from headrace.models.causal_base import CausalBase
from headrace.models.prompt import Examples, Prompt, read_examples, read_prompt


class Asking:
    """A bundle's prompt, examples and answers.

    base: of which the tokenizer and the number of tokens that it reads are used, never the weights
    answers: token ids of each label's answer, in the order of the labels
    """

    def __init__(self, base: CausalBase, prompt: Prompt, examples: Examples | None, labels: Sequence[str]) -> None:
        base.check_room(prompt.instructions)
        self.base = base
        self.answers = prompt.answers(base, labels)
        self._prompt = prompt
        self._examples = examples

    @classmethod
    def read(cls, folder: Path, base: CausalBase, labels: Sequence[str]) -> Self:
        """Of a bundle's folder. Raises ArtifactError."""
        return cls(base, read_prompt(folder), read_examples(folder), labels)

    def prompts(self, texts: Sequence[str]) -> list[list[int]]:
        """Of each question, up to where its answer begins."""
        shown = self._examples.nearest(texts, self._prompt) if self._examples else [[] for _ in texts]
        instructions = self._prompt.instructions
        return [self.base.prompt(instructions, text, near) for text, near in zip(texts, shown, strict=True)]

    def conversation(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Of messages of (role, content); the bundle's instructions come first, unless these have their own.

        Raises ArtifactError for a conversation that is longer than the base reads.
        """
        if not any(role == "system" for role, _ in messages):
            messages = [("system", self._prompt.instructions), *messages]
        found = self.base.conversation(messages)
        if len(found) > self.base.room:
            raise ArtifactError(f"the conversation has {len(found)} tokens, and the model reads {self.base.room}")
        return found
