"""One reading of events: what the collector takes a worker reads as the same event, and both give the same reasons."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from doors import Outcome, collector, sender, shipped, worker
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from odd_events import feedback, inferences

from headrace.access.events import attributed
from headrace.access.roles import Principal, Role
from headrace.client.packing import MAX_EVENT_BYTES
from headrace.contract import ids
from headrace.contract.events import Event, Feedback, Inference
from headrace.contract.fast_reading import read
from headrace.contract.fields import MAX_DEPTH
from headrace.contract.reading import exactly
from headrace.errors import EventError
from serving.intake.batches import LARGE_EVENT_BYTES, MAX_EVENTS, feedback_of

ID, OTHER = str(ids.uuid7()), str(ids.uuid7())
KINDS: dict[str, type[Event]] = {"inference": Inference, "feedback": Feedback}
REQUIRED: dict[str, dict[str, Any]] = {
    "inference": {"inference_id": ID, "occurred_at": "2026-03-02T08:00:00Z", "task": "router", "version": "router@0"},
    "feedback": {"feedback_id": ID, "inference_id": OTHER, "occurred_at": "2026-03-02T08:00:00Z", "source": "user",
                 "signal": "thumb", "value": -1},
}  # fmt: skip
FRAME = b"\x00" + (42).to_bytes(4, "big")
MARK = b"\xef\xbb\xbf"


def event(kind: str = "inference", **texts: str) -> bytes:
    """An event's JSON, of which some fields are written as given; an empty text leaves the field out."""
    fields = {name: json.dumps(value) for name, value in REQUIRED[kind].items()} | texts
    return ("{" + ",".join(f'"{name}": {text}' for name, text in fields.items() if text) + "}").encode()


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


