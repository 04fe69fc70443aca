"""An evaluation result as feedback: who says so, by which signal, and about which answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headrace.contract import ids, meanings
from headrace.contract.events import Feedback, Signal, Source
from headrace.errors import EventError
from serving.otlp.attributes import Attributes, finite, moment_of, own_answer

EVALUATION = "gen_ai.evaluation.result"
SIGNAL = "headrace.signal"
VALUED = frozenset({Signal.THUMB, Signal.RATING, Signal.RESOLUTION})
"""Signals that say nothing without a value."""
# The words of a name that means a user's thumb or rating; a name with any other word is an evaluator's own measure.
_USER = frozenset({"user", "users", "enduser", "end"})
_LIKES = frozenset({"thumb", "thumbs", "thumbsup", "thumbup", "like", "likes", "liked", "upvote", "vote"})
_DISLIKES = frozenset({"down", "thumbsdown", "thumbdown", "dislike", "dislikes", "disliked", "downvote"})
_UPWARDS = frozenset({"up", "thumbsup", "thumbup", "like", "likes", "liked", "upvote"})
_RATINGS = frozenset({"rating", "ratings", "star", "stars"})
_FILLERS = frozenset({"up", "or", "and", "feedback", "reaction", "score", "value", "button", "click", "clicked"})
_KNOWN = _USER | _LIKES | _DISLIKES | _RATINGS | _FILLERS
_DENIALS = frozenset({"0", "0.0", "no", "n", "false", "f"})
_BETWEEN = re.compile(r"[\s_.:/-]+|(?<=[a-z])(?=[A-Z])")


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
    grade, response = given.text("gen_ai.evaluation.score.label"), given.known_name("gen_ai.response.id")
    said_score = said.get("gen_ai.evaluation.score.value")
    source, signal, value, declared = meaning(given, name, grade, said_score)
    comment = given.text("gen_ai.evaluation.explanation")
    if not comment and value is None and signal == Signal.COMMENT:
        # A verdict in a word says as much as a number.
        comment = grade or ("" if said_score is None else str(said_score)[:200])
    own = own_answer(response)
    if own:
        references = {"inference_id": own}
    elif "inference_id" not in references:
        references = {**references, "response_id": response, "session_id": given.known_name("gen_ai.conversation.id")}
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
        "extra": {"evaluation": {"name": name, "score": str(said_score)[:200], "label": grade[:200]}, **declared},
    }
    return Feedback.strict(fields | {key: str(one) for key, one in references.items() if one}), given.odd


def meaning(given: Attributes, name: str, grade: str, said_score: Any) -> tuple[str, str, Any, dict[str, Any]]:
    """Source, signal, value and a rating's range: what headrace.* says, or else what the evaluation's name suggests.

    An evaluator's score is a comment's value: it is on a scale of its own, and no user's thumb. Raises EventError.
    """
    suggested, dislike = named(name)
    source = given.text("headrace.source") or (Source.USER if suggested else Source.JUDGE)
    told = given.text(SIGNAL).strip().casefold()
    score = float(said_score) if isinstance(said_score, bool) else finite(said_score)
    declared = {key: one for key in sorted(meanings.RANGE) if (one := given.said.get(key)) not in (None, "")}
    signal = told or suggested or Signal.COMMENT
    if not told and signal == Signal.THUMB and declared and not dislike:
        signal = Signal.RATING  # a place in a range says more than up or down
    value: Any = None
    if signal == Signal.RATING:
        value = next((one for one in (score, said_score, grade) if one not in (None, "")), None)
        if value is not None:
            return source, signal, value, declared
    elif signal in VALUED:
        value = _word_or_score(signal, grade, said_score, score, dislike and signal == Signal.THUMB)
    if signal in VALUED and value is None:
        if told:
            raise EventError(f"{SIGNAL} is {told}, but neither the score's label nor its value says one")
        if score is not None and abs(score) > 1:
            given.odd.append(f"gen_ai.evaluation.score.value as a thumb: {meanings.THUMB}, but it was {score:g}")
        signal = Signal.COMMENT
    if value is None:
        value = score
        if score is None and said_score is not None:
            given.odd.append(f"gen_ai.evaluation.score.value is no number: {str(said_score)[:80]!r}")
    return source, signal, value, {}


def named(name: str) -> tuple[Signal | None, bool]:
    """The user's signal that an evaluation's name means, None for a measure of an evaluator's; whether it is a dislike.

    user_feedback, thumb, Thumbs Up, like and user.rating mean one; user_frustration and looks_like_spam do not.
    """
    words = {word.casefold() for word in _BETWEEN.split(name) if word}
    if not words <= _KNOWN:
        return None, False
    of_user, thumb = bool(words & _USER), bool(words & (_LIKES | _DISLIKES - {"down"}))
    if words & _RATINGS and (of_user or thumb):
        return Signal.RATING, False
    if thumb or (of_user and "feedback" in words):
        return Signal.THUMB, bool(words & _DISLIKES) and not words & _UPWARDS
    return None, False


def _word_or_score(signal: str, grade: str, said_score: Any, score: float | None, dislike: bool) -> float | None:
    """What the label says, or else the score, which is a yes above the middle of 0 to 1; None beyond -1 to 1.

    dislike: a yes is a thumb down; a no is none, since who does not dislike an answer has not liked it
    """
    for word in (grade, said_score):
        try:
            meant = meanings.meant(signal, word, {})
        except ValueError:
            continue
        if not dislike:
            return meant
        return None if str(word).strip().casefold() in _DENIALS else -1.0
    if score is None or abs(score) > 1:
        return None
    if dislike:
        return -1.0 if abs(score) > 0.5 else None
    return meanings.meant(signal, score > 0.5, {})
