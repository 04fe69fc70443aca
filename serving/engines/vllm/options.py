"""Log-probabilities of labels by one prefill over option codes, also of more codes than one answer may hold.

A request allows the codes' tokens alone, so that vLLM gives each of them its log-probability among those. Of more than
PART codes each request has the first code besides its own: within a request, a code's log-probability less the first's
is the difference of their logits, whatever else is allowed, so that one softmax over these differences is exact. (Two
stages, first a group and then a code in it, would need groups' probabilities that the model was never trained to give.)
The prompt is the same in each request; all but the first find it in the prefix cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serving.engines.engine import EngineFailed

PART = 128
"""What vLLM must be started with as --max-logprobs."""


def parts(tokens: Sequence[int]) -> list[list[int]]:
    """The tokens of each request; of more than one the first token is in each."""
    if len(tokens) <= PART:
        return [list(tokens)]
    first, rest = tokens[0], tokens[1:]
    return [[first, *rest[start : start + PART - 1]] for start in range(0, len(rest), PART - 1)]


def body(model: str, prompt: Sequence[int], tokens: Sequence[int]) -> dict[str, Any]:
    """Of a request for the log-probabilities of these tokens after a prompt."""
    return {
        "model": model,
        "prompt": list(prompt),
        "max_tokens": 1,
        "temperature": 0,
        "repetition_penalty": 1.0,
        "allowed_token_ids": list(tokens),
        "logprobs": len(tokens),
        "return_tokens_as_token_ids": True,
    }


def read(url: str, answer: Mapping[str, Any], tokens: Sequence[int]) -> dict[int, float]:
    """By token, from an answer to such a request. Raises EngineFailed where one is missing."""
    try:
        told = answer["choices"][0]["logprobs"]["top_logprobs"][0]
        return {token: float(told[f"token_id:{token}"]) for token in tokens}
    except (KeyError, IndexError, TypeError, ValueError):
        raise EngineFailed(
            f"{url} does not give each label's log-probability; start vLLM with --max-logprobs {PART}"
            " --logprobs-mode processed_logprobs"
        ) from None


def joined(tokens: Sequence[int], found: Sequence[Mapping[int, float]]) -> list[float]:
    """For each token its logit less the first token's, from the parts."""
    first = tokens[0]
    relative = {token: part[token] - part[first] for part in found for token in part}
    return [relative[token] for token in tokens]
