"""Evaluation results as feedback: words, signs and numbers mean what they mean over HTTP and Kafka."""

from __future__ import annotations

from typing import Any

import pytest
from otlp_spans import CALL, read

from headrace.contract.events import Feedback

EVALUATION = "gen_ai.evaluation.result"


def evaluated(name: str, label: Any = None, score: Any = None, **more: Any) -> tuple[list[Feedback], list[str]]:
    """The feedback of one evaluation on a call, and what is refused."""
    said = {
        f"gen_ai.evaluation.{key}": one for key, one in (("name", name), ("score.label", label), ("score.value", score))
    }
    said |= {key.replace("headrace_", "headrace."): one for key, one in more.items()}
    given = {key: one for key, one in said.items() if one is not None}
    found = read(
        {"attributes": CALL | {"gen_ai.prompt": "Why?", "gen_ai.completion": "it"}, "events": [(EVALUATION, given)]}
    )
    return [event for event in found.events if isinstance(event, Feedback)], found.refused


@pytest.mark.parametrize(
    ("label", "score", "value"),
    [
        *((word, None, 1) for word in ("👍", "👍🏽", "thumbs-up", "ThumbsUp", "+1", "liked", "Helpful", "✅")),
        *((word, None, -1) for word in ("👎", "thumbs-down", "-1", "Not helpful", "incorrect", "❌", "unhelpful")),
        ("pass", None, 1), ("fail", None, -1), (None, "up", 1), (None, "down", -1), (None, 0.8, 1), (None, 0.2, -1),
        (None, 1, 1), (None, 0, -1), (None, -1, -1), (None, True, 1),
        ("correct", None, 1), ("👎", 1.0, -1), ("thumbs-up", 0.0, 1), ("so so", 0.8, 1),
    ],
)  # fmt: skip
def test_a_users_thumb_is_read_by_its_word_and_else_by_its_score(label: Any, score: Any, value: float) -> None:
    """The words and signs are those of the other doors; a label goes before a score."""
    (event,), refused = evaluated("user_feedback", label, score)
    assert (event.source, event.signal, event.value, refused) == ("user", "thumb", value, [])


@pytest.mark.parametrize(
    ("label", "score", "more", "value"),
    [("9/10", None, {}, 4.555556), ("4", None, {}, 4), (None, "4", {}, 4), (None, 9, {"best": 10}, 4.555556),
     (None, 4, {"best": "5"}, 4), ("good", 5, {}, 5), (None, 0.5, {"bestRating": 1, "worstRating": 0}, 3)],
)  # fmt: skip
def test_a_users_rating_is_its_place_in_its_range(label: Any, score: Any, more: dict[str, Any], value: float) -> None:
    """As the score or the label, of the range that attributes beside it declare."""
    (event,), refused = evaluated("user_rating", label, score, **more)
    assert (event.source, event.signal, event.value, refused) == ("user", "rating", value, [])


@pytest.mark.parametrize(
    ("signal", "label", "score", "stored"),
    [("THUMB", "up", None, ("thumb", 1)), ("Thumb", None, 0.8, ("thumb", 1)), (" thumb ", "👎", None, ("thumb", -1)),
     ("resolution", "yes", None, ("resolution", 1)), ("Resolution", None, False, ("resolution", 0)),
     ("rating", "9/10", None, ("rating", 4.555556)), ("comment", "up", 0.3, ("comment", 0.3))],
)  # fmt: skip
def test_a_signal_that_is_said_is_read_by_its_meaning(signal: str, label: Any, score: Any, stored: Any) -> None:
    """In capitals or not; the value is the signal's own."""
    (event,), refused = evaluated("solved", label, score, headrace_signal=signal, headrace_source="USER")
    assert ((event.signal, event.value), event.source, refused) == (stored, "user", [])


@pytest.mark.parametrize("signal", ["thumb", "rating", "resolution"])
@pytest.mark.parametrize("label", [None, "so so"])
def test_a_signal_without_a_value_is_refused_by_name(signal: str, label: Any) -> None:
    """A thumb that says neither up nor down would count as nothing."""
    events, (refused,) = evaluated("x", label, None, headrace_signal=signal, headrace_source="user")
    assert events == [] and (f"headrace.signal is {signal}" in refused or "a rating is 1 to 5" in refused)


def test_what_a_user_says_without_a_value_is_a_comment() -> None:
    """An explanation alone is kept, and stands for no thumb."""
    for name in ("user_feedback", "user_rating"):
        (event,), refused = evaluated(name, **{"gen_ai.evaluation.explanation": "Thanks"})
        assert (event.signal, event.value, event.comment, refused) == ("comment", None, "Thanks", [])
