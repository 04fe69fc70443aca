"""What came over plain Kafka, proven by offsets: each one that the workers acknowledged is stored, dead, or named.

An emitter without counters cannot say how many events it sent, but a partition can: its offsets are continuous. From
the offset proven last up to the one committed now, every offset must stand on a row or a dead letter. One that does not
may still be in order: an event that was sent twice is one row, which bears the later offset; an aborted transaction
leaves a gap. So the records of a gap are read again and looked for by tenant, id and revision: that one or a greater
one, for a lost correction is no duplicate of what it corrects. What is found nowhere is named: topic, partition,
offsets, emitter and hour. What the broker had removed before it was proven is lost, and named too.

Nothing is proven by default. What a pass had no time to read is `unread` until a later one has. An offset says nothing
beyond its own topic: where a topic was made again under the same name, or a broker lost its disk, what the former one
held is `unknown`, and what the new one holds so far is read and looked for by ids, since rows of the former bear the
same offsets.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer

from headrace.bus.kafka.connection import reader
from headrace.bus.kafka.identity import topic_ids
from headrace.bus.kafka.lag import Lag, Place, lag_reader
from headrace.contract import ids
from headrace.contract.letters import WHOLE
from headrace.contract.topics import EVENTS as TOPICS
from headrace.contract.topics import INFERENCES
from headrace.settings import Settings
from headrace.warehouse import Warehouse, clickhouse_time
from headrace.warehouse.foreign_ids import known_ids
from streams.housekeeping_runs import NOT_YET, Known, Reading, Run, Seen, State, events_of, read

# At one pass so many runs are looked into, and so many records and bytes of them read; the others wait for the next.
MAX_RUNS, MAX_RECORDS, MAX_BYTES = 1000, 20_000, 64 * 1024 * 1024
READ_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Proof:
    """How far a partition is accounted for.

    topic_id: the broker's, with the time of the first look where it gives none or an older topic bore it
    since: rows of this topic were ingested from then on
    """

    topic_id: str = ""
    since: datetime = ids.EPOCH
    proven: int = 0
    begin: int = 0
    end: int = 0

    def other(self, topic_id: str) -> bool:
        """Whether the broker names another topic."""
        known = self.topic_id.partition("#")[0]
        return bool(topic_id and known) and topic_id != known

    def owns(self, run: Run) -> bool:
        """Whether a run is of the topic that this is about; the first one's may have been found before its id."""
        return run.topic_id == self.topic_id or (not run.topic_id and self.since == ids.EPOCH)

    def holds(self, lag: Lag, topic_id: str) -> bool:
        """Whether the broker's partition is still the one that this is about: offsets never go back."""
        return not self.other(topic_id) and lag.end >= self.end and lag.begin >= self.begin