GOOD: dict[str, bytes] = {
    "plain": event(),
    "every field": Inference.strict(REQUIRED["inference"] | {"scores": {"it": 0.5}, "extra": {"a": [1]}}).to_json(),
    "escapes": event(input='"\\u00e9\\ud83d\\ude00\\u2028\\/"'),
    "an escaped name": event(input="", **{"\\u0069nput": '"VPN"'}),
    "a name twice": event()[:-1] + b', "task": "the last"}',
    "numbers in text": event(latency_ms='"12.5"', tokens_in='"7"'),
    "a number of another type": event(tokens_in="7.0", cost="1", consent="0"),
    "a time in seconds": event(occurred_at="1772438400"),
    "a time with another zone": event(occurred_at='"2026-03-02T13:30:00+05:30"'),
    "an id in capitals": event(inference_id=f'"{ID.upper()}"'),
    "null is unset": event(session_id="null", scores="null", latency_ms="null", parent_id="null", extra="null"),
    "an unknown field that is null": event(mood="null"),
    "another model's id that is null": event(feedback_id="null", signal="null"),
    "NaN in extra": event(extra='{"a": NaN, "b": [Infinity]}'),
    "extra as deep as can be": event(extra=deep(MAX_DEPTH - 1)),
    "a large number in extra": event(extra='{"a": ' + "9" * 400 + "}"),
    "another's name in extra": event(emitter='"desk"', extra='{"emitter":"web"}'),
    "NaN": event(latency_ms="NaN", cost='"nan"', tokens_in='" "'),
    "measurements that are none": event(tokens_in="-1", tokens_out="1.5", cost="1e400", latency_ms='"12 ms"'),
    "a score that is none": event(scores='{"it": NaN, "hr": 0.5, "": 0.1, "erp": null, "fin": Infinity}'),
    "a score above 1 by a hair": event(scores='{"it": 1.0000001, "hr": -0.0000001}', audit_probability="1.0005"),
    "scores of a classifier": event(scores='[[{"label": "it", "score": 0.9}, {"label": "hr", "score": "0.1"}]]'),
    "scores in a text": event(scores='"{\\"it\\": 0.9}"'),
    "a long text": event(input=json.dumps("x" * 65_537), output=json.dumps("\U0001f600" * 70_000)),
    "long names": event(session_id=json.dumps("s" * 201), label=json.dumps("l" * 900), task=json.dumps("é" * 201)),
    "half of a surrogate pair": event(input='"a\\ud800"', task='"a\\udc00"'),
    "half of one in extra": event(extra='{"a": "\\udc00", "\\ud800": 1}'),
    "a NUL": event(input='"a\\u0000b"', session_id='"\\u0000"'),
    "a backslash before u0000": event(input='"a\\\\u0000b"'),
    "other types": event(label="3", session_id="12.0", user_ref="true", consent='" no "', arm='"LIVE"', extra='"{}"'),
    "an event in a text": json.dumps(event().decode()).encode(),
    "a CloudEvent": b'{"specversion": "1.0", "type": "answer", "source": "/desk", "id": "1", "data": %b}' % event(),
    "Kafka Connect": b'{"schema": {"type": "struct"}, "payload": %b}' % event(),
    "Debezium": b'{"before": null, "after": %b, "source": {"table": "answers"}, "op": "c", "ts_ms": 1}' % event(),
    "an id of version 4": event(inference_id='"5B3C1D70-0d6f-4a53-9c5e-0c7b3c1f2a11"'),
    "an id that is text": event(inference_id='" chatcmpl-9 "'),
    "an id that is a number": event(inference_id="4711"),
    "an id of version 7 before 2000": event(inference_id='"00000000-0000-7000-8000-000000000001"'),
    "a parent that is text": event(parent_id='"ticket 7"'),
    "feedback under and about texts": event("feedback", feedback_id='"form-7"', inference_id='"chatcmpl-9"'),
    "feedback about a word for nothing": event("feedback", inference_id='"null"', session_id='"s-1"'),
    "feedback": event("feedback"),
    "feedback with a thumb of 0": event("feedback", value="0"),
    "feedback with a thumb that is false": event("feedback", value="false"),
    "feedback with a thumb in words": event("feedback", value='"thumbs down"'),
    "feedback with a range": event("feedback", signal='"rating"', value="8", best="10"),
    "feedback with a range in extra": event("feedback", signal='"rating"', value="4", extra='{"best": 10, "a": 1}'),
    "feedback with a range alone": event("feedback", signal='"rating"', value="null", best="10", comment='"late"'),
    "feedback with a long comment": event("feedback", comment=json.dumps("x" * 70_000)),
    "feedback with nulls": event("feedback", label="null", comment="null", blame="null", session_id="null"),
    "feedback by session": event("feedback", inference_id="null", session_id='"s-1"'),
}
BAD: dict[str, tuple[bytes, str]] = {
    "a number": (b"7", "an event is a JSON object, but it was 7"),
    "null": (b"null", "an event is a JSON object, but it was None"),
    "an array in the array": (b"[1, 2]", "an event is a JSON object, but it was [1, 2]"),
    "Infinity": (
        event("feedback", signal='"comment"', value="1e400"),
        "Feedback.value: Input should be a finite number, but it was inf",
    ),
    "out of range": (event(revision="-1"), "Inference.revision: Input should be greater than or equal to 0"),
    "beyond 64 bits": (event(revision="9" * 30), "Inference.revision: Input should be less than or equal to 1000000"),
    "a score above 1": (event(scores='{"it": 1.5}'), "Inference.scores.it: Input should be less than or equal to 1"),
    "a wrong type": (event(input="[]"), "Inference.input: Input should be a valid string, but it was []"),
    "a wrong word": (event(arm='"dead"'), "Inference.arm: Input should be 'live', 'canary' or 'shadow'"),
    "a required null": (event(task="null"), "Inference.task: the field is missing"),
    "a required field left out": (event(version=""), "Inference.version: the field is missing"),
    "a time without its zone": (event(occurred_at='"2026-03-02T08:00:00"'), "Inference.occurred_at: a time needs its"),
    "a time of 1999": (event(occurred_at='"1999-03-02T08:00:00Z"'), "Inference.occurred_at: a time lies between"),
    "an id of zeros": (event(inference_id=f'"{UUID(int=0)}"'), "Inference.inference_id: it names no event, it was"),
    "a word for no id": (event(inference_id='"undefined"'), "Inference.inference_id: it names no event, it was"),
    "an object for an id": (event(inference_id='{"a": 1}'), "Inference.inference_id: an id is text or a whole number"),
    "an id of 201 characters": (
        event(inference_id=json.dumps("x" * 201)),
        "Inference.inference_id: an id has at most 200 characters, this has 201",
    ),
    "bytes that are not UTF-8": (event(input='"a?"').replace(b"?", b"\xff"), "byte 0xff at 144 of the event is not"),
    "a surrogate in UTF-8": (event(input='"?"').replace(b"?", b"\xed\xa0\x80"), "byte 0xed at 143 of the event is not"),
    "too deep": (event(extra=deep(MAX_DEPTH)), f"Inference: it is nested more than {MAX_DEPTH} levels deep"),
    "far too deep": (event(extra=deep(20_000)), f"it is nested more than {MAX_DEPTH} levels deep"),
    "a number without an end": (event(extra='{"a": ' + "9" * 5000 + "}"), "a number has thousands of digits"),
    "feedback with a thumb of 5": (event("feedback", value="5"), "Feedback.value: a thumb is 1 (up) or -1"),
    "feedback with a rating of 9": (
        event("feedback", signal='"rating"', value="9"),
        "Feedback.value: a rating is 1 to 5; for another range send `best`",
    ),
    "feedback with a yes for a rating": (
        event("feedback", signal='"rating"', value="true"),
        "Feedback.value: a rating is 1 to 5",
    ),
    "feedback beyond its range": (
        event("feedback", signal='"rating"', value="11", extra='{"best": 10}'),
        "Feedback.value: a rating is 1 to 10 here, as declared, but it was 11, best 10",
    ),
    "feedback with a resolution of 2": (
        event("feedback", signal='"resolution"', value="2"),
        "Feedback.value: a resolution is 1 (solved) or 0 (not), but it was 2",
    ),
    "a time of numbers": (
        event(occurred_at="[2026, 3, 2, 12, 0]"),
        "Inference.occurred_at: an array of numbers is a local time without its zone, as Jackson writes it",
    ),
    "a time that is not set": (event(occurred_at='"0001-01-01T00:00:00Z"'), "Inference.occurred_at: a time lies"),
    "Kafka Connect without a payload": (b'{"schema": null, "payload": null}', "an event is a JSON object, but it was"),
    "feedback of nobody": (event("feedback", source='"ghost"'), "Feedback.source: Input should be 'user', 'implicit'"),
    "feedback on nothing": (event("feedback", inference_id=""), "Feedback: feedback names its answer by an inference"),
}
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \n",
    "a word": b"nul",
    "no end": b"[" + event(),
    "a comma too many": b"[" + event() + b",]",
    "events without an array": event() + b"," + event(),
    "no comma": b"[" + event() + event() + b"]",
    "a torn event": b"[" + event() + b"," + event()[:-9] + b"]",
    "more behind it": b"[" + event() + b"] x",
    "a raw tab in a text": event(input='"a\tb"'),
    "brackets without an end": b"[" * 100_000,
    "UTF-16 that is cut": event().decode().encode("utf-16")[:-8],
    "a frame before something else": FRAME + b"\x02\x04",
    "Protobuf behind a frame": FRAME + b"\x00\x0a\x03it",
    "gzip": b"\x1f\x8b\x08\x00\x00",
    "a Java object": b"\xac\xed\x00\x05t\x00\x02it",
    "bytes that are not UTF-8 between events": b"[" + event() + b"\xff]",
}


