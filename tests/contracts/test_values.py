"""What values are read as, whichever client wrote them: over HTTP, over Kafka and through the SDK alike."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from doors import Outcome, collector, worker

from headrace.client.options import Options
from headrace.contract import ids
from headrace.contract.events import MAX_TEXT, Event, Feedback, Inference
from headrace.contract.moments import moment
from headrace.errors import EventError

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANSWER = {"inference_id": str(ids.uuid7(AT)), "occurred_at": AT.isoformat(), "task": "router", "version": "router@0"}
SAID = {"feedback_id": str(ids.uuid7(AT)), "inference_id": ANSWER["inference_id"], "occurred_at": AT.isoformat(),
        "source": "user", "signal": "thumb"}  # fmt: skip
OPTIONS = Options(kafka="127.0.0.1:9092")


def read(**fields: Any) -> Any:
    """The event that every door makes of the fields, of feedback where they name a signal or a value."""
    of_feedback = bool(fields.keys() & {"signal", "value", "comment"})
    whole = (SAID if of_feedback else ANSWER) | fields
    body = json.dumps(whole).encode()
    model, kind = (Feedback, "feedback") if of_feedback else (Inference, "inference")
    found = [collector(b"[%b]" % body), worker(kind, body), [made(model, whole)]]
    assert [one if isinstance(one, str) else one.to_json() for (one,) in found].count(shown(found[0][0])) == 3, found
    return found[0][0]


def made(model: type[Event], fields: dict[str, Any]) -> Outcome:
    """What the SDK makes of the fields; its sentence where it raises."""
    make = OPTIONS.inference if model is Inference else OPTIONS.feedback
    try:
        return make(None, fields)  # type: ignore[return-value]
    except EventError as error:
        return str(error)


def shown(found: Outcome) -> bytes | str:
    return found.to_json() if isinstance(found, Event) else found


@pytest.mark.parametrize(
    ("signal", "fields", "says"),
    [("correction", {}, "a correction comes with `label`"), ("correction", {"label": ""}, "a correction comes with"),
     ("correction", {"label": " \t", "comment": "wrong", "value": 1}, "a correction comes with")],
)  # fmt: skip
def test_what_says_nothing_is_refused(signal: str, fields: dict[str, Any], says: str) -> None:
    """A correction without a label, which would wipe an earlier one, arrives at no door."""
    assert says in read(signal=signal, **fields)


def test_an_evaluators_score_needs_no_words() -> None:
    """A comment with a value and no text is kept."""
    assert read(signal="comment", value=0.0).value == 0


@pytest.mark.parametrize(
    ("said", "stored"),
    [(1, 1), (-1, -1), (0, -1), (True, 1), (False, -1), (1.0, 1), (0.0, -1), ("1", 1), ("-1", -1), ("0", -1), ("+1", 1),
     ("true", 1), ("FALSE", -1), ("up", 1), ("Down", -1), ("thumbs_up", 1), ("thumbs down", -1), ("thumbs-up", 1),
     ("👍", 1), ("👎🏽", -1), ("like", 1), ("dislike", -1), ("helpful", 1), ("not-helpful", -1), ("Correct", 1),
     ("wrong", -1), ("✅", 1), ("❌", -1)],
)  # fmt: skip
def test_a_thumb_is_up_or_down(said: Any, stored: float) -> None:
    """Numbers, booleans, words and signs mean the same everywhere, and what was said is kept."""
    event = read(value=said)
    assert event.value == stored
    assert event.extra in ({}, {"said": {"value": said}})


@pytest.mark.parametrize(
    ("fields", "stored"),
    [({"value": 4}, 4), ({"value": "4.5"}, 4.5), ({"value": 10, "best": 10}, 5), ({"value": 1, "best": 10}, 1),
     ({"value": 4, "best": 10}, 1 + 4 * 3 / 9), ({"value": 0, "best": 10, "worst": 0}, 1),
     ({"value": 80, "bestRating": 100, "worstRating": 0}, 4.2), ({"value": 0.5, "best": 1}, 3),
     ({"value": 2, "best": 1, "worst": 6}, 4.2), ({"value": "9/10"}, 1 + 4 * 8 / 9), ({"value": "4 out of 5"}, 4),
     ({"value": 3, "extra": {"best": "10", "worst": "0"}}, 2.2)],
)  # fmt: skip
def test_a_rating_is_its_place_in_the_declared_range(fields: dict[str, Any], stored: float) -> None:
    """It is stored as 1 to 5, whatever it counts in, beside what was said."""
    event = read(signal="rating", **fields)
    assert event.value == pytest.approx(stored, abs=1e-6)
    if fields["value"] != 4 or len(fields) > 1:
        said = event.extra.get("said", {"value": fields["value"]})
        assert said["value"] == fields["value"] and "best" not in event.extra


@pytest.mark.parametrize("said", ["gpt-4", True, None, {"a": 1}, 1e300, ""])
def test_what_an_extra_calls_best_is_no_range_unless_it_is_a_number(said: Any) -> None:
    """It stays in `extra` as it is; beside a range that is declared too."""
    event = read(signal="rating", value=4, extra={"best": said, "worst": "none of them"})
    assert (event.value, event.extra) == (4, {"best": said, "worst": "none of them"})
    event = read(signal="rating", value=10, best=10, extra={"best": "gpt-4"})
    assert (event.value, event.extra) == (5, {"best": "gpt-4", "said": {"value": 10, "best": 10}})


@pytest.mark.parametrize("ranges", [{"best": 10}, {"best": 10, "worst": 0}, {"extra": {"best": "10", "a": 1}}])
@pytest.mark.parametrize("value", [None, ""])
def test_a_range_without_a_rating_is_kept_as_it_was_said(value: Any, ranges: dict[str, Any]) -> None:
    """As of a form whose field was left empty: the comment counts, and no rating is made up."""
    event = read(signal="rating", value=value, comment="no time", **ranges)
    extra = ranges.get("extra", {})
    said = {name: each for name, each in (ranges | extra).items() if name in ("best", "worst")}
    rest = {name: each for name, each in extra.items() if name not in said}
    assert (event.value, event.comment, event.extra) == (None, "no time", {**rest, "said": said})


@pytest.mark.parametrize(("said", "stored"), [(1, 1), (0, 0), (True, 1), (False, 0), ("resolved", 1), (-1, 0)])
def test_a_resolution_is_yes_or_no(said: Any, stored: float) -> None:
    """As a number, a boolean or a word."""
    assert read(signal="resolution", value=said).value == stored


@pytest.mark.parametrize(
    ("signal", "fields", "says"),
    [
        *(("thumb", {"value": value}, "a thumb is 1 (up) or -1") for value in (5, 0.5, 2, "meh", [1], -2)),
        *(("rating", {"value": value}, "a rating is 1 to 5") for value in (0, 9, 80, -1, True, "good", 5.5)),
        *(("resolution", {"value": value}, "a resolution is 1 (solved) or 0 (not)") for value in (2, "perhaps")),
        ("rating", {"value": 11, "best": 10}, "a rating is 1 to 10 here, as declared, but it was 11, best 10"),
        ("rating", {"value": 3, "best": "many"}, "`best` is a number"),
        ("rating", {"value": 3, "best": 3, "worst": 3}, "a rating is 3 to 3 here"),
    ],
)
def test_a_value_that_its_signal_does_not_know_is_named(signal: str, fields: dict[str, Any], says: str) -> None:
    """The sentence says what the signal's values are, at every door."""
    assert str(read(signal=signal, **fields)).startswith(f"Feedback.value: {says}")


