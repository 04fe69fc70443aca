"""What the control topics say of a run, and by which versions each of its answers may have been given."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from benchmarks.promoting.traffic import Answer
from headrace.bus.kafka import KafkaConsumer
from headrace.contract.control import Promotion, Replica
from headrace.contract.topics import PROMOTIONS, REPLICAS
from headrace.settings import Settings

SLACK = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Outage:
    """What was away, from when until it was back."""

    what: str
    began: datetime
    ended: datetime

    def around(self, moment: datetime) -> bool:
        """Whether it may have been away then."""
        return self.began <= moment <= self.ended + SLACK


@dataclass(slots=True)
class Record:
    """Promotions by generation, and which generation each replica acknowledged when."""

    promotions: dict[int, Promotion] = field(default_factory=dict)
    acknowledged: dict[str, list[tuple[datetime, int]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def newest(self) -> Promotion:
        return self.promotions[max(self.promotions)]

    async def follow(self, settings: Settings) -> None:
        """Read both topics for ever."""
        consumer = KafkaConsumer(settings, [PROMOTIONS, REPLICAS])
        await consumer.start()
        try:
            while True:
                for message in await consumer.read(0.2):
                    if message.value is None:
                        continue
                    if message.topic == PROMOTIONS.name:
                        promotion = Promotion.model_validate_json(message.value)
                        self.promotions[promotion.generation] = promotion
                    else:
                        beat = Replica.model_validate_json(message.value)
                        self.acknowledged[beat.replica].append((beat.at, beat.generation))
        finally:
            await consumer.stop()

    def spread_s(self, outages: Sequence[Outage]) -> list[float]:
        """Seconds from each promotion until each replica acknowledged it or a later one; without replicas that were
        away then."""
        found = []
        for promotion in self.promotions.values():
            for replica, beats in self.acknowledged.items():
                if any(outage.what == replica and outage.around(promotion.at) for outage in outages):
                    continue
                after = [at for at, generation in beats if generation >= promotion.generation]
                found.append((min(after) - promotion.at).total_seconds() if after else float("inf"))
        return found

    def judged(self, answers: Iterable[Answer], replica_of: Mapping[str, str], incumbent: str) -> Counter[str]:
        """How many answers were what: `as promoted`, live or canary of a generation from the one that the replica had
        acknowledged when the request began to the newest when it ended; `diverted`, the incumbent's where such a
        generation gave it a share; `strange`; `failed`; `not stored`, without a row in the warehouse.

        replica_of: the replica by the id of the answer
        """
        found: Counter[str] = Counter()
        ordered = sorted(self.promotions.values(), key=lambda promotion: promotion.generation)
        for answer in answers:
            if not answer.inference:
                found["failed"] += 1
                continue
            if answer.inference not in replica_of:
                found["not stored"] += 1
                continue
            beats = self.acknowledged[replica_of[answer.inference]]
            place = bisect.bisect_right(beats, answer.began, key=lambda beat: beat[0])
            held = beats[place - 1][1] if place else 0
            reach = [one for one in ordered if one.generation >= held and one.at <= answer.ended]
            served = {served.version for one in reach for served in (one.live, one.canary) if served}
            if answer.version in served:
                found["as promoted"] += 1
            elif answer.version == incumbent and any(one.incumbent_share for one in reach):
                found["diverted"] += 1
            else:
                found["strange"] += 1
        return found
