"""Questions of any length: what a version reads of them, and that nobody else's wait while it does."""

from __future__ import annotations

import random
from typing import Any

from bundles import LABELS

from headrace.contract.choice import Choice
from headrace.contract.texts import MAX_TEXT, shortened
from headrace.models.bases import base_of, resolve
from headrace.models.tokenizer import CHARS, token_ids, tokenizer_of
from serving.engines.classify import classify
from serving.engines.engine import Capability, Final, Request

CHOICE = Choice({label: label for label in LABELS}, {})
LONG = "My VPN is down. " * 10_000


class Reader:
    """An engine that keeps what it was asked."""

    labels = LABELS

    def __init__(self, *capabilities: Capability) -> None:
        self.capabilities = frozenset(capabilities)
        self.read: list[str] = []

    async def run(self, request: Request) -> Any:
        self.read.append(request.messages[-1].content)
        yield Final(text="it", scores=dict.fromkeys(request.labels, 0.2))

    async def close(self) -> None: ...


async def test_a_version_reads_of_a_long_question_what_its_event_has() -> None:
    """As the next version learns it. An incumbent that writes reads all of it."""
    scores, writes = Reader(Capability.LABEL_SCORES), Reader(Capability.TEXT)
    for text, read in ((LONG, shortened(LONG)), ("My VPN", "My VPN"), ("x" * MAX_TEXT, "x" * MAX_TEXT)):
        await classify(scores, text, CHOICE)
        await classify(writes, text, CHOICE)
        assert (scores.read[-1], writes.read[-1]) == (read, text)


class Counting:
    """A tokenizer, and how many characters it was given at once."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.most = 0

    def encode(self, text: str) -> Any:
        self.most = max(self.most, len(text))
        return self._tokenizer.encode(text)

    def encode_batch(self, texts: list[str]) -> Any:
        self.most = max(self.most, *map(len, texts))
        return self._tokenizer.encode_batch(texts)


def test_the_beginning_of_a_text_gives_the_tokens_of_all_of_it() -> None:
    """Also where it ends in a word, and where all of it is one; of ordinary texts no more than that is encoded."""
    tokenizer, chosen = tokenizer_of(resolve(base_of("minilm-l6")), 16), random.Random(1)
    units = ["my vpn is down ", "a", "网", "\u0301", " ", "x" * 300 + " ", "é", "a.b/c?d=e ", "\n\n", "😀", "[SEP]"]
    times = [1, 3, 50, 400, 16 * CHARS - 1, 16 * CHARS]
    texts = ["".join(chosen.choice(units) * chosen.choice(times) for _ in range(3))[:4000] for _ in range(200)]
    assert token_ids(tokenizer, texts, 16) == [tokenizer.encode(text).ids for text in texts]
    counting: Any = Counting(tokenizer)
    for text in (LONG, "网" * 60_000):
        token_ids(counting, [text, "short"], 16)
    assert counting.most == 16 * CHARS
