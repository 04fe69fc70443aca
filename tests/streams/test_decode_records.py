"""Decoding is total: whatever a record holds, every event of it is a row or a dead letter, and none is both."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from slowness import slowness

from headrace.contract.control import Counter, DeadLetter
from headrace.contract.elements import elements
from headrace.contract.events import Inference, new_feedback, new_inference, pack
from headrace.contract.excerpt import KEPT_BYTES, Excerpt
from headrace.contract.letters import WHOLE
from headrace.contract.topics import DEAD_LETTERS, EMITTERS, FEEDBACK, INFERENCES, JOBS
from headrace.warehouse.client import events_of as rows_of
from streams.decode import MAX_BAD, Decoded, Raw, decode
from streams.rules import Rules
from streams.store import Block
from streams.tables import TABLES, table_of

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def events_of(value: bytes | None) -> Decoded:
    return decode(Raw(INFERENCES.name, 3, 17, value), table_of(INFERENCES), NOW, Rules())


def good(**fields: Any) -> Inference:
    return new_inference("router", "router@1", **fields)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
# What an event may look like when one field of it is anything at all.
almost_events = st.builds(
    lambda name, value: json.loads(good().to_json()) | {name: value},
    st.sampled_from([*Inference.model_fields, "new_field"]),
    json_values,
)


@given(st.binary())
@example(b"")
@example(b"[]")
@example(b"[" * 100_000)
@example(b'{"a": ' * 100_000)
@example(b"[1e400, 9" + b"9" * 5000 + b"]")
@example(b'"\\ud800"')
def test_any_bytes(value: bytes) -> None:
    """No bytes make it raise; what is not JSON is one dead letter of the whole record, with its bytes."""
    decoded = events_of(value)
    assert decoded.rows == []
    if any(letter.record_index == WHOLE for letter in decoded.letters):
        assert len(decoded.letters) == 1
        assert b64decode(decoded.letters[0].original) == value


@given(st.lists(almost_events | json_values, max_size=6), st.booleans())
def test_each_event_is_a_row_or_a_dead_letter(values: list[Any], spaced: bool) -> None:
    """Every place of a packed record is found once: as a row, or as a dead letter that can be sent."""
    text = json.dumps(values, indent=1 if spaced else None)
    decoded = events_of(text.encode())
    places = [row.place for row in decoded.rows] + [letter.record_index for letter in decoded.letters]
    assert sorted(places) == list(range(len(values)))
    for row in decoded.rows:
        (stored,) = map(json.loads, rows_of(row.body))
        assert (stored["kafka_partition"], stored["kafka_offset"], stored["kafka_index"]) == (3, 17, row.place)
    for letter in decoded.letters:
        assert DeadLetter.model_validate_json(letter.to_json()) == letter
        original = json.loads(b64decode(letter.original))
        assert json.dumps(original) == json.dumps(values[letter.record_index])


@given(st.lists(st.text(max_size=20), max_size=5))
def test_the_fast_way_and_the_tolerant_way_agree(inputs: list[str]) -> None:
    """One bad event sends a record down the tolerant way; the good ones become the same rows there."""
    inferences = [good(input=text.encode(errors="ignore").decode()) for text in inputs]
    fast = events_of(pack(inferences))
    slow = events_of(b"[" + b",".join([*(event.to_json() for event in inferences), b"7"]) + b"]")
    assert [row.body for row in fast.rows] == [row.body for row in slow.rows]
    assert [letter.record_index for letter in slow.letters] == [len(inputs)]


def test_a_newer_emitters_field_is_kept() -> None:
    """An unknown field is no reason to refuse an event: it is stored in `extra`."""
    fields = json.loads(good().to_json()) | {"mood": "good"}
    (row,) = events_of(json.dumps(fields).encode()).rows
    assert json.loads(rows_of(row.body)[0])["extra"] == {"mood": "good"}


def test_an_extra_that_cannot_be_stored_is_mended() -> None:
    """Half of a surrogate pair in an unknown field is replaced, and the event and its neighbour are stored."""
    odd = json.loads(good().to_json()) | {"mood": "\ud800"}
    decoded = events_of(json.dumps([odd, json.loads(good().to_json())]).encode())
    assert [row.place for row in decoded.rows] == [0, 1]
    assert json.loads(rows_of(decoded.rows[0].body)[0])["extra"] == {"mood": "\ufffd"}


def test_an_id_beyond_the_calendar_is_a_text() -> None:
    """A version 7 id may carry a time after the year 9999: an id is derived, for a dead letter, too."""
    fields = json.loads(good().to_json()) | {"inference_id": "ffffffff-ffff-7000-8000-000000000000"}
    (row,) = events_of(json.dumps(fields).encode()).rows
    (letter,) = events_of(json.dumps(fields | {"revision": -1}).encode()).letters
    stored = json.loads(rows_of(row.body)[0])
    assert stored["given_id"] == fields["inference_id"]
    assert stored["inference_id"] == str(letter.event_id) and letter.event_id.version == 7


@pytest.mark.parametrize("value", [b"[{}] x", b"{} 1", b"[1,]", b"[1 2]", b"[1,,2]", b"[", b"[1", b",", b"nul"])
def test_nearly_json_is_one_dead_letter(value: bytes) -> None:
    """A record that is broken anywhere is one dead letter: nobody can tell where its events would begin."""
    assert [letter.record_index for letter in events_of(value).letters] == [WHOLE]


def test_a_dead_letter_has_the_events_own_bytes() -> None:
    """The original of one event of a record is the very text it had there."""
    odd = b'{ "inference_id" :\t7.0e0, "\xc3\xa4": "\\u00e4" }'
    value = b"[\n" + good().to_json() + b" , " + odd + b" ]\n"
    (letter,) = events_of(value).letters
    assert b64decode(letter.original) == odd
    assert [found.original for found in elements(value)][1] == odd


def test_control_messages() -> None:
    """A control message is one row; a tombstone is nothing; anything else is a dead letter that names the field."""
    counter = Counter(emitter="sdk-1", kind="inferences", sequence=4, at=NOW, emitted=10)
    table = table_of(EMITTERS)
    (row,) = decode(Raw(EMITTERS.name, 0, 1, counter.to_json()), table, NOW, Rules()).rows
    assert json.loads(row.body)["emitted"] == 10
    assert decode(Raw(JOBS.name, 0, 1, None), table_of(JOBS), NOW, Rules()) == Decoded([], [])
    (letter,) = decode(Raw(EMITTERS.name, 0, 1, b'{"emitter": "sdk-1"}'), table, NOW, Rules()).letters
    assert "Counter.kind" in letter.reason
    assert decode(Raw(FEEDBACK.name, 0, 1, None), table_of(FEEDBACK), NOW, Rules()) == Decoded([], [])


def test_feedback_ids_are_kept_with_dead_letters() -> None:
    """A dead letter of a feedback bears the feedback's id."""
    feedback = new_feedback(good().inference_id, "user", "thumb", value=1)
    broken = json.loads(feedback.to_json()) | {"value": "high"}
    (letter,) = decode(Raw(FEEDBACK.name, 0, 1, json.dumps(broken).encode()), table_of(FEEDBACK), NOW, Rules()).letters
    assert letter.event_id == feedback.feedback_id


