"""A poll takes the same of each partition, so that blocks, and the parts ClickHouse makes of them, do not overlap."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streams.pressure import POLL_BYTES, weight
from streams.transport import AT_ONCE, CommittedThread

PLACES = [f"partition {number}" for number in range(8)]


class Broker:
    """Stands for aiokafka's fetcher of one broker, which fetches partitions once none of them has a record left.

    sizes: bytes of each partition's records; fetched: records that one fetch brings of each partition
    """

    def __init__(self, sizes: dict[str, int], fetched: int) -> None:
        self.sizes, self.fetched = sizes, fetched
        self._records: dict[str, list[Any]] = {}

    async def take(self, places: Collection[str], most: int) -> dict[str, list[Any]]:
        if not self._records:
            self._records = {
                place: [SimpleNamespace(value=b"x" * size)] * self.fetched for place, size in self.sizes.items()
            }
        found: dict[str, list[Any]] = {}
        for place in [place for place in self._records if place in places]:
            here = self._records[place]
            found[place], self._records[place] = here[:most], here[most:]
            most -= len(found[place])
            if not self._records[place]:
                del self._records[place]
            if most <= 0:
                break
        return found


async def polled(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What one poll takes."""

    async def fetch(_: Any, consumer: Any, places: Collection[str], timeout: float | None, most: int) -> Any:
        return await broker.take(places, most)

    monkeypatch.setattr(AIOKafkaConsumerThread, "_fetch_records", fetch)
    thread = object.__new__(CommittedThread)
    return await thread._fetch_records(SimpleNamespace(_fetcher=broker), set(PLACES), 1.0)


@pytest.mark.parametrize(("size", "fetched"), [(36_000, 29), (36_000, 70), (700, 1_500), (300_000, 9)])
async def test_partitions_are_read_alike(size: int, fetched: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a poll and a fetch divide: no partition is ever ahead by more than the first records of a poll."""
    broker = Broker(dict.fromkeys(PLACES, size), fetched)
    read = dict.fromkeys(PLACES, 0)
    for _ in range(40):
        for place, records in (await polled(broker, monkeypatch)).items():
            read[place] += len(records)
        assert max(read.values()) - min(read.values()) <= AT_ONCE
    assert min(read.values()) > 0


async def test_a_poll_is_bounded_whatever_its_records_weigh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that differ by partition: about the same bytes of each, and never more than one record too many."""
    broker = Broker({place: 1_000 * 4**number for number, place in enumerate(PLACES[:6])}, 4_000)
    found = await polled(broker, monkeypatch)
    taken = {place: sum(weight(record.value) for record in records) for place, records in found.items()}
    assert sum(taken.values()) <= POLL_BYTES + max(broker.sizes.values()) + 1024 * AT_ONCE
    assert set(taken) == set(broker.sizes)


async def test_nothing_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await polled(Broker({}, 0), monkeypatch) == {}
