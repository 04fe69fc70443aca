"""The plan's models: pre-trained bases, and what to make of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from headrace.plan.section import Positive, Section, Word

LEARNING_RATES = {"lora": 1e-3, "full": 1e-4}


class BaseSpec(Section):
    """A pre-trained model that candidates are made of."""

    family: Literal["encoder", "causal"]
    """How it is loaded and asked: a file of headrace/models/families."""
    source: Annotated[str, Field(min_length=1, max_length=1000)]
    """A folder, `hub:ORG/MODEL` as it lies in this machine's hub cache, or `wheel:PACKAGE`; nothing is fetched."""
    revision: Annotated[str, Field(max_length=200)] = ""
    """Of a hub's model: a commit."""
    digest: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """SHA-256 of its files as `headrace plan check` prints it; another one is refused. Empty: not checked."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    max_length: Annotated[int, Field(ge=8, le=1_000_000)] = 512
    """Tokens that it reads; longer texts are cut."""
    licence: Annotated[str, Field(max_length=200)] = ""
    """An SPDX identifier, for the model card."""


class CandidateSpec(Section):
    """One model to try: a base and a way of tuning it."""

    base: Word = "minilm-l6"
    """A pre-trained model: one of [bases], minilm-l6 (an encoder) or smollm2-135m-q4 (a causal model)."""
    method: Literal["untuned", "probe", "lora", "full"]
    epochs: Annotated[int, Field(ge=1, le=100)] = 6
    learning_rate: Positive | None = None
    """The optimizer's greatest; left out: the method's own, 1e-3 for LoRA and 1e-4 for full."""
    rank: Annotated[int, Field(ge=1, le=512)] = 16
    batch: Annotated[int, Field(ge=1, le=4096)] = 16
    usd_per_hour: Positive = 0.05
    """Price of the machine that serves it, for cost per request = seconds busy x price."""
    engine: Word | Literal[""] = ""
    """One of [engines], on which it answers; empty: the task's."""

    @property
    def rate(self) -> float:
        """The learning rate, the plan's or the method's."""
        return self.learning_rate or LEARNING_RATES.get(self.method, 1e-3)
