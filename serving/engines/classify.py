"""Classification on top of any engine: by label scores where it has them, else by the label that its text names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from headrace.contract.choice import Choice
from headrace.contract.completions import CUT, answer_in
from headrace.contract.texts import MAX_TEXT, carried, shortened
from serving.engines.engine import (
    Answer,
    Capability,
    Engine,
    EngineFailed,
    Final,
    Message,
    Request,
    Sampling,
    UnsupportedRequest,
    final_of,
)


async def classify(
    engine: Engine,
    text: str,
    choice: Choice,
    deadline: float | None = None,
    caller: str = "",
    parts: tuple[Mapping[str, Any], ...] = (),
) -> Answer:
    """Which label a text has; the text itself is the last user message, verbatim, and shortened as in its event where
    an engine scores labels.

    An answer that names no label is one without a label, and not recognised. Raises EngineFailed, also for an answer
    that is cut off.

    parts: the question's, where images are among them; an engine that takes none reads the text alone
    """
    if Capability.IMAGES not in engine.capabilities:
        parts = ()
        if not text:
            raise UnsupportedRequest("the question has no text, and this version reads texts alone")
    if Capability.LABEL_SCORES in engine.capabilities and len(text) > MAX_TEXT:
        # What the event has and the next version learns from; tens of MiB would be tokenized for minutes.
        text = shortened(carried(text))
    question = Message("user", text, parts=parts)
    if Capability.LABEL_SCORES in engine.capabilities:
        # A version scores the labels that it was trained on, whatever the plan has come to say since.
        labels = engine.labels or choice.labels
        final = await final_of(engine, Request((question,), labels=labels, deadline=deadline, caller=caller))
        chosen = final.chosen
        if chosen is None:
            chosen = max(final.scores, key=final.scores.__getitem__)
        return _answer(final, chosen, recognised=bool(chosen))
    final = await final_of(
        engine,
        Request(
            (Message("system", choice.instruction), question),
            Sampling(temperature=0, max_tokens=choice.max_tokens),
            deadline=deadline,
            caller=caller,
        ),
    )
    said = answer_in(final.text)
    if final.finish_reason == CUT or said is None:
        # The beginning of an answer may be another label's name, or the model's thoughts.
        raise EngineFailed("the model's answer is cut off at its length, before or in the name of a label")
    label = choice.named(said)
    return _answer(replace(final, text=said), label or "", recognised=label is not None)


def _answer(final: Final, label: str, recognised: bool) -> Answer:
    return Answer(
        label=label,
        first_token_ms=final.first_token_ms,
        output=shortened(carried(final.text)),
        scores=final.scores,
        tokens_in=final.tokens_in,
        tokens_out=final.tokens_out,
        cost=final.cost,
        recognised=recognised,
        extra=final.extra,
    )