NANOS = "2026-03-02T12:00:00.123456789Z"
MICROS = AT + timedelta(microseconds=123456)


@pytest.mark.parametrize(
    ("written", "moment_of_it"),
    [(NANOS, MICROS), ("2026-03-02T12:00:00Z", AT), ("2026-03-02t12:00:00z", AT), ("2026-03-02 12:00:00+00", AT),
     ("2026-03-02 12:00:00.123456+00", MICROS), ("2026-03-02 17:30:00+0530", AT), ("2026-03-02T17:30+05:30", AT),
     ("2026-03-02 12:00:00 UTC", AT), ("2026-03-02T12:00:00 Z", AT), ("2026-03-02 12:00:00.5 +0000 UTC", None),
     ("2026-03-02 12:00:00 +0000 UTC m=+0.000012", AT), ("2026-03-02 13:00:00 +0100 CET", AT),
     ("2026-03-02T13:00:00+01:00[Europe/Berlin]", AT), ("2026-03-02T12:00:00.1234560Z", MICROS),
     ("2026-03-02T12:00:00.1234560+00:00", MICROS), ("/Date(1772452800000)/", AT), ("/Date(1772452800000+0100)/", AT),
     ("Mon, 02 Mar 2026 12:00:00 GMT", AT), ("Mon, 02 Mar 2026 07:00:00 -0500", AT), ("20260302T120000Z", AT),
     ("Mon Mar 02 2026 13:00:00 GMT+0100 (Central European Standard Time)", AT), ("2026-03-02T11:59:60Z", AT),
     ("Mon, 02 Mar 2026 20:00:00 +0800 (CST)", AT), ("2026-03-02 20:00:00 +0800 CST", AT),
     ("Mon Mar 02 2026 20:00:00 GMT+0800 (CST)", AT), ("Mon Mar 02 07:00:00 EST 2026", AT),
     ("2026-03-02T12:00:00\N{MINUS SIGN}00:00", AT), (" 2026-03-02T12:00:00Z ", AT), (1772452800, AT),
     (1772452800.123456, MICROS), (1772452800000, AT), (1772452800123456, MICROS), (1772452800123456789, MICROS),
     ("1772452800", AT), ("1772452800.123456", MICROS), ("1772452800000", AT), ("1772452800123456789", MICROS),
     (1.7724528e9, AT), ({"seconds": 1772452800, "nanos": 123456789}, MICROS), ({"_seconds": "1772452800"}, AT),
     ({"$date": "2026-03-02T12:00:00Z"}, AT), ({"$date": {"$numberLong": "1772452800000"}}, AT)],
)  # fmt: skip
def test_a_time_is_read_as_each_language_writes_it(written: Any, moment_of_it: datetime | None) -> None:
    """Java, Postgres, Go, JavaScript, .NET, Python, protobuf and MongoDB: the same moment at every door."""
    expected = moment_of_it or AT + timedelta(seconds=0.5)
    assert abs(moment(written) - expected) < timedelta(microseconds=2)
    assert abs(read(occurred_at=written).occurred_at - expected) < timedelta(microseconds=2)


