"""Classification on top of any engine: by label scores where it has them, else by the label that its text names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from serving.engines.engine import Answer, Capability, Engine, Final, Message, Request, Sampling, final_of

MAX_TOKENS = 32
"""Of an answer that names a label."""
_DRESSING = " \t\r\n\"'`*.,:;!"


class Choice:
    """The labels that a task chooses from.

    names: the labels' texts, which a model that writes text reads and answers with, by their ids
    otherwise: the label of an answer that names none; empty for none
    """

    def __init__(self, names: Mapping[str, str], describe: Mapping[str, str], otherwise: str = "") -> None:
        self.labels = tuple(names)
        self.otherwise = otherwise if otherwise in names else ""
        self.instruction = instruction(names, describe)
        self._named = {_plain(said): label for label, text in names.items() for said in (text, label)}

    def named(self, text: str) -> str | None:
        """The label that a model's text is, however it is dressed up; None for none."""
        return self._named.get(_plain(text))


async def classify(engine: Engine, text: str, choice: Choice, deadline: float | None = None) -> Answer:
    """Which label a text has; the text itself is the last user message, verbatim. Raises EngineFailed."""
    question = Message("user", text)
    if Capability.LABEL_SCORES in engine.capabilities:
        # A version scores the labels that it was trained on, whatever the plan has come to say since.
        labels = engine.labels or choice.labels
        final = await final_of(engine, Request((question,), labels=labels, deadline=deadline))
        return _answer(final, max(final.scores, key=final.scores.__getitem__), recognised=True)
    final = await final_of(
        engine,
        Request(
            (Message("system", choice.instruction), question),
            Sampling(temperature=0, max_tokens=MAX_TOKENS),
            deadline=deadline,
        ),
    )
    label = choice.named(final.text)
    return _answer(final, choice.otherwise if label is None else label, recognised=label is not None)


def instruction(names: Mapping[str, str], describe: Mapping[str, str]) -> str:
    """The system message: what the labels stand for, and that the answer is one of them and nothing else."""
    lines = [f"- {text}: {describe[label]}" if label in describe else f"- {text}" for label, text in names.items()]
    return "\n".join(
        [
            "You send each question to the one expert who answers it. The experts:",
            *lines,
            "Answer with one name of this list, exactly as written, and nothing else.",
        ]
    )


def _answer(final: Final, label: str, recognised: bool) -> Answer:
    return Answer(
        label=label,
        first_token_ms=final.first_token_ms,
        output=final.text,
        scores=final.scores,
        tokens_in=final.tokens_in,
        tokens_out=final.tokens_out,
        cost=final.cost,
        recognised=recognised,
    )


def _plain(text: str) -> str:
    """As models dress a name up: case, quotes, a full stop, spaces or dashes for underscores."""
    return re.sub(r"[\s-]+", "_", text.strip(_DRESSING).lower())
