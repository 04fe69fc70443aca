"""Events: strict where a person sends them, tolerant on Kafka, the same after a round trip."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.contract import ids
from headrace.contract.events import Arm, Feedback, Inference, Signal, Source, new_feedback, new_inference, pack
from headrace.errors import EventError


def test_an_event_survives_its_own_json():
    """What is emitted is what is read."""
    inference = new_inference("router", "router@3", input="Wo ist mein Gehalt? 💶", scores={"hr": 0.7, "it": 0.3})
    feedback = new_feedback(inference.inference_id, "user", "thumb", value=-1)
    first, second = json.loads(pack([inference, feedback]))
    assert Inference.tolerant(first) == inference
    assert Feedback.tolerant(second) == feedback


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lable": "hr"}, "Inference.lable: there is no such field"),
        ({"inference_id": True}, "Inference.inference_id"),
        ({"inference_id": "x" * 201}, "at most 200 characters"),
        ({"occurred_at": "2026-01-01T00:00:00"}, "needs its zone"),
        ({"occurred_at": "1969-01-01T00:00:00Z"}, "between the years 2000 and 2100"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "between the years 2000 and 2100"),
        ({"arm": "dead"}, "Inference.arm"),
        ({"revision": -1}, "Inference.revision"),
        ({"scores": {"hr": 1.5}}, "Inference.scores.hr"),
        ({"input": ["x"]}, "Inference.input"),
        ({"task": ""}, "Inference.task"),
    ],
)
def test_a_bad_event_names_its_field(change, says):
    """Strict parsing says in one sentence which field is wrong."""
    event = json.loads(new_inference("router", "router@1").to_json()) | change
    with pytest.raises(EventError) as caught:
        Inference.strict(json.dumps(event))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_newer_emitters_field_is_kept():
    """On Kafka an unknown field lands in `extra`, beside what is there already."""
    event = json.loads(new_inference("router", "router@1", extra={"a": 1}).to_json()) | {"mood": ["fine"]}
    assert Inference.tolerant(event).extra == {"a": 1, "mood": ["fine"]}


@given(
    st.dictionaries(st.text(max_size=20), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
)
def test_tolerant_parsing_is_total(fields):
    """Any JSON object is an event or an EventError, never another exception."""
    try:
        Feedback.tolerant(fields)
    except EventError as error:
        assert str(error)


@given(st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30), timezones=st.just(UTC)))
def test_an_id_carries_its_time(at):
    """UUIDv7 keeps milliseconds, and ids order as their times do."""
    made = ids.uuid7(at)
    assert made.version == 7
    assert abs((ids.time_of(made) - at).total_seconds()) < 0.0011
    assert ids.derived(at, "a", 1) == ids.derived(at, "a", 1) != ids.derived(at, "a", 2)


def test_a_draw_is_uniform_and_repeatable():
    """The audit's draw is the same in every process and hits its rate."""
    drawn = [ids.uniform(ids.uuid7(), "audit:router") for _ in range(20_000)]
    assert abs(sum(value < 0.05 for value in drawn) / len(drawn) - 0.05) < 0.01
    event_id = ids.uuid7()
    assert ids.uniform(event_id, "a") == ids.uniform(event_id, "a") != ids.uniform(event_id, "b")


def test_a_lone_surrogate_is_replaced():
    """Half of an emoji that somebody cut costs that character alone."""
    for field in ("input", "task", "session_id"):
        made = new_inference(**{"task": "router", "version": "router@1", field: "a\ud800"})
        assert (getattr(made, field), made.extra) == ("a\ufffd", {"replaced": [field]})


def test_the_enumerations_are_plain_strings():
    """Analysts and other languages see the words themselves."""
    assert (Arm.SHADOW, Source.AUDIT, Signal.LABEL) == ("shadow", "audit", "label")


def test_an_error_on_its_way_to_a_log_quotes_nothing():
    """What a validation error prints names the field, and never what was asked or said."""
    for fields in ({"input": 7, "comment": "Why was my salary cut?"}, {"input": ["Why was my salary cut?"]}):
        with pytest.raises(ValidationError) as caught:
            Inference.model_validate(fields)
        assert "input" in str(caught.value) and "salary" not in str(caught.value)
