"""What stands around events in records and bodies: frames, marks, envelopes, other encodings, objects in a row."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from doors import RULES, collector, sender, worker

from headrace.contract import ids
from headrace.contract.envelopes import FIELDS
from headrace.contract.events import Feedback, Inference
from headrace.contract.topics import INFERENCES
from serving.intake.batches import feedback_of, parse
from streams.decode import Decoded, Raw, decode
from streams.tables import table_of

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
ID = ids.uuid7(AT)
TABLE = table_of(INFERENCES)
ANSWER = {"inference_id": str(ID), "occurred_at": AT.isoformat(), "task": "router", "version": "router@0"}


@pytest.mark.parametrize(
    "before",
    [*(bytes(zeros) for zeros in range(1, 12)), b"\x00\x00 \n", b"\x00\x00\xef\xbb\xbf",
     b"\x00\x00\x00\x00{", b"\x00\x00\x00\x00[", b"\x00" + bytes(7) + b"{", b"\x00\x00\x00\x00\x2a",
     b"\x00" + bytes(7) + b"\x2a", b"\x03\x00" + bytes(range(16)), b"\xef\xbb\xbf",
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


@pytest.mark.parametrize("spell", [lambda name: name, lambda name: camel(name)])
@pytest.mark.parametrize(
    "around",
    [lambda event: event, json.dumps, lambda event: {"schema": {}, "payload": event},
     lambda event: {"schema": {}, "payload": {"before": None, "after": event, "source": {}, "op": "c"}}],
)  # fmt: skip
def test_its_time_is_for_the_event_within_whatever_is_in_the_data(around: Any, spell: Callable[[str], str]) -> None:
    """Names in another case, an envelope in the data: the time is never theirs."""
    inside = {spell(name): value for name, value in ANSWER.items() if name != "occurred_at"}
    body = json.dumps({"specversion": "1.0", "time": "2026-03-02T12:00:00Z", "data": around(inside)}).encode()
    for (found,) in (collector(body), worker("inference", body)):
        assert isinstance(found, Inference) and found.occurred_at == AT, found


TEXT = json.dumps(ANSWER)


@pytest.mark.parametrize(
    "shipped",
    [{"file": "/a", "host": "h", "message": TEXT, "source_type": "file", "timestamp": "2026-03-02T12:00:00Z"},
     {"date": 1772452800.5, "log": TEXT}, {"date": 1772452800.5, "message": TEXT}, {"@timestamp": 1.5, "log": TEXT},
     {"log": TEXT, "container_id": "c", "container_name": "/c", "source": "stdout"},
     {"time": "2026-03-02T12:00:00Z", "stream": "stdout", "_p": "F", "log": TEXT + "\n"},
     {"message": TEXT, "fromhost": "h", "facility": "user", "timereported": "2026"},
     {"@timestamp": "2026-03-02T12:00:00Z", "@version": "1", "message": TEXT, "host": {"name": "h"}, "tags": []},
     {"MESSAGE": TEXT, "_PID": "1", "__REALTIME_TIMESTAMP": "1"}, {"line": TEXT}, {"log": ANSWER, "kubernetes": {}},
     {"level": 30, "time": 1, "pid": 7, "msg": TEXT}, {"jsonPayload": ANSWER, "logName": "l"},
     {"event": ANSWER, "time": 1, "sourcetype": "_json"},
     {"message": json.dumps({"log": TEXT + "\n", "stream": "stdout"}), "version": "1", "task": "collect"}],
)  # fmt: skip
def test_a_log_shippers_event_is_in_one_of_its_texts(shipped: dict[str, Any]) -> None:
    """Vector, Fluent Bit, fluentd, Docker, rsyslog, Logstash, journald, Pino and Splunk as they come."""
    body = json.dumps([shipped, shipped]).encode()
    for found in (collector(body), worker("inference", body)):
        assert found == [Inference.strict(ANSWER)] * 2, found


@pytest.mark.parametrize("spell", [lambda name: name, lambda name: camel(name)])
def test_an_event_with_a_text_that_is_called_message_is_that_event(spell: Callable[[str], str]) -> None:
    """A field of its own is no envelope."""
    whole = {spell(name): value for name, value in ANSWER.items()} | {"message": TEXT}
    (found,) = worker("inference", json.dumps(whole).encode())
    assert isinstance(found, Inference) and found.extra == {"message": TEXT}


DELETED = [
    {"before": ANSWER, "after": None, "source": {"db": "d"}, "op": "d"},
    {"schema": {}, "payload": {"before": None, "after": None, "source": {}, "op": "t"}},
    {"source": {}, "op": "t", "ts_ms": 1}, ANSWER | {"__deleted": "true"},
    {"_id": {"_data": "8"}, "operationType": "delete", "documentKey": {"_id": "7"}},
    {"specversion": "1.0", "id": "7", "data": {"before": ANSWER, "after": None, "source": {}, "op": "d"}},
]  # fmt: skip


@pytest.mark.parametrize("deleted", DELETED)
def test_a_deletion_is_no_event_and_no_fault(deleted: Any) -> None:
    """Of a change stream, alone, in an array and in a row; an event's place is its own all the same."""
    text = json.dumps(deleted)
    for body in (text, f"[{text}]", text * 2):
        assert collector(body.encode()) == worker("inference", body.encode()) == []
    parsed = parse(f"[{text}, {TEXT}, 7]".encode(), sender())
    assert [len(parsed.events), [wrong.index for wrong in parsed.wrong]] == [1, [2]]
    (row,), (letter,) = decode(Raw("headrace.inferences", 0, 7, f"[{text}, {TEXT}, 7]".encode()), TABLE, AT, RULES)[:2]
    assert [row.place, letter.record_index] == [1, 2]


