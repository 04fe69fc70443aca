"""The plan's models: pre-trained bases, and what to make of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from headrace.plan.section import Positive, Section, Word


class BaseSpec(Section):
    """A pre-trained model that candidates are made of."""

    family: Word
    """How it is loaded and asked: encoder, causal, or a family of another package (headrace/kinds.py)."""
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
    """One model to try: a base and a method of tuning it, whose own keys stand beside these."""

    # Which those are is the method's to say: headrace.plan.methods looks at them.
    model_config = ConfigDict(extra="allow")

    base: Word = "minilm-l6"
    """A model: one of [bases], minilm-l6 (an encoder), smollm2-135m-q4 (a causal model), words (without weights), or
    chain (other candidates)."""
    method: Word
    """How it is tuned: untuned, tfidf, probe, few_shot, p_tuning, lora, full, distil, chain, or one of another
    package."""
    usd_per_hour: Positive = 0.05
    """Price of the machine that serves it, which is always on (headrace/costs.py)."""
    engine: Word | Literal[""] = ""
    """One of [engines], on which it answers; empty: the task's."""
    quantize: Literal["", "int8"] = ""
    """int8: a tuned encoder's weights become numbers of eight bits before it is evaluated; it is judged as such."""

    @property
    def options(self) -> dict[str, Any]:
        """The method's own keys, as the plan has them."""
        return dict(self.model_extra or {})
