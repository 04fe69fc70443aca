"""Feedback may name its answer by what its emitter knows: the contract, before anything resolves it."""

from __future__ import annotations

import json

import pytest
from doors import collector, worker

from headrace.client.options import Options
from headrace.client.packing import bucket_of
from headrace.contract import ids
from headrace.contract.events import Feedback, Inference, new_feedback, new_inference
from headrace.contract.given_ids import NOBODY
from headrace.errors import EventError

REFERENCES = ("session_id", "trace_id", "span_id", "response_id")


@pytest.mark.parametrize("reference", REFERENCES)
def test_one_reference_is_enough(reference):
    """It is kept, survives JSON, strict and tolerant, and the inference_id is the nil UUID until it is resolved."""
    said = new_feedback(None, "user", "thumb", value=1, **{reference: "x-1"})
    assert said.inference_id == NOBODY and getattr(said, reference) == "x-1"
    fields = json.loads(said.to_json())
    del fields["inference_id"]
    assert Feedback.strict(fields) == Feedback.tolerant(fields) == said


@pytest.mark.parametrize("absent", [{}, {"inference_id": str(NOBODY)}, {"session_id": ""}])
def test_no_reference_is_refused(absent):
    """One sentence says what may be given."""
    fields = {
        "feedback_id": str(ids.uuid7()),
        "occurred_at": "2026-03-02T12:00:00Z",
        "source": "user",
        "signal": "thumb",
    }
    with pytest.raises(EventError) as caught:
        Feedback.strict(fields | absent)
    assert str(caught.value) == (
        "Feedback: feedback names its answer by an inference_id, response_id, span_id, trace_id or session_id"
    )


@pytest.mark.parametrize("reference", REFERENCES)
def test_the_sdk_takes_each_reference(reference):
    """A client's feedback needs no inference_id."""
    fields = {"source": "user", "signal": "thumb", reference: "x-1"}
    assert getattr(Options(kafka="127.0.0.1:9092").feedback(None, fields), reference) == "x-1"


def test_feedback_without_an_answer_is_spread_over_the_buckets():
    """Its reference decides, so that a topic has no partition that gets all of it; a session stays in one."""
    buckets = {bucket_of(new_feedback(None, "user", "thumb", span_id=f"s-{n}"), 8) for n in range(200)}
    assert buckets == set(range(8))
    answer = new_inference("router", "router@1", session_id="s-1")
    assert bucket_of(answer, 8) == bucket_of(new_feedback(None, "user", "thumb", session_id="s-1"), 8)
    assert bucket_of(answer, 8) == bucket_of(new_feedback(answer.inference_id, "user", "thumb", session_id="s-1"), 8)


TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("trace", "span"),
    [
        (TRACE, SPAN),
        (TRACE.upper(), SPAN.upper()),
        ("0af76519-16cd-43dd-8448-eb211c80319c", f" {SPAN} "),
        (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f"0x{TRACE}", f"0x{SPAN}"),
    ],
)
@pytest.mark.parametrize("kind", ["inference", "feedback"])
def test_traces_and_spans_are_spelled_alike(kind, trace, span):
    """An answer and feedback on it meet, whatever case, dashes, header or prefix each door is given."""
    event = new_inference("router", "v") if kind == "inference" else new_feedback(None, "user", "thumb", session_id="s")
    body = json.dumps([json.loads(event.to_json()) | {"trace_id": trace, "span_id": span}]).encode()
    made = Inference if kind == "inference" else Feedback
    for found in (*collector(body), *worker(kind, body), made.strict(json.loads(body)[0])):
        assert isinstance(found, made) and (found.trace_id, found.span_id) == (TRACE, SPAN)


def test_names_of_another_kind_stay_as_they_are():
    """A trace that an emitter calls as it likes is no trace of OpenTelemetry's; zeros alone name none."""
    for name in ("Request-7", TRACE.upper()[:-1], "0AF7", SPAN.upper()):
        assert new_inference("router", "v", trace_id=name).trace_id == name
    assert new_inference("router", "v", span_id=TRACE.upper()).span_id == TRACE.upper()
    none = new_inference("router", "v", trace_id="0" * 32, span_id="0" * 16)
    assert (none.trace_id, none.span_id) == ("", "")
    with pytest.raises(EventError, match="names its answer by"):
        new_feedback(None, "user", "thumb", trace_id="0" * 32)


@pytest.mark.parametrize("nothing", ["undefined", "None", "null", "NULL", "NaN"])
@pytest.mark.parametrize("reference", REFERENCES)
def test_what_programs_write_for_no_name_names_nothing(reference, nothing):
    """One conversation called `undefined` would be everybody's: a thumb would go to whoever was answered last."""
    answer = new_inference("router", "v", user_ref="u-1", **{reference: nothing})
    assert getattr(answer, reference) == ""
    body = json.dumps([json.loads(answer.to_json()) | {reference: nothing, "user_ref": nothing}]).encode()
    for found in (*collector(body), *worker("inference", body)):
        assert isinstance(found, Inference) and (getattr(found, reference), found.user_ref) == ("", "")
    with pytest.raises(EventError, match="names its answer by"):
        new_feedback(None, "user", "thumb", **{reference: nothing})
    body = (
        new_feedback(None, "user", "thumb", session_id="s")
        .to_json()
        .replace(b'"task":""', f'"task":"{nothing}"'.encode())
    )
    for found in (*collector(body), *worker("feedback", body)):
        assert isinstance(found, Feedback) and found.task == ""
    for name in ("none of them", "undefined-7", "nothing"):
        assert getattr(new_inference("router", "v", **{reference: name}), reference) == name