@pytest.mark.parametrize("value", [None, b"null", b" null\n", b"\x00\x00\x00\x00\x2anull"])
def test_a_tombstone_is_nothing(value: bytes | None) -> None:
    """A record without a value, or with the null of a program that encodes whatever it sends."""
    assert decode(Raw("headrace.inferences", 0, 7, value), TABLE, AT, RULES) == Decoded([], [])


@pytest.mark.parametrize(
    ("fields", "reads"),
    [({"_id": {"$oid": "65e"}}, {"extra": {"_id": "65e"}}),
     ({"_id": 7, "extra": {"a": 1}}, {"extra": {"a": 1, "_id": 7}}),
     ({"tokens_in": {"$numberLong": "5"}, "tokens_out": {"$numberInt": "6"}}, {"tokens_in": 5, "tokens_out": 6}),
     ({"latency_ms": {"$numberDouble": "5.5"}, "cost": {"$numberDecimal": "0.5"}}, {"latency_ms": 5.5, "cost": 0.5}),
     ({"scores": {"it": {"$numberDouble": "0.9"}}}, {"scores": {"it": 0.9}}),
     ({"session_id": {"$oid": "65e"}}, {"session_id": "65e"}),
     ({"inference_id": {"$binary": {"base64": b64encode(ID.bytes).decode(), "subType": "04"}}}, {}),
     ({"inference_id": {"$uuid": str(ID)}, "occurred_at": {"$date": {"$numberLong": "1772452800000"}}}, {}),
     ({"latency_ms": {"$numberDouble": "NaN"}}, {}),
     ({"extra": {"a": {"$oid": "7"}}}, {"extra": {"a": {"$oid": "7"}}})],
)  # fmt: skip
def test_a_document_of_mongodb_has_plain_values(fields: dict[str, Any], reads: dict[str, Any]) -> None:
    """Extended JSON's numbers and ids, in a document and in a change stream's; its own id is kept beside the event."""
    whole = ANSWER | fields
    for body in (whole, {"operationType": "insert", "fullDocument": whole}):
        for (found,) in (collector(json.dumps(body).encode()), worker("inference", json.dumps(body).encode())):
            assert found == Inference.strict(ANSWER | reads), found


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
