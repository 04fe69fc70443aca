"""Text token by token: sampling, stop texts, and an end at any token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from headrace.models.control_tokens import decode

DEFAULT_TOKENS = 256
"""Where nobody says how many."""
_UNFINISHED = "\ufffd"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn.

    temperature: 0 takes the likeliest; top_p: of the likeliest tokens that together have this probability
    stop: the text ends before the first of these; seed: the same one draws the same text; None: another every time
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = DEFAULT_TOKENS
    stop: tuple[str, ...] = ()
    seed: int | None = None


class Generation:
    """One answer, being written: iterate over its pieces of text; what is not asked for is not computed.

    module, tokenizer: transformers'; prompt: token ids; one: held for each pass through the module
    stopped: asked before each pass, which is not made where it says yes
    begin: keywords of the first pass, where virtual tokens stand before the prompt; None: the prompt's ids alone
    tokens_in, tokens_out: so far; finish_reason: at the end, `stop` or `length`
    """

    def __init__(
        self,
        module: Any,
        tokenizer: Any,
        prompt: Sequence[int],
        sampling: Sampling,
        one: AbstractContextManager[Any],
        stopped: Callable[[], bool],
        begin: Mapping[str, Any] | None = None,
    ) -> None:
        self.tokens_in = len(prompt)
        self.tokens_out = 0
        self.finish_reason: Literal["stop", "length"] = "length"
        self._module = module
        self._tokenizer = tokenizer
        self._prompt = prompt
        self._sampling = sampling
        self._one = one
        self._stopped = stopped
        self._begin = begin

    def __iter__(self) -> Iterator[str]:
        told, text = 0, ""
        for text, whole in self._texts():
            found = [at for stop in self._sampling.stop if (at := text.find(stop)) >= 0]
            if found:
                self.finish_reason = "stop"
                text = text[: min(found)]
                break
            # What may turn out to be the beginning of a stop text waits, and so does half a character.
            sure = len(text) - _begun(text, self._sampling.stop) if whole else told
            if sure > told:
                yield text[told:sure]
                told = sure
        if len(text) > told:
            yield text[told:]

    def _texts(self) -> Iterator[tuple[str, bool]]:
        """The text so far after each token, and whether its last character is whole.

        A token's text depends on the tokens before it (blanks between words, bytes of one character), so it is decoded
        after those of the last piece: `known` of `ids` gave that piece, whose own text is `last`.
        """
        ids, known = list[int](), 0
        settled = last = ""
        for token in self._tokens():
            ids.append(token)
            decoded = decode(self._tokenizer, ids)
            text, whole = settled + decoded[len(last) :], not decoded.endswith(_UNFINISHED)
            yield text, whole
            if whole and len(text) > len(settled):
                ids, settled = ids[known:], text
                known, last = len(ids), decode(self._tokenizer, ids)
            elif whole and settled:
                ids.pop()  # a control token, which has no text

    def _tokens(self) -> Iterator[int]:
        import torch

        draw = torch.Generator()
        if self._sampling.seed is not None:
            draw.manual_seed(self._sampling.seed)
        else:
            draw.seed()
        ends = _ends(self._module, self._tokenizer)
        given: Mapping[str, Any] = self._begin or {"input_ids": torch.tensor([list(self._prompt)])}
        cache = None
        # Beyond its last position a model writes nonsense.
        room = getattr(self._module.config, "max_position_embeddings", None) or 1 << 30
        for _ in range(min(self._sampling.max_tokens, room - len(self._prompt))):
            if self._stopped():
                return
            with self._one, torch.inference_mode():
                out = self._module(**given, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = out.past_key_values
            token = self._drawn(out.logits[0, -1].float(), draw)
            self.tokens_out += 1
            if token in ends:
                self.finish_reason = "stop"
                return
            yield token
            given = {"input_ids": torch.tensor([[token]])}

    def _drawn(self, logits: Any, draw: Any) -> int:
        import torch

        if self._sampling.temperature <= 0:
            return int(logits.argmax())
        likely, tokens = (logits / self._sampling.temperature).softmax(-1).sort(descending=True)
        # Each token before which less than top_p has been given out: the likeliest is always among them.
        kept = likely * (likely.cumsum(-1) - likely < max(self._sampling.top_p, 1e-9))
        return int(tokens[torch.multinomial(kept, 1, generator=draw)])


def never() -> bool:
    """For a generation that nobody stops."""
    return False


def _begun(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of the text may be the beginning of a stop text."""
    most = max((len(stop) - 1 for stop in stops), default=0)
    for length in range(min(most, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return length
    return 0


def _ends(module: Any, tokenizer: Any) -> set[int]:
    config = getattr(module, "generation_config", None)
    named = getattr(config, "eos_token_id", None)
    listed = named if isinstance(named, list) else [named]
    return {int(token) for token in [*listed, tokenizer.eos_token_id] if token is not None}
