"""Finds the bytes of a dead letter: in the letter, or in the topic that they came from."""

from __future__ import annotations

import time
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from headrace.contract.elements import elements
from headrace.contract.excerpt import END_BYTES, Excerpt
from headrace.errors import EventError, HeadraceError, SettingsError

if TYPE_CHECKING:
    from headrace.settings import Settings

READ_WITHIN_S = 30.0


def place_of(letter: dict[str, Any]) -> str:
    """Where it stands, as `headrace deadletters list` prints it."""
    return "{topic}/{partition}/{offset}/{record_index}".format(**letter)


def check_kept(letter: dict[str, Any]) -> None:
    """Raises SettingsError where neither its bytes nor their excerpt are kept any more."""
    if not letter["original"] and not letter["excerpt"]:
        raise SettingsError(
            f"the bytes of {place_of(letter)} are kept no longer: they go 30 days after they came; leave it out"
        )


async def original_of(settings: Settings, letter: dict[str, Any]) -> bytes:
    """The original bytes of a row of `dead_letters`.

    Raises SettingsError where they are gone, HeadraceError where Kafka does not answer.
    """
    check_kept(letter)
    if letter["original"]:
        return b64decode(letter["original"])
    excerpt = Excerpt.model_validate_json(letter["excerpt"])
    value = await _read(settings, letter["topic"], letter["partition"], letter["offset"])
    original = _event(value, letter["record_index"])
    if original is None or Excerpt.of(original) != excerpt:
        raise SettingsError(
            f"the {excerpt.length} bytes of {place_of(letter)} are not in {letter['topic']} any more, and the letter"
            f" keeps only the first and the last {END_BYTES} of them (`headrace deadletters show`); leave it out"
        )
    return original


def _event(value: bytes | None, index: int) -> bytes | None:
    """The bytes of the event at a place of a record, -1 for all of it; None where there is none."""
    if value is None or index < 0:
        return value
    try:
        return next((found.original for place, found in enumerate(elements(value)) if place == index), None)
    except EventError:
        return None


async def _read(settings: Settings, topic: str, partition: int, offset: int) -> bytes | None:
    """The value of one record; None where the broker does not have it (any more)."""
    from aiokafka import TopicPartition

    from headrace.bus.kafka.connection import reader

    async with reader(settings) as kafka:
        # aiokafka's own topics() returns names and keeps the partitions to itself.
        metadata = await kafka._client.fetch_all_metadata()
        if partition not in (metadata.partitions_for_topic(topic) or ()):
            return None
        part = TopicPartition(topic, partition)
        kafka.assign([part])
        begin, end = (await kafka.beginning_offsets([part]))[part], (await kafka.end_offsets([part]))[part]
        if not begin <= offset < end:
            return None
        kafka.seek(part, offset)
        deadline = time.monotonic() + READ_WITHIN_S
        while time.monotonic() < deadline:
            for record in (await kafka.getmany(part, timeout_ms=200, max_records=1)).get(part, []):
                found: bytes | None = record.value if record.offset == offset else None
                return found
            if await kafka.position(part) > offset:
                return None
    raise HeadraceError(
        f"Kafka at {settings.kafka} did not return {topic}/{partition}/{offset} in {READ_WITHIN_S:.0f} s"
    )