class Offsets:
    """Proves the topics of events, pass by pass; it belongs to one worker at a time.

    group: whose committed offsets are to be proven
    """

    def __init__(self, settings: Settings, warehouse: Warehouse, group: str) -> None:
        self._settings, self._warehouse, self._group = settings, warehouse, group

    async def look(self) -> list[Run]:
        """Run a pass; returns what is not accounted for. Raises HeadraceError; the next one starts over."""
        async with lag_reader(self._settings, self._group) as lags:
            found = await lags.read(TOPICS)
        async with reader(self._settings) as kafka:
            known = await topic_ids(kafka)
            # Blocking, and in a loop of its own.
            now = self._warehouse.query("maintenance/reconcile_pass")[0]["now"]
            before = {
                (row["topic"], row["partition"]): _proof(row)
                for row in self._warehouse.query("maintenance/reconcile_proofs")
            }
            waiting = [_run(row) for row in self._warehouse.query("maintenance/reconcile_open", rows=MAX_RUNS)]
            proofs, runs = _begun(found, known, before, waiting, now)
            more, upto = self._runs(found, proofs)
            looked = await self._read(kafka, [*runs, *more], found, proofs)
        self._write(looked, found, proofs, upto)
        return [run for run in looked if run.state is not State.EXPLAINED]

    def _runs(self, lags: Mapping[Place, Lag], proofs: Mapping[Place, Proof]) -> tuple[list[Run], dict[Place, int]]:
        """Runs of offsets without a row, and up to where each partition was looked at."""
        runs: list[Run] = []
        upto: dict[Place, int] = {}
        for topic in TOPICS:
            parts = {number: lag for (name, number), lag in lags.items() if name == topic.name}
            if not parts:
                continue
            firsts = {number: proofs[topic.name, number].proven for number in parts}
            rows = self._warehouse.query(
                "maintenance/reconcile_offsets",
                topic=topic.name,
                partitions=list(parts),
                firsts=list(firsts.values()),
                ends=[max(firsts[number], lag.committed) for number, lag in parts.items()],
                sinces=[clickhouse_time(proofs[topic.name, number].since) for number in parts],
                rows=MAX_RUNS,
            )
            runs += [
                Run(
                    topic.name,
                    row["partition"],
                    proofs[topic.name, row["partition"]].topic_id,
                    row["first"],
                    row["last"],
                )
                for row in rows
            ]
            # Where there were more runs than one pass takes, the next pass begins after the last of these.
            cut = (rows[-1]["partition"], rows[-1]["last"] + 1) if len(rows) == MAX_RUNS else (max(parts) + 1, 0)
            for number, lag in parts.items():
                if number <= cut[0]:
                    upto[topic.name, number] = cut[1] if number == cut[0] else max(firsts[number], lag.committed)
        return runs, upto

    async def _read(
        self, kafka: AIOKafkaConsumer, runs: Sequence[Run], lags: Mapping[Place, Lag], proofs: Mapping[Place, Proof]
    ) -> list[Run]:
        """The runs with what became of them, as far as a pass gets: what was never read comes first, then the short."""
        looked: list[Run] = []
        records, size, deadline = MAX_RECORDS, MAX_BYTES, time.monotonic() + READ_WITHIN_S
        for run in sorted(runs, key=_urgency):
            place = (run.topic, run.partition)
            if run.state is State.UNKNOWN:
                looked.append(run)
                continue
            gone, rest = run.upto(lags[place].begin)
            if gone:
                note = f"the broker removed what is before {lags[place].begin} before it was proven"
                looked.append(replace(gone, state=State.LOST, note=note))
            if not rest:
                continue
            reading = await read(kafka, rest, records, size, deadline)
            records -= len(reading.records)
            size -= reading.size
            done, rest = rest.upto(reading.reached)
            if done:
                looked.append(self._judged(done, reading, proofs[place].since))
            if rest:
                # What is known to be missing stays so until it is read again.
                looked.append(rest if rest.first == run.first else replace(rest, state=State.UNREAD, note=NOT_YET))
        return looked

    def _judged(self, run: Run, reading: Reading, since: datetime) -> Run:
        """What the records of a run are: all of them somewhere, or some of them missing."""
        found = [events_of(record) for record in reading.records]
        events = self._under_their_ids([event for some in found for event in some])
        kind = "inferences" if run.topic == INFERENCES.name else "feedback"
        known = self._known(kind, [event.event_id for event in events if event.event_id])
        lacking = [event for event in events if not known.explains(event)]
        dead = self._dead(run, since) if lacking else set()
        missing = [event for event in lacking if not dead & {(event.offset, event.place), (event.offset, WHOLE)}]
        if not missing:
            note = f"{len(events)} events stand on other records, {found.count([])} records hold none"
            return replace(run, state=State.EXPLAINED, events=0, note=note)
        emitters = sorted({event.emitter for event in missing})
        hour = min(event.at for event in missing).replace(minute=0, second=0, microsecond=0)
        note = f"offsets {missing[0].offset} to {missing[-1].offset}, emitters {', '.join(emitters)[:500] or 'unnamed'}"
        return replace(run, state=State.MISSING, events=len(missing), emitter=emitters[0], hour=hour, note=note)

    def _under_their_ids(self, events: Sequence[Seen]) -> list[Seen]:
        """Events that bear a given id, with the id that a worker gave it."""
        ids = known_ids(self._warehouse, [event.given.key for event in events if event.given])
        return [
            event._replace(event_id=str(ids[event.given.key])) if event.given and event.given.key in ids else event
            for event in events
        ]

    def _known(self, kind: str, wanted: Sequence[str]) -> Known:
        found = Known()
        for start in range(0, len(wanted), 5000):
            for row in self._warehouse.query("maintenance/reconcile_known", ids=wanted[start : start + 5000]):
                if row["kind"] == kind:
                    found.add(row["tenant"], row["id"], row["revision"], bool(row["upto"]))
        return found

    def _dead(self, run: Run, since: datetime) -> set[tuple[int, int]]:
        about = {name: getattr(run, name) for name in ("topic", "partition", "first", "last")}
        rows = self._warehouse.query("maintenance/reconcile_dead", **about, since=clickhouse_time(since))
        return {(int(row["offset"]), int(row["record_index"])) for row in rows}

    def _write(
        self, runs: Iterable[Run], lags: Mapping[Place, Lag], proofs: Mapping[Place, Proof], upto: Mapping[Place, int]
    ) -> None:
        # The last row counts, whichever host wrote it.
        now = clickhouse_time(self._warehouse.query("shared/clock")[0]["now"])
        gaps = [asdict(run) | {"hour": clickhouse_time(run.hour)[:19], "checked_at": now} for run in runs]
        self._warehouse.insert("offset_gaps", [json.dumps(row).encode() for row in gaps])
        rows = [
            {"topic": topic, "partition": number, "topic_id": proofs[topic, number].topic_id, "proven": proven,
             "begin": lags[topic, number].begin, "committed": lags[topic, number].committed,
             "end": lags[topic, number].end, "since": clickhouse_time(proofs[topic, number].since), "checked_at": now}
            for (topic, number), proven in upto.items()
        ]  # fmt: skip
        self._warehouse.insert("offset_proofs", [json.dumps(row).encode() for row in rows])