def kind_of(body: bytes) -> str:
    return "feedback" if b'"feedback_id": "' in body else "inference"


@pytest.mark.parametrize("name", GOOD)
def test_what_the_collector_takes_a_worker_reads_as_the_same_event(name: str) -> None:
    """From the emitter's bytes and from those that the collector sends, alone, packed, marked, framed and as lines."""
    body = GOOD[name]
    kind = kind_of(body)
    (taken,) = collector(body)
    assert isinstance(taken, KINDS[kind]), taken
    packed = b"[ %b,\n%b ]" % (body, event(kind))
    for value in (body, b" " + body + b"\r\n", MARK + body, FRAME + body, FRAME + MARK + body):
        assert told(collector(value)) == told(worker(kind, value)) == told([taken])
        assert told(worker(kind, shipped(value))) == told([taken])
    for value in (packed, MARK + packed, FRAME + packed):
        assert told(collector(value)) == told(worker(kind, value)) == told(worker(kind, shipped(value)))
        assert told(collector(value))[0] == told([taken])[0]
    assert told(collector(MARK + body + b"\n" + event(kind), lines=True)) == told(collector(packed))


@pytest.mark.parametrize("name", GOOD)
def test_what_is_stamped_is_read_as_the_principals(name: str) -> None:
    """Tenant and key are those of the key that brought the event, whichever way its bytes take."""
    principal = Principal("acme", frozenset(Role), key_id="k-1")
    body, kind = GOOD[name], kind_of(GOOD[name])
    (taken,) = collector(body)
    assert isinstance(taken, Event)
    (found,) = worker(kind, shipped(body, principal))
    assert isinstance(found, Event) and (found.tenant, found.key_id) == ("acme", "k-1")
    assert told([found]) == told([attributed(taken, principal)])


