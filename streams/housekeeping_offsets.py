"""What came over plain Kafka, proven by offsets: each one that the workers acknowledged is stored, dead, or named.

An emitter without counters cannot say how many events it sent, but a partition can: its offsets are continuous. From
the offset proven last up to the one committed now, every offset must stand on a row or a dead letter. One that does not
may still be in order: an event that was sent twice is one row, which bears the later offset; an aborted transaction
leaves a gap. So the records of a gap are read again and looked for by their ids. What is found nowhere is named: topic,
partition, offsets, emitter and hour. What the broker had removed before it was proven is lost, and named too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from headrace import ids
from headrace.bus.kafka.connection import reader
from headrace.bus.kafka.lag import Lag, Place, lag_reader
from headrace.elements import elements
from headrace.settings import Settings
from headrace.topics import EVENTS as TOPICS
from headrace.warehouse import Warehouse

# At one pass so many runs are looked into, and so many records of them read; the others wait for the next.
MAX_RUNS, MAX_RECORDS = 1000, 20_000
READ_WITHIN_S = 20.0
ID_FIELDS = ("feedback_id", "inference_id")


@dataclass(frozen=True, slots=True)
class Run:
    """Offsets from first to last, both included, and what became of them (see the table offset_gaps)."""

    topic: str
    partition: int
    first: int
    last: int
    state: str = "missing"
    events: int = 0
    emitter: str = ""
    hour: datetime = ids.EPOCH
    note: str = ""


class Offsets:
    """Proves the topics of events, pass by pass; it belongs to one worker at a time.

    group: whose committed offsets are to be proven
    """

    def __init__(self, settings: Settings, warehouse: Warehouse, group: str) -> None:
        self._settings, self._warehouse, self._group = settings, warehouse, group

    async def look(self) -> list[Run]:
        """Run a pass; returns what is missing or lost. Raises HeadraceError; the next one starts over."""
        async with lag_reader(self._settings, self._group) as lags:
            found = await lags.read(TOPICS)
        proven = {
            (row["topic"], row["partition"]): int(row["proven"]) for row in self._warehouse.query("reconcile_proofs")
        }
        earlier = [row for row in self._warehouse.query("reconcile_gaps") if row["state"] == "missing"]
        open_before = [Run(*_split(row["place"]), row["first"], row["last"]) for row in earlier]
        runs, upto = self._runs(found, proven)
        explained = await self._explained([*open_before, *runs], found)
        self._write(explained, found, upto)
        return [run for run in explained if run.state != "explained"]

    async def _explained(self, runs: Sequence[Run], lags: Mapping[Place, Lag]) -> list[Run]:
        if not runs:
            return []
        explained: list[Run] = []
        async with reader(self._settings) as kafka:
            left = MAX_RECORDS
            for run in runs:
                records = await _read(kafka, run, min(left, run.last - run.first + 1)) if left else []
                begin = lags[run.topic, run.partition].begin
                # Blocking, and in a loop of its own.
                explained.append(self._explain(run, records, begin, bool(left)))
                left -= len(records)
        return explained

    def _runs(self, lags: Mapping[Place, Lag], proven: Mapping[Place, int]) -> tuple[list[Run], dict[Place, int]]:
        """Runs of offsets without a row, and up to where each partition was looked at."""
        runs: list[Run] = []
        upto: dict[Place, int] = {}
        for topic in TOPICS:
            parts = {number: lag for (name, number), lag in lags.items() if name == topic.name}
            firsts = {number: proven.get((topic.name, number), lag.begin) for number, lag in parts.items()}
            rows = self._warehouse.query(
                "reconcile_offsets",
                topic=topic.name,
                partitions=list(parts),
                firsts=list(firsts.values()),
                ends=[max(firsts[number], lag.committed) for number, lag in parts.items()],
                rows=MAX_RUNS,
            )
            runs += [Run(topic.name, row["partition"], row["first"], row["last"]) for row in rows]
            # Where there were more runs than one pass takes, the next pass begins after the last of these.
            cut = (
                (rows[-1]["partition"], rows[-1]["last"] + 1)
                if len(rows) == MAX_RUNS
                else (max(parts, default=0) + 1, 0)
            )
            for number, lag in parts.items():
                if number <= cut[0]:
                    upto[topic.name, number] = cut[1] if number == cut[0] else max(firsts[number], lag.committed)
        return runs, upto

    def _explain(self, run: Run, records: Sequence[ConsumerRecord], begin: int, read: bool) -> Run:
        """What the records of a run are: all of them somewhere, or some of them missing."""
        about = {name: getattr(run, name) for name in ("topic", "partition", "first", "last")}
        if run.first < begin:
            return Run(**about, state="lost", note=f"the broker removed what is before {begin} before it was proven")
        if not read:
            return Run(**about, note="not looked into yet")
        events = [event for record in records for event in _events(record)]
        known = self._known([event.event_id for event in events if event.event_id])
        dead = self._dead(run) if any(event.event_id is None for event in events) else set()
        missing = [
            event for event in events if (event.event_id not in known if event.event_id else event.offset not in dead)
        ]
        if not missing:
            return Run(**about, state="explained", note=f"{len(events)} events stand on other records")
        emitters = sorted({event.emitter for event in missing})
        hour = min(event.at for event in missing).replace(minute=0, second=0, microsecond=0)
        note = f"offsets {missing[0].offset} to {missing[-1].offset}, emitters {', '.join(emitters)[:500] or 'unnamed'}"
        return Run(**about, events=len(missing), emitter=emitters[0], hour=hour, note=note)

    def _known(self, wanted: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(wanted), 5000):
            found |= {row["id"] for row in self._warehouse.query("reconcile_known", ids=wanted[start : start + 5000])}
        return found

    def _dead(self, run: Run) -> set[int]:
        sql = (
            "SELECT DISTINCT offset FROM dead_letters WHERE topic = {topic:String}"
            " AND partition = {partition:UInt16} AND offset BETWEEN {first:UInt64} AND {last:UInt64}"
        )
        about = {name: getattr(run, name) for name in ("topic", "partition", "first", "last")}
        return {int(row["offset"]) for row in self._warehouse.rows(sql, **about)}

    def _write(self, runs: Iterable[Run], lags: Mapping[Place, Lag], upto: Mapping[Place, int]) -> None:
        now = _text(datetime.now(UTC))
        gaps = [asdict(run) | {"hour": _text(run.hour)[:19], "checked_at": now} for run in runs]
        self._warehouse.insert("offset_gaps", [json.dumps(row).encode() for row in gaps])
        proofs = [
            {"topic": topic, "partition": number, "proven": proven, "begin": lags[topic, number].begin,
             "committed": lags[topic, number].committed, "end": lags[topic, number].end, "checked_at": now}
            for (topic, number), proven in upto.items()
        ]  # fmt: skip
        self._warehouse.insert("offset_proofs", [json.dumps(row).encode() for row in proofs])


@dataclass(frozen=True, slots=True)
class Seen:
    """An event of a record that was read again; event_id: None where it bears none that can be looked for."""

    offset: int
    event_id: str | None
    emitter: str
    at: datetime


def _events(record: ConsumerRecord) -> list[Seen]:
    at = ids.EPOCH + timedelta(milliseconds=record.timestamp)
    try:
        values = [value for value, _ in elements(record.value or b"")]
    except Exception:
        return [Seen(record.offset, None, "", at)]
    return [_seen(record.offset, value, at) for value in values]


def _seen(offset: int, value: Any, at: datetime) -> Seen:
    fields = value if isinstance(value, dict) else {}
    given = next((fields[name] for name in ID_FIELDS if name in fields), None)
    try:
        event_id = str(UUID(given))
    except (TypeError, ValueError, AttributeError):
        event_id = None
    return Seen(offset, event_id, str(fields.get("emitter", "")), at)


async def _read(kafka: AIOKafkaConsumer, run: Run, limit: int) -> list[ConsumerRecord]:
    """The records of a run that the broker has and that were not aborted, at most `limit`."""
    part = TopicPartition(run.topic, run.partition)
    kafka.assign([part])
    begin = (await kafka.beginning_offsets([part]))[part]
    kafka.seek(part, max(begin, run.first))
    records: list[ConsumerRecord] = []
    deadline = time.monotonic() + READ_WITHIN_S
    while len(records) < limit and await kafka.position(part) <= run.last and time.monotonic() < deadline:
        for record in (await kafka.getmany(part, timeout_ms=200, max_records=limit)).get(part, []):
            if run.first <= record.offset <= run.last:
                records.append(record)
    return records[:limit]


def _split(place: str) -> tuple[str, int]:
    topic, _, number = place.rpartition("/")
    return topic, int(number)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