@pytest.mark.parametrize(
    ("written", "says"),
    [("2026-03-02T12:00:00", "a time needs its zone"), ("2026-03-02 12:00:00", "a time needs its zone"),
     ("2026-03-02", "a time needs its zone"), ([2026, 3, 2, 12, 0, 0], "an array of numbers is a local time"),
     ("0001-01-01T00:00:00Z", "a time lies between"), (0, "a time is ISO 8601"), (True, "a time is ISO 8601"),
     ("Mon Mar 02 12:00:00 CET 2026", "a time "), ("03/02/2026 12:00", "a time "), ("yesterday", "a time is ISO 8601"),
     (46083.5, "a time is ISO 8601"), ("", "a time is ISO 8601"), ({"date": 1}, "a time is ISO 8601"),
     ("Mon Mar 02 20:00:00 CST 2026", "the zone CST may be that of America/Chicago or Asia/Shanghai or "),
     ("Mon, 02 Mar 2026 20:00:00 AST", "the zone AST may be "), ("2026-03-02 20:00:00 IST", "the zone IST may "),
     ("Mon Mar 02 20:00:00 BST 2026", "the zone BST may be that of "),
     ("1" * 5000, "a time is ISO 8601"), (1e300, "a time is ISO 8601"), ("9999-12-31T23:59:60Z", "a time ")],
)  # fmt: skip
def test_a_time_that_nobody_can_place_is_named(written: Any, says: str) -> None:
    """Without a zone, or in a form that can be two times, it is refused with what to write."""
    assert str(read(occurred_at=written)).startswith(f"Inference.occurred_at: {says}")