@pytest.mark.parametrize("name", BAD)
def test_a_bad_event_costs_no_neighbour_and_has_one_reason(name: str) -> None:
    """Both doors take the events around it and name it alike, alone, packed, in lists and as a line."""
    body, reason = BAD[name]
    kind = kind_of(body)
    packed = b"[%b, %b,%b]" % (event(kind), body, event(kind))
    at_the_collector, at_the_worker = collector(packed), worker(kind, packed)
    assert told(at_the_collector) == told(at_the_worker)
    before, found, after = at_the_collector
    assert isinstance(before, Event) and isinstance(after, Event)
    assert isinstance(found, str) and found.startswith(reason), found
    (alone,) = collector(b"[%b]" % body)
    assert isinstance(alone, str) and alone.endswith(found) and worker(kind, b"[%b]" % body) == [found]
    lists = b'{"%b": [%b, %b]}' % (b"feedback" if kind == "feedback" else b"inferences", event(kind), body)
    assert told(collector(lists)) == told([before, found])
    assert told(collector(event(kind) + b"\n" + body, lines=True)) == told([before, found])


@pytest.mark.parametrize("places", [(0,), (0, 1), (1, 0)])
def test_a_line_is_one_event(places: tuple[int, ...]) -> None:
    """Lines that are cut at a comma are no event, and two events in one line are none, though their number is right."""
    whole = event()
    torn, two = event(extra='{"a": [{}\n{}]}'), whole + b"," + whole
    body = b"\n".join([event(), *((torn, two)[place] for place in places), b" " + whole + b" "])
    before, *wrong, after = collector(body, lines=True)
    assert told([before, after]) == told([*collector(whole), *collector(whole)])
    assert len(wrong) == sum((2, 1)[place] for place in places)
    assert all(str(found).startswith("the value is not JSON") for found in wrong)


def test_arrays_in_a_row_hold_an_event_an_element() -> None:
    """A producer that packs events into arrays may write these as lines, as others do with objects."""
    one, two, three = event(), event(task='"b"'), event(task='"c"')
    for body in (b"[%b]\n[]\n[%b, %b]\n" % (one, two, three), one + b"[%b,%b]" % (two, three)):
        found = collector(body)
        assert told(found) == told(worker("inference", body)) == told(worker("inference", shipped(body)))
        assert [each.task for each in found if isinstance(each, Inference)] == ["router", "b", "c"]


@pytest.mark.parametrize("name", BROKEN)
def test_broken_json_is_refused_whole_with_one_reason(name: str) -> None:
    """Nobody can tell where the next event would begin, so all of it is one dead letter or one refusal."""
    (refused,), (letter,) = collector(BROKEN[name]), worker("inference", BROKEN[name])
    assert refused == letter and str(refused).startswith("the value is not JSON")


def test_the_collector_alone_refuses_an_unknown_field() -> None:
    """Its sender can still be told; what a newer emitter wrote to Kafka is kept in `extra`."""
    body = b"[%b, %b]" % (event(), event(mood='"good"', extra='{"a": 1}'))
    assert told(collector(body))[1] == "Inference.mood: there is no such field"
    kept = worker("inference", body)[1]
    assert isinstance(kept, Inference) and kept.extra == {"a": 1, "mood": "good"}


