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


@pytest.mark.parametrize(
    "name",
    ["user_frustration", "User Frustration", "user_satisfaction", "user.intent", "thumbnail_quality", "userscore",
     "looks_like_spam", "down", "feedback", "feedback_quality", "user_feedback_sentiment", "rating", "user_up_to_date"],
)  # fmt: skip
@pytest.mark.parametrize(("label", "score"), [(None, 0.9), ("yes", None), (None, 2), ("no", 0.1)])
def test_an_evaluators_measure_is_no_users_thumb(name: str, label: Any, score: Any) -> None:
    """Whatever it measures of a user: a judge's score trains no answer as right."""
    (event,), refused = evaluated(name, label, score)
    assert (event.source, event.signal, event.value, refused) == ("judge", "comment", score, [])
    assert event.comment == (label if score is None else "") and event.rater == name


@pytest.mark.parametrize(
    "name",
    ["thumb", "Thumbs Up", "thumbsUp", "user_thumb", "User Feedback", "user-feedback", "user.feedback.score", "like",
     "liked", "thumbs_up_down", "end_user_feedback"],
)  # fmt: skip
def test_a_name_that_means_a_thumb_is_a_users(name: str) -> None:
    """In any spelling of its words."""
    for score in (0, 1):
        (event,), _ = evaluated(name, None, score)
        assert (event.source, event.signal, event.value) == ("user", "thumb", 1 if score else -1)


@pytest.mark.parametrize("name", ["thumbs_down", "Thumbs Down", "thumbsDown", "dislike", "user_thumb_down", "disliked"])
@pytest.mark.parametrize(
    ("label", "score", "value"),
    [(None, 1, -1), (None, True, -1), ("yes", None, -1), (None, 0.9, -1), (None, -1, -1), ("down", None, -1),
     ("👎", 1, -1), (None, 0, None), (None, False, None), ("no", None, None), (None, "0", None), (None, 0.1, None)],
)  # fmt: skip
def test_a_thumb_down_is_never_up(name: str, label: Any, score: Any, value: float | None) -> None:
    """A yes is a thumb down; a no says only that nobody disliked the answer, and is kept as a comment."""
    (event,), refused = evaluated(name, label, score)
    assert (event.source, event.signal, refused) == ("user", "comment" if value is None else "thumb", [])
    assert event.value == value if value else event.value in (None, 0, 0.1)


@pytest.mark.parametrize("score", [2, 4, 5, -2, 87.5, "4"])
def test_a_number_of_an_unknown_range_is_no_thumb(score: Any) -> None:
    """Of two to five stars, or of a hundred, nobody knows which are good: it is a comment, and said to be none."""
    (event,), refused = evaluated("user_feedback", None, score)
    assert (event.source, event.signal, event.value, refused) == ("user", "comment", float(score), [])
    events, (refused_,) = evaluated("x", None, score, headrace_signal="thumb", headrace_source="user")
    assert events == [] and "headrace.signal is thumb" in refused_
    (event,), _ = evaluated("user_feedback", None, abs(float(score)), best=100, worst=0)
    assert event.signal == "rating"
