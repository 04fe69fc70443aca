"""The two doors of events, the collector's and the workers', as functions from bytes to events and reasons."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence

from headrace.access.roles import Principal, owner
from headrace.client.packing import entry
from headrace.contract.control import DeadLetter
from headrace.contract.events import Event
from headrace.contract.letters import WHOLE
from headrace.contract.topics import FEEDBACK, INFERENCES, Topic
from headrace.warehouse.client import MemorySink
from serving.http.refusal import Refusal
from serving.intake.batches import Parsed, parse
from streams.decode import Raw
from streams.rules import Rules
from streams.store import Block
from streams.tables import table_of

Outcome = Event | str
"""An event, or the reason why it is none."""
RULES = Rules(labels_below={0: 10**9})
"""Feedback of every source may be in its topic here: where it belongs is not what is compared."""
TOPICS: dict[str, Topic] = {"inference": INFERENCES, "feedback": FEEDBACK}


def collector(body: bytes, lines: bool = False) -> list[Outcome]:
    """What the collector makes of each event of a body, of one kind; of the body itself where it is refused."""
    try:
        parsed = parse(body, sender(), lines)
    except Refusal as refusal:
        return [str(refusal)]
    taken = iter(wholes(parsed))
    wrong = {fault.index: fault.message for fault in parsed.wrong}
    return [wrong.get(place) or next(taken) for place in range(len(parsed.events) + len(wrong))]


def shipped(body: bytes, principal: Principal | None = None) -> bytes:
    """The record that the collector sends of the events that it takes."""
    parsed = parse(body, principal or sender())
    given = parsed.given or [b""] * len(parsed.events)
    return b"[%b]" % b",".join([entry(one, given=text).body for one, text in zip(parsed.events, given, strict=True)])


def worker(kind: str, value: bytes) -> list[Outcome]:
    """What a worker makes of each event of a record; of the record itself where that is one dead letter."""
    topic = TOPICS[kind]
    block, sink = Block(table_of(topic), RULES), MemorySink()
    block.add(Raw(topic.name, 0, 7, value))
    letters = block.store(sink)
    assert all(b64decode(letter.original) in value and DeadLetter.model_validate_json(letter.to_json()) == letter
               for letter in letters)  # fmt: skip
    if [letter.record_index for letter in letters] == [WHOLE]:
        return [letters[0].reason]
    found: dict[int, Outcome] = {letter.record_index: letter.reason for letter in letters}
    for row in sink.tables.get(block.table.name, ()):
        fields = json.loads(row)
        place = fields["kafka_index"]
        found[place] = topic.model.strict({k: v for k, v in fields.items() if not k.startswith("kafka_")})  # type: ignore[attr-defined]
    assert sorted(found) == list(range(len(found)))
    return [found[place] for place in range(len(found))]


def wholes(parsed: Parsed) -> Sequence[Event]:
    """The events as their models' own objects."""
    given = parsed.given or [b""] * len(parsed.events)
    return [one if isinstance(one, Event) else one.whole(text) for one, text in zip(parsed.events, given, strict=True)]


def sender() -> Principal:
    """Who may say everything, of every tenant."""
    return owner("default", "test")
