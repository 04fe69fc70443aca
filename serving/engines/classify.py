"""Classification on top of any engine: by label scores where it has them, else by the label that its text names."""

from __future__ import annotations

from headrace.contract.choice import Choice
from serving.engines.engine import Answer, Capability, Engine, Final, Message, Request, Sampling, final_of


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
            Sampling(temperature=0, max_tokens=choice.max_tokens),
            deadline=deadline,
        ),
    )
    label = choice.named(final.text)
    return _answer(final, choice.otherwise if label is None else label, recognised=label is not None)


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
        extra=final.extra,
    )