def test_a_long_text_keeps_its_ends_and_its_digest() -> None:
    """The text says itself that it is cut, and `extra.truncated` says how long it was and which."""
    text = "head " + "é\U0001f600\x01" * 400_000 + " tail"
    event = read(input=text, output="short")
    assert len(event.input) <= MAX_TEXT and event.input.startswith("head é") and event.input.endswith(" tail")
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert event.extra == {"truncated": {"input": {"characters": len(text), "sha256": digest}}}
    assert digest in event.input and str(len(text)) in event.input
    assert Inference.strict(event.to_json()) == event


def test_long_names_match_one_another() -> None:
    """A long session id is the same short one wherever it comes, and another one's is another."""
    long, other = "s" * 200 + "1", "s" * 200 + "2"
    answer, said = read(session_id=long, label=long), read(value=1, session_id=long, inference_id=None)
    assert answer.session_id == said.session_id != read(session_id=other).session_id
    assert len(answer.session_id) <= 200 and answer.extra["truncated"]["session_id"]["characters"] == 201
    assert read(session_id="s" * 200).session_id == "s" * 200


def test_characters_that_cannot_be_carried_are_replaced() -> None:
    """Half of a surrogate pair and a NUL cost themselves, in texts, names and `extra`."""
    event = read(input="a\ud83d", session_id="b\x00", extra={"c\udc00": ["\ud800"]})
    assert (event.input, event.session_id) == ("a\ufffd", "b\ufffd")
    assert event.extra == {"c\ufffd": ["\ufffd"], "replaced": ["session_id", "input"]} or event.extra == {
        "c\ufffd": ["\ufffd"], "replaced": ["input", "session_id"]}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "stored", "marks"),
    [({"it": 1.0000001, "hr": -1e-8}, {"it": 1, "hr": 0}, {}), ({"it": None, "hr": 0.4}, {"hr": 0.4}, {}),
     ({"it": float("nan"), "hr": "0.4"}, {"hr": 0.4}, {"left_out": {"scores.it": "nan"}}),
     ([{"label": "it", "score": 0.9}, {"label": "hr", "score": 0.1}], {"it": 0.9, "hr": 0.1}, {}),
     ([["it", 0.9], ["hr", 0.1]], {"it": 0.9, "hr": 0.1}, {}), ({"label": "it", "score": 0.9}, {"it": 0.9}, {}),
     ({"labels": ["it", "hr"], "scores": [0.9, 0.1], "sequence": "?"}, {"it": 0.9, "hr": 0.1}, {}),
     ('{"it": 0.9}', {"it": 0.9}, {}), ([], {}, {}), ("", {}, {})],
)  # fmt: skip
def test_scores_are_read_as_classifiers_give_them(given: Any, stored: dict[str, float], marks: dict[str, Any]) -> None:
    """A hair beyond 0 and 1 is clipped, and a score that is no number leaves its neighbours where they are."""
    event = read(scores=given)
    assert event.scores == pytest.approx(stored) and event.extra == marks


def test_the_greatest_of_too_many_scores_are_kept() -> None:
    """And how many there were is marked."""
    event = read(scores={f"label-{number}": number / 2000 for number in range(1500)})
    assert len(event.scores) == 1000 and min(event.scores.values()) == 0.25
    assert event.extra == {"truncated": {"scores": {"entries": 1500}}}


