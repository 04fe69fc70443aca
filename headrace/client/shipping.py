"""Entries on their way: packed, sent until they are taken or refused, each outcome counted."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter

from headrace.client.counts import Counts
from headrace.client.packing import Entry, Packed, counted_of, kind_of, pack
from headrace.client.transport import Refused, Rejected, Transport

FIRST_RETRY_S, LAST_RETRY_S = 0.1, 5.0
SAID_EVERY_S = 60.0

log = logging.getLogger("headrace.client")


class Shipment:
    """What becomes of some entries, in events by kind that count.

    left: not decided yet; refused: the other side will never take them
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.left = counted_of(entries)
        self.refused: Counter[str] = Counter()


class Shipper:
    """Sends records, and says what trouble there is, once a minute for each kind.

    emitter: who, in warnings; where: what holds the events meanwhile
    away: whether the other side did not answer when it was last asked
    """

    def __init__(self, transport: Transport, emitter: str, where: str) -> None:
        self._transport = transport
        self._emitter = emitter
        self._where = where
        self._warned: dict[str, float] = {}
        self.away = False

    async def ship(self, shipment: Shipment, counts: Counts | None) -> None:
        """Return once each entry is stored or refused. counts: where what is stored is counted at once."""
        await asyncio.gather(*[self._in_order(bucket, shipment, counts) for bucket in pack(shipment.entries)])

    def warn(self, what: str, text: str, error: Exception | None = None) -> None:
        """Say it, but not again and again; with an error, where that was raised too."""
        now = time.monotonic()
        if now - self._warned.get(what, -SAID_EVERY_S) >= SAID_EVERY_S:
            self._warned[what] = now
            log.warning("%s: %s", self._emitter, text, exc_info=error)

    async def _in_order(self, bucket: list[Packed], shipment: Shipment, counts: Counts | None) -> None:
        """A bucket's records one after the other: what belongs together stays in order."""
        for record in bucket:
            kind = kind_of(record.topic)
            rejected = await self._until_taken(record)
            wrong = record.counted if rejected is None else len(rejected.keys() - record.again)
            shipment.left[kind] -= record.counted
            shipment.refused[kind] += wrong
            if counts is not None:
                counts.add(kind, acknowledged=record.counted - wrong)

    async def _until_taken(self, record: Packed) -> Rejected | None:
        """What of a record the other side rejected, once it has taken the rest; None where it refused all of it."""
        delay = FIRST_RETRY_S
        while True:
            try:
                rejected = await self._transport.send(record)
            except Refused as error:
                self.warn("refused", f"{error}; such events are dropped and counted (said once a minute)")
                return None
            except Exception as error:  # whatever it is, the caller must not notice and the event must not be lost
                self.away = True
                self.warn("away", f"{error}; events wait in {self._where} (said once a minute)")
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))
                delay = min(2 * delay, LAST_RETRY_S)
            else:
                self.away = False
                if rejected:
                    self.warn(
                        "refused",
                        f"{next(iter(rejected.values()))}; such events are dropped and counted (said once a minute)",
                    )
                return rejected
