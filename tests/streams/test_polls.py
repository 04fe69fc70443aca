"""A poll takes the same of each partition, so that blocks, and the parts ClickHouse makes of them, do not overlap."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from streams.pressure import POLL_BYTES, weight
from streams.transport import GROWTH, CommittedThread

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


async def polled(
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    thread: CommittedThread | None = None,
    places: Collection[str] = PLACES,
) -> dict[str, list[Any]]:
    """What one poll takes."""

    async def fetch(_: Any, consumer: Any, places: Collection[str], timeout: float | None, most: int) -> Any:
        return await broker.take(places, most)

    monkeypatch.setattr(AIOKafkaConsumerThread, "_fetch_records", fetch)
    thread = thread or consumer_thread()
    return await thread._fetch_records(SimpleNamespace(_fetcher=broker), set(places), 1.0)


def consumer_thread() -> CommittedThread:
    thread = object.__new__(CommittedThread)
    thread._polls, thread._turns = 0, {}
    return thread


@pytest.mark.parametrize(
    ("size", "fetched"),
    [
        (36_000, 29),
        (36_000, 70),
        (700, 1_500),
        (300_000, 9),
        (300_000, 40),
        (500_000, 8),
        (500_000, 20),
        (1_100_000, 40),
        (POLL_BYTES, 3),
    ],
)
async def test_partitions_are_read_alike(size: int, fetched: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a poll and a fetch divide, and however large records are: no partition is ahead by more than two."""
    broker, thread = Broker(dict.fromkeys(PLACES, size), fetched), consumer_thread()
    read = dict.fromkeys(PLACES, 0)
    for _ in range(40):
        for place, records in (await polled(broker, monkeypatch, thread)).items():
            read[place] += len(records)
        assert max(read.values()) - min(read.values()) <= 2
    assert min(read.values()) > 0


async def test_a_poll_is_bounded_whatever_its_records_weigh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that differ by partition: about the same bytes of each, and never more than one record too many."""
    broker = Broker({place: 1_000 * 4**number for number, place in enumerate(PLACES[:6])}, 4_000)
    found = await polled(broker, monkeypatch)
    taken = {place: sum(weight(record.value) for record in records) for place, records in found.items()}
    assert sum(taken.values()) <= POLL_BYTES + max(broker.sizes.values()) + 1024
    assert set(taken) == set(broker.sizes)


async def test_large_records_of_many_partitions_come_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 MiB in each of 25: a poll holds no more than it may, and after a few polls each partition had its turn."""
    places = [f"large {number}" for number in range(25)]
    broker, thread, read = Broker(dict.fromkeys(places, 2 << 20), 2), consumer_thread(), dict.fromkeys(places, 0)
    for _ in range(7):
        found = await polled(broker, monkeypatch, thread, places)
        assert sum(len(records) for records in found.values()) * (2 << 20) <= POLL_BYTES
        for place, records in found.items():
            read[place] += len(records)
    assert min(read.values()) == 1


@pytest.mark.parametrize("small", [1, 9, 63])
async def test_a_few_small_records_say_little_of_those_behind_them(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of large ones behind them: no more than a few times as many are taken before they are weighed."""
    broker = Broker({"mixed": 1}, 0)
    values = [b"x" * 100] * small + [b"x" * 458_000] * 500
    broker._records = {"mixed": [SimpleNamespace(value=value) for value in values]}
    found = await polled(broker, monkeypatch, places=["mixed"])
    large = sum(len(record.value) > 100 for record in found["mixed"])
    assert 0 < large <= max(POLL_BYTES // 458_000, GROWTH * small)


async def test_nothing_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await polled(Broker({}, 0), monkeypatch) == {}
