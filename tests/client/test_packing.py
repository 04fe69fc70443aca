"""Events into records."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.client.packing import MAX_RECORD_BYTES, MAX_RECORD_EVENTS, bucket_keys, bucket_of, entry, kind_of, pack
from headrace.client.source import Spooled, frames
from headrace.contract.events import Inference, Source, new_feedback, new_inference
from headrace.contract.ids import uuid7
from headrace.contract.topics import FEEDBACK, LABELS
from headrace.errors import EventError
from headrace.spool import Frame

# A NUL is replaced when it is read.
NO_NUL = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30_000)), max_size=60))
def test_packing_keeps_every_event_in_the_order_of_its_session(sizes: list[tuple[int, int]]) -> None:
    """However large the events, none is lost, a session's stay in order, and a record keeps its bounds."""
    events = [
        new_inference("router", "router@1", session_id=f"s{session}", input="x" * size, label=str(number))
        for number, (session, size) in enumerate(sizes)
    ]
    found = []
    for bucket in pack(entry(event) for event in events):
        for record in bucket:
            held = json.loads(record.value)
            assert len(held) <= MAX_RECORD_EVENTS
            assert len(record.value) <= MAX_RECORD_BYTES + 200 or len(held) == 1
            found.extend(held)
    assert Counter(event["inference_id"] for event in found) == Counter(str(event.inference_id) for event in events)
    for session in {event["session_id"] for event in found}:
        numbers = [int(event["label"]) for event in found if event["session_id"] == session]
        assert numbers == sorted(numbers)


def test_a_full_record_starts_the_next() -> None:
    """201 events of one session take two records."""
    events = [new_inference("router", "router@1", session_id="s") for _ in range(201)]
    (bucket,) = pack(entry(event) for event in events)
    assert [len(json.loads(record.value)) for record in bucket] == [200, 1]


def test_feedback_shares_the_bucket_of_its_sessionless_inference() -> None:
    """An answer outside a session and its feedback fall into the same bucket; another tenant's need not."""
    answer = new_inference("router", "router@1")
    thumb = new_feedback(answer.inference_id, "user", "thumb", value=1)
    assert bucket_of(answer, 64) == bucket_of(thumb, 64)
    buckets = {bucket_of(answer.model_copy(update={"tenant": f"t{number}"}), 64) for number in range(20)}
    assert len(buckets) > 1


@pytest.mark.parametrize("partitions", [1, 3, 8, 64])
def test_bucket_keys_reach_every_partition(partitions: int) -> None:
    """Kafka's own partitioner puts the keys of the buckets on as many partitions."""
    numbers = list(range(partitions))
    assert [DefaultPartitioner()(key, numbers, numbers) for key in bucket_keys(partitions)] == numbers


def test_an_event_too_large_is_the_callers_error() -> None:
    """An event above the bound is refused in a sentence with both sizes."""
    with pytest.raises(EventError, match="at most 1048576 bytes, this has 20"):
        entry(new_inference("router", "router@1", extra={"blob": "x" * 2_000_000}))


@given(st.text(NO_NUL, max_size=200), st.text(NO_NUL, min_size=1, max_size=200),
       st.dictionaries(st.text(), st.text(), max_size=2))  # fmt: skip
@example('"emitter":"",', "desk", {})
def test_an_event_changes_its_emitter_and_nothing_else(old: str, new: str, extra: dict[str, str]) -> None:
    """Whatever the names and the other strings hold, the event reads back with the new emitter and keeps the old."""
    event = new_inference("router", old or "r", emitter=old, tenant=new, input=f',"emitter":"{old}",', extra=extra)
    found = Inference.strict(entry(event, new).body)
    kept = extra | {"emitter": old} if old and old != new else extra
    assert found == event.model_copy(update={"emitter": new, "extra": kept})


FORMS = st.sampled_from(["compact", "spaced", "escaped", "twice", "twice, escaped"])


@given(st.text(max_size=20), st.text(min_size=1, max_size=20), st.dictionaries(st.text(max_size=8), st.text()), FORMS)
@example("b", "gateway", {}, "compact")
@example('"emitter":"b",', "gateway", {"emitter": "b"}, "escaped")
@example("", "gateway", {"emitter": ""}, "escaped")
@example("b", "gateway", {}, "twice, escaped")
def test_an_event_that_passes_on_as_it_came_reads_as_one_written_anew(
    old: str, new: str, extra: dict[str, str], form: str
) -> None:
    """Whatever way its JSON is written, with the emitter's name left out too, the given bytes become the same event."""
    event = new_inference("router", "r", emitter=old, input=f'"emitter":"{old}"', extra=extra)
    for left_out in ({}, {"extra"}, {"emitter"}, {"emitter", "extra"}):
        given_ = {name: value for name, value in json.loads(event.to_json()).items() if name not in left_out}
        text = json.dumps(given_, ensure_ascii=False, separators=(",", ":") if form != "spaced" else (", ", ": "))
        if form == "escaped":
            text = text.replace('"emitter":', '"\\u0065mitter":', 1)
        if form == "twice":
            text = text.replace("{", '{"emitter":"b",', 1)
        if form == "twice, escaped":
            text = text[:-1] + ',"\\u0065mitter":"b"}'
        read = Inference.strict(text.encode())
        assert Inference.strict(entry(read, new, given=text.encode()).body) == Inference.strict(entry(read, new).body)


def test_bytes_pass_on_where_nothing_but_the_emitter_changes() -> None:
    """What a client wrote stands in the record as it wrote it, the emitter's old name in `extra`."""
    text = b'{"inference_id":"%b", "task":"t","version":"v","emitter":"desk","occurred_at":"2026-01-01T00:00:00Z"}'
    text %= str(new_inference("t", "v").inference_id).encode()
    made = entry(Inference.strict(text), "gateway", given=text).body
    assert made == text.replace(b'"emitter":"desk"', b'"emitter":"gateway","extra":{"emitter":"desk"}')


def test_feedback_goes_by_its_source() -> None:
    """What users say and what is ground truth have a topic each, and one kind to be counted by."""
    topics = {source: entry(new_feedback(uuid7(), source, "label", label="it")).topic for source in Source}
    assert {source for source, topic in topics.items() if topic is FEEDBACK} == {Source.USER, Source.IMPLICIT}
    assert set(topics.values()) == {FEEDBACK, LABELS} and {kind_of(topic) for topic in topics.values()} == {"feedback"}


class Journal:
    """What a program left in its spool."""

    def __init__(self, left: list[Frame]) -> None:
        self._left = left

    def take(self) -> list[Frame]:
        return self._left


def test_a_spool_finds_each_events_topic() -> None:
    """A frame knows its kind alone; an older one with feedback of both topics is taken apart, and counted once."""
    said = [new_feedback(uuid7(), source, "label", comment='"source":"user"') for source in ("user", "audit", "judge")]
    answer = new_inference("router", "router@1")
    own = frames([entry(event) for event in (answer, *said)])
    taken = Spooled(Journal(own)).take()  # type: ignore[arg-type]
    assert [(one.topic, one.body) for one in taken] == [
        (one.topic, one.body) for one in (entry(event) for event in (answer, *said))
    ]
    mixed = own[1]._replace(body=b",".join(frame.body for frame in own[1:]), events=3, counted=2)
    taken = Spooled(Journal([mixed])).take()  # type: ignore[arg-type]
    assert [(one.topic, one.events, one.counted) for one in taken] == [(FEEDBACK, 1, 0), (LABELS, 1, 1), (LABELS, 1, 1)]
    assert [json.loads(one.body)["feedback_id"] for one in taken] == [str(one.feedback_id) for one in said]