def test_an_event_as_large_as_the_collector_takes_is_read_by_a_worker() -> None:
    """One byte above the collector's bound is refused there; a worker has no bound but a record's."""
    room = LARGE_EVENT_BYTES - len(event(extra='{"a": ""}'))
    for more, taken in ((-1, True), (0, False)):
        body = b"[%b]" % event(extra=json.dumps({"a": "x" * (room + more)}))
        (found,) = collector(body)
        assert isinstance(found, Event) is taken
        assert taken or f"at most {MAX_EVENT_BYTES} bytes" in str(found)
        assert all(isinstance(one, Event) for one in worker("inference", body))


def test_a_record_of_as_many_events_as_a_body_holds_is_read() -> None:
    """A worker counts no good events; the collector asks for a smaller body beyond its bound."""
    body = b"[%b]" % b",".join([event()] * (MAX_EVENTS + 1))
    assert f"{MAX_EVENTS} may come at once" in str(collector(body)[0])
    assert len(worker("inference", body)) == MAX_EVENTS + 1


def test_a_list_that_stands_twice_is_refused() -> None:
    """No parser keeps both, so events would be lost without a word."""
    body = b'{"inferences": [%b], "inferences": [%b]}' % (event(), event())
    assert collector(body) == ["the request.inferences: the field stands twice; put its events into one list"]


@pytest.mark.parametrize("name", [*GOOD, *(name for name, (body, _) in BAD.items() if body.startswith(b"{"))])
def test_a_program_that_builds_an_event_is_told_the_same(name: str) -> None:
    """The SDK's, the importer's and OTLP's way from fields to an event: the same event or the same reason."""
    body = GOOD[name] if name in GOOD else BAD[name][0]
    (found,) = worker(kind_of(body), body)
    try:
        assert told([KINDS[kind_of(body)].strict(body)]) == told([found])
    except EventError as error:
        assert str(error) == found


@pytest.mark.parametrize("name", [name for name in [*GOOD, *BAD] if "feedback" in name])
def test_one_feedback_by_itself_is_read_alike(name: str) -> None:
    """POST /v1/feedback takes what /v1/events takes, and says the same of what it does not."""
    body = GOOD[name] if name in GOOD else BAD[name][0]
    try:
        found: Outcome = feedback_of(MARK + body, sender())
    except Exception as refusal:
        found = str(refusal)
    assert told([found]) == told(worker("feedback", body))


def test_a_name_that_is_null_is_given_by_the_collector() -> None:
    """What a record class of Java writes for feedback without an id and a time of its own."""
    body = event("feedback", feedback_id="null", occurred_at="null", label="null")
    assert feedback_of(body, sender()).value == -1


def test_the_parser_goes_as_deep_as_the_contract_says() -> None:
    """A newer pydantic may go deeper: then MAX_DEPTH has to follow, or the two ways of one reading differ."""
    assert exactly(Inference, event(extra=deep(MAX_DEPTH - 1)), array=False)
    assert exactly(Inference, event(extra=deep(MAX_DEPTH)), array=False) is None


@pytest.mark.parametrize(("kind", "values"), [("inference", inferences), ("feedback", feedback)])
def test_every_way_of_the_reading_gives_the_same_event(kind: str, values: st.SearchStrategy[str]) -> None:
    """Odd events of every form: the fast, the exact and the careful reading agree, and so do both doors."""

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values, st.sampled_from([b"", MARK, FRAME]))
    @example(event(kind).decode(), FRAME)
    def same(text: str, before: bytes) -> None:
        # What a worker makes of an arm without a signature is no matter of reading.
        body = text.replace("canary", "live").replace("shadow", "live").encode()
        at_the_worker = worker(kind, before + b"[" + body + b"]")
        at_the_collector = collector(before + b"[" + body + b"]")
        if told(at_the_collector) != told(at_the_worker):
            assert "there is no such field" in str(at_the_collector[0])
        model = KINDS[kind]
        for found in (exactly(model, body, array=False), read(model, body, array=False)):
            if found is not None:
                whole = found[0] if isinstance(found[0], Event) else found[0].whole(body)
                assert told([model.strict(body)]) == told([whole]) == told(worker(kind, body))

    same()


def told(found: list[Outcome]) -> list[Any]:
    """Outcomes to compare: NaN is not equal to itself, and a refusal of all events begins with their number."""
    return [
        json.loads(one.to_json()) if isinstance(one, Event) else one.rpartition("the first is number 0: ")[2]
        for one in found
    ]
