"""What stands around events in records and bodies: frames, marks, envelopes, other encodings, objects in a row."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from doors import collector, sender, worker

from headrace.contract import ids
from headrace.contract.envelopes import FIELDS
from headrace.contract.events import Feedback, Inference
from serving.intake.batches import feedback_of

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANSWER = {"inference_id": str(ids.uuid7(AT)), "occurred_at": AT.isoformat(), "task": "router", "version": "router@0"}


@pytest.mark.parametrize(
    "before",
    [b"\x00\x00\x00\x00\x2a", b"\x00" + bytes(7) + b"\x2a", b"\x03\x00" + bytes(range(16)), b"\xef\xbb\xbf",
     b"\x00\x00\x00\x00\x2a\xef\xbb\xbf", b"\n \t"],
)  # fmt: skip
@pytest.mark.parametrize("after", [b"", b"\x00", b"\r\n", b"\n\x00\x00"])
def test_what_producers_put_around_the_json_is_read_past(before: bytes, after: bytes) -> None:
    """Frames of Confluent's, Apicurio's and AWS Glue's registry, a byte order mark, and what C leaves behind a text."""
    for body in (json.dumps(ANSWER).encode(), json.dumps([ANSWER, ANSWER]).encode()):
        for found in (collector(before + body + after), worker("inference", before + body + after)):
            assert all(isinstance(one, Inference) for one in found), found


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_json_in_another_unicode_form_is_read(encoding: str) -> None:
    """By its mark, or by its zeros; the letters are those that were written."""
    body = json.dumps([ANSWER | {"input": "Wörter \U0001f600"}], ensure_ascii=False).encode(encoding)
    for (found,) in (collector(body), worker("inference", body)):
        assert isinstance(found, Inference) and found.input == "Wörter \U0001f600"


@pytest.mark.parametrize("between", [b"", b"\n", b"\r\n", b" "])
def test_objects_in_a_row_are_an_event_each(between: bytes) -> None:
    """Lines in a record or in a body of JSON, as log shippers write them."""
    body = between.join([json.dumps(ANSWER).encode()] * 3)
    assert [len(collector(body)), len(worker("inference", body))] == [3, 3]
    torn = body[:-5]
    assert [str(one).startswith("the value is not JSON") for one in (*collector(torn), *worker("inference", torn))] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("value", "says"),
    [(b"\x00\x00\x00\x00\x2a\x02\x06abc", "behind a schema registry's frame (schema 42) is Avro or Protobuf"),
     (b"\x00\x00\x00\x00\x2a\x00\x0a\x02it", "(schema 42) is Avro or Protobuf; use the registry's JSON serializer"),
     (b"\x1f\x8b\x08\x00abc", "it is gzip; write the JSON as it is"), (b"\x28\xb5\x2f\xfdabc", "it is zstd"),
     (b"\xac\xed\x00\x05sr", "it is a serialized Java object"), (b"Obj\x01", "it is an Avro file")],
)  # fmt: skip
def test_what_is_no_json_is_called_by_its_name(value: bytes, says: str) -> None:
    """The reason says what the bytes are and what to do."""
    for found in (collector(value), worker("inference", value)):
        assert says in str(found[0])


@pytest.mark.parametrize(
    "wrapped",
    [lambda event: json.dumps(json.dumps([event, event])), lambda event: [json.dumps(event)],
     lambda event: {"schema": {"type": "string"}, "payload": json.dumps(event)},
     lambda event: {"schema": {}, "payload": {"before": None, "after": event, "source": {"db": "d"}, "op": "u"}},
     lambda event: {"version": "0", "detail-type": "answer", "source": "desk", "detail": event},
     lambda event: {"Type": "Notification", "MessageId": "7", "Message": json.dumps(event)},
     lambda event: {"@timestamp": "2026-03-02T12:00:00Z", "message": json.dumps(event), "host": {"name": "h"}},
     lambda event: {"log": json.dumps(event) + "\n", "stream": "stdout", "time": "2026-03-02T12:00:00Z"},
     lambda event: {"specversion": "1.0", "id": "7", "source": "/d", "type": "t", "data": json.dumps(event)},
     lambda event: [{"specversion": "1.0", "id": "7", "source": "/d", "type": "t", "data": event}]],
)  # fmt: skip
def test_an_event_is_taken_out_of_its_envelopes(wrapped: Any) -> None:
    """Of Kafka Connect, Debezium and CloudEvents, and of a text that was encoded twice."""
    inside = wrapped(ANSWER)
    body = inside.encode() if isinstance(inside, str) else json.dumps(inside).encode()
    for found in (collector(body), worker("inference", body)):
        assert found and all(isinstance(one, Inference) and one.label == "" for one in found), found


def test_a_cloud_event_gives_its_time() -> None:
    """Where the event in it has none."""
    inside = {name: value for name, value in ANSWER.items() if name != "occurred_at"}
    body = json.dumps({"specversion": "1.0", "time": "2026-03-02T12:00:00Z", "data": inside}).encode()
    for (found,) in (collector(body), worker("inference", body)):
        assert isinstance(found, Inference) and found.occurred_at == AT


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


@pytest.mark.parametrize(
    "spelled", [camel, lambda name: camel(f"_{name}"), lambda name: name.replace("_", "-"), str.upper]
)
def test_names_in_another_case_are_the_contracts(spelled: Callable[[str], str]) -> None:
    """As Jackson, System.Text.Json and JavaScript write them, also in the long form and of feedback by itself."""
    whole = ANSWER | {"session_id": "s-1", "latency_ms": 12.5, "scores": {"sessionId": 0.5}}
    body = json.dumps({spelled(name): value for name, value in whole.items()}).encode()
    long = b'{"inferences": [%b]}' % body
    for (found,) in (collector(body), collector(long), worker("inference", body)):
        assert found == Inference.strict(whole)
    said = {"signal": "thumb", "value": 1, "source": "user", "session_id": "s-1"}
    assert feedback_of(json.dumps({spelled(name): value for name, value in said.items()}).encode(), sender()).value == 1


def test_the_names_are_those_of_the_models() -> None:
    """A new field is known in other cases, too."""
    fields = Inference.model_fields.keys() | Feedback.model_fields.keys()
    assert {name for name in fields if not name.startswith("given_")} == set(FIELDS)


@pytest.mark.parametrize("inside", [{}, None, [], "text", "{", 7])
def test_an_envelope_without_an_event_is_refused_alone(inside: Any) -> None:
    """Its neighbours are taken, in an array and in a row."""
    for around in ({"specversion": "1.0", "data": inside}, {"schema": None, "payload": inside}):
        for body in (json.dumps([ANSWER, around]), json.dumps(around) + json.dumps(ANSWER)):
            for found in (collector(body.encode()), worker("inference", body.encode())):
                assert sorted(isinstance(one, Inference) for one in found) == [False, True], found
