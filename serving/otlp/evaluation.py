"""An evaluation result as feedback: who says so, by which signal, and about which answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.contract import ids
from headrace.contract.events import Feedback, Signal, Source
from headrace.errors import EventError
from serving.otlp.attributes import Attributes, finite, moment_of, own_answer

EVALUATION = "gen_ai.evaluation.result"
UP = frozenset({"1", "up", "thumbs_up", "pass", "good", "positive", "correct", "yes", "true", "like"})
DOWN = frozenset({"0", "-1", "down", "thumbs_down", "fail", "bad", "negative", "incorrect", "no", "false", "dislike"})


def feedback(
    said: Mapping[str, Any], at_ns: int, origin: tuple[object, ...], references: Mapping[str, Any]
) -> tuple[Feedback, list[str]]:
    """One result, and what of it could not be read.

    said: its attributes, and of the span that it is an event of
    origin: what makes its id: the same result sent again is the same feedback
    references: fields of Feedback that say which answer it is about, where no response id does
    Raises EventError.
    """
    given = Attributes(said)
    name = given.name("gen_ai.evaluation.name")
    if not name:
        raise EventError("gen_ai.evaluation.name: the attribute is missing")
    at = moment_of(at_ns)
    grade, response = given.text("gen_ai.evaluation.score.label"), given.name("gen_ai.response.id")
    said_score = said.get("gen_ai.evaluation.score.value")
    score = float(said_score) if isinstance(said_score, bool) else finite(said_score)
    if score is None and said_score is not None:
        given.odd.append(f"gen_ai.evaluation.score.value is no number: {str(said_score)[:80]!r}")
    source, signal, value = meaning(given, name, grade, score)
    comment = given.text("gen_ai.evaluation.explanation")
    if not comment and value is None and signal == Signal.COMMENT:
        # A verdict in a word says as much as a number.
        comment = grade or ("" if said_score is None else str(said_score)[:200])
    own = own_answer(response)
    if own:
        references = {"inference_id": own}
    elif "inference_id" not in references:
        references = {**references, "response_id": response, "session_id": given.name("gen_ai.conversation.id")}
    fields = {
        "feedback_id": str(ids.derived(at, "otlp", *origin, response, name, at_ns, grade, said_score)),
        "occurred_at": at.isoformat(),
        "source": source,
        "signal": signal,
        "value": value,
        "task": given.name("headrace.task"),
        "label": given.name("headrace.label"),
        "blame": given.text("headrace.blame") or None,
        "comment": comment,
        "rater": name,
        "extra": {"evaluation": {"name": name, "score": str(said_score)[:200], "label": grade[:200]}},
    }
    return Feedback.strict(fields | {key: str(one) for key, one in references.items() if one}), given.odd


def meaning(given: Attributes, name: str, grade: str, score: float | None) -> tuple[str, str, float | None]:
    """Source, signal and value: what headrace.* says, or else what the evaluation's name and score suggest.

    An evaluator's score is a comment's value: it is on a scale of its own, and no user's thumb.
    """
    folded = name.casefold()
    of_user = folded.startswith("user") or "thumb" in folded
    source = given.text("headrace.source") or (Source.USER if of_user else Source.JUDGE)
    signal = given.text("headrace.signal")
    polarity = _polarity(grade, score)
    if not signal:
        signal = Signal.COMMENT
        if of_user and "rating" in folded:
            signal = Signal.RATING
        elif of_user and polarity is not None:
            signal = Signal.THUMB
    return source, signal, polarity if signal == Signal.THUMB else score


def _polarity(grade: str, score: float | None) -> float | None:
    """1 up, -1 down; a score without a label is up above the middle of 0 to 1."""
    word = grade.strip().casefold().replace(" ", "_")
    if word in UP or word in DOWN:
        return 1.0 if word in UP else -1.0
    return None if score is None else (1.0 if score > 0.5 else -1.0)