def _begun(
    lags: Mapping[Place, Lag],
    topic_ids: Mapping[str, str],
    before: Mapping[Place, Proof],
    waiting: Iterable[Run],
    now: datetime,
) -> tuple[dict[Place, Proof], list[Run]]:
    """Where each partition's proof goes on, and the runs that are known already."""
    proofs: dict[Place, Proof] = {}
    runs: list[Run] = []
    for (topic, number), lag in lags.items():
        former = before.get((topic, number), Proof())
        topic_id = topic_ids.get(topic, "")
        mine = [run for run in waiting if (run.topic, run.partition) == (topic, number)]
        if former.holds(lag, topic_id):
            begun = (topic, number) in before
            proof = replace(former, topic_id=former.topic_id or topic_id, proven=former.proven if begun else lag.begin)
            proofs[topic, number] = proof
            if not begun and lag.begin:
                note = "the broker had removed it when offsets were looked at for the first time"
                runs.append(Run(topic, number, topic_id, 0, lag.begin - 1, State.UNKNOWN, note=note))
            # The pass that found the topic made again took no more than MAX_RUNS of the former's.
            note = f"{topic} was made again, or its broker lost it"
            runs += [run if proof.owns(run) else _unknown(run, note) for run in mine]
            continue
        made = Proof(topic_id if former.other(topic_id) else f"{topic_id}#{now:%FT%T}", now, lag.committed)
        proofs[topic, number] = made
        note = f"{topic} was made again, or its broker lost it: what it held from {former.proven} on is not known"
        last = max(former.proven, former.end - 1)
        runs.append(Run(topic, number, former.topic_id, former.proven, last, State.UNKNOWN, note=note))
        runs += [_unknown(run, note) for run in mine if not made.owns(run)]
        if lag.begin:
            note = "the broker had removed it when the new topic was found"
            runs.append(Run(topic, number, made.topic_id, 0, lag.begin - 1, State.UNKNOWN, note=note))
        if lag.committed > lag.begin:
            runs.append(Run(topic, number, made.topic_id, lag.begin, lag.committed - 1))
    return proofs, runs


def _unknown(run: Run, why: str) -> Run:
    return replace(run, state=State.UNKNOWN, note=f"{why} ({run.note})")


def _urgency(run: Run) -> tuple[bool, int]:
    """What nobody has read comes first, the short runs before the long; then what was missing, in its own order."""
    unread = run.state is State.UNREAD
    return not unread, run.last - run.first if unread else 0


def _proof(row: Mapping[str, Any]) -> Proof:
    return Proof(str(row["topic_id"]), row["since"], int(row["proven"]), int(row["begin"]), int(row["end"]))


def _run(row: Mapping[str, Any]) -> Run:
    return Run(**{**row, "state": State(row["state"])})