@pytest.mark.parametrize("scores", [{"it": 1.5}, {"it": -0.7}, {"it": "high"}, [0.9, 0.1], [{"label": "it"}], 7])
def test_scores_that_are_none_are_named(scores: Any) -> None:
    """A logit is no probability: both doors refuse it by name, and the SDK leaves it out with a mark."""
    body = json.dumps(ANSWER | {"scores": scores}).encode()
    (refused,), (letter,) = collector(b"[%b]" % body), worker("inference", body)
    assert refused == letter and str(refused).startswith("Inference.scores")
    event = made(Inference, ANSWER | {"scores": scores})
    assert isinstance(event, Inference) and event.scores == {} and "scores" in event.extra["left_out"]


@pytest.mark.parametrize(
    ("field", "given", "stored"),
    [("tokens_in", 12.0, 12), ("tokens_in", "12", 12), ("tokens_in", " 12.0 ", 12), ("cost", "0.5", 0.5),
     ("cost", "", 0), ("latency_ms", float("nan"), 0), ("consent", "false", False), ("consent", "No ", False),
     ("consent", 0, False), ("label", 7, "7"), ("label", 7.0, "7"), ("session_id", 10**19, "1" + "0" * 19),
     ("user_ref", True, "true"), ("arm", "LIVE", "live"), ("arm", "", "live"), ("extra", '{"a": 1}', {"a": 1})],
)  # fmt: skip
def test_a_value_of_another_type_is_read_where_it_can_be_one_thing_only(field: str, given: Any, stored: Any) -> None:
    """Numbers in text, whole numbers as floats, names as numbers, words in capitals."""
    assert getattr(read(**{field: given}), field) == stored


@pytest.mark.parametrize(
    ("field", "given"),
    [("tokens_in", 1.5), ("tokens_in", -1), ("tokens_out", 2**40), ("tokens_in", 1e30), ("latency_ms", -0.5),
     ("latency_ms", "Infinity"), ("latency_ms", float("-inf")), ("first_token_ms", -5), ("cost", "$5"),
     ("latency_ms", "12 ms"), ("tokens_in", "1,234"), ("cost", []), ("cost", {"usd": 1}), ("latency_ms", 10**400),
     ("audit_probability", 1.5), ("latency_ms", "x" * 5000)],
)  # fmt: skip
def test_a_measurement_that_is_none_is_left_out_and_marked(field: str, given: Any) -> None:
    """It costs neither the event nor its neighbours' fields, at every door."""
    event = read(**{field: given}, session_id="s-1")
    assert getattr(event, field) == 0 and event.session_id == "s-1"
    assert event.extra["left_out"][field][:70] == str(given)[:70]


BAD: dict[str, tuple[str, Any]] = {
    "a wrong type": ("input", []), "a wrong score": ("scores", {"it": 7}), "no zone": ("occurred_at", "2026-03-02"),
    "a missing field": ("version", None), "an unknown arm": ("arm", "dead"), "a negative revision": ("revision", -1),
    "no object": ("", 7),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "place"), product(BAD, (0, 500, 999)))
def test_one_bad_event_of_a_thousand_costs_itself(kind: str, place: int) -> None:
    """Of each kind of bad, first, in the middle and last: 999 are taken and one is named, at both doors."""
    field, value = BAD[kind]
    whole = json.dumps(ANSWER).encode()
    bad = json.dumps(ANSWER | {field: value} if field else value).encode()
    body = b"[" + b",".join([whole] * place + [bad] + [whole] * (999 - place)) + b"]"
    for found in (collector(body), worker("inference", body)):
        assert [number for number, one in enumerate(found) if isinstance(one, str)] == [place]
        assert len(found) == 1000 and (field or "an event is a JSON object") in str(found[place])