def test_an_answer_whose_feedback_id_is_null_is_named_by_its_own() -> None:
    """A producer may write null for each field that it leaves out."""
    answer = good()
    broken = json.loads(answer.to_json()) | {"feedback_id": None, "revision": "slow"}
    (letter,) = events_of(json.dumps(broken).encode()).letters
    assert letter.event_id == answer.inference_id


def test_tables_bear_their_topics_names() -> None:
    """Every topic has a table, and only events are packed."""
    assert [table.name for table in TABLES if table.packed] == ["inferences", "feedback", "feedback"]
    assert {"dead_letters", "jobs", "promotions"} <= {table.name for table in TABLES}


def decoding_s(value: bytes) -> float:
    """Seconds of processor time to decode a record into a block, the better of two."""
    found = []
    for _ in range(2):
        block, began = Block(table_of(INFERENCES), Rules()), time.process_time()
        block.add(Raw(INFERENCES.name, 0, 1, value))
        found.append(time.process_time() - began)
    return min(found)


@pytest.mark.parametrize(
    "event",
    [b"7", b'{"inference_id":"' + b"x" * 60 + b'"}', b'{"a":' * 40 + b"1" + b"}" * 40],
    ids=["a number", "no event", "deep"],
)
def test_bad_events_take_time_in_proportion_to_their_number(event: bytes) -> None:
    """Ten times the bad events take ten times as long, and a bad event takes less than half a millisecond."""
    few, many = (decoding_s(b"[" + b",".join([event] * n) + b"]") for n in (400, 4000))
    assert many < 25 * few, (few, many)
    assert many < 2 * slowness()


def test_a_record_full_of_nothing_is_decoded_in_seconds() -> None:
    """A million elements that are no events are one dead letter, which says how many there are too many."""
    block, began = Block(table_of(INFERENCES), Rules()), time.process_time()
    block.add(Raw(INFERENCES.name, 0, 1, b"[" + b",".join([b"7"] * 1_000_000) + b"]"))
    assert time.process_time() - began < 4 * slowness()
    (letter,) = block.letters
    assert letter.record_index == WHOLE and "more than 10000 events of the record are bad" in letter.reason
    assert block.records[0].events == MAX_BAD + 1


def test_emitters_named_in_many_ways_take_time_in_proportion_to_their_number() -> None:
    """Events that each bear another emitter's name in `extra` are rows: ten times as many take ten times as long."""

    def named(n: int) -> bytes:
        return pack([good(extra={"emitter": f"desk.{number}"}) for number in range(n)])

    # Milliseconds vary by a third where the machine does other things; time in the square of the number is 100-fold.
    few, many = (min(decoding_s(named(n)) for _ in range(3)) for n in (400, 4000))
    assert many < 25 * few, (few, many)
    block = Block(table_of(INFERENCES), Rules())
    block.add(Raw(INFERENCES.name, 0, 1, named(20)))
    assert block.letters == [] and block.records[0].events == 20


def test_a_block_of_letters_is_bounded() -> None:
    """Records of a few bytes that become thousands of letters fill a block long before its bytes do."""
    block = Block(table_of(INFERENCES), Rules())
    while not block.full:
        block.add(Raw(INFERENCES.name, 0, len(block.records), b"[" + b",".join([b"7"] * 1000) + b"]"))
    assert len(block.letters) <= 10_000


def test_a_large_original_is_described() -> None:
    """A letter always fits its topic: of an original that is too large it keeps length, digest, head and tail."""
    for value in (b"[" + b"x" * 30_000_000, b'{"inference_id":"' + b"y" * 5_000_000 + b'"}'):
        (letter,) = events_of(value).letters
        assert letter.original == "" and letter.excerpt == Excerpt.of(value)
        assert b64decode(letter.excerpt.head) == value[:1024] and b64decode(letter.excerpt.tail) == value[-1024:]
        assert len(letter.to_json()) < 10_000
    (letter,) = events_of(b"x" * KEPT_BYTES).letters
    assert len(letter.to_json()) < DEAD_LETTERS.max_record_bytes / 2
    assert DeadLetter.model_validate_json(letter.to_json()) == letter
