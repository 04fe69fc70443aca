"""The way to Kafka, as the gateway uses it; it may be down at any time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from headrace.bus import Consumer, Producer
from headrace.bus.kafka import KafkaConsumer, KafkaProducer, snapshot
from headrace.contract.topics import PROMOTIONS
from headrace.settings import Settings

SEND_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class GatewayBus:
    """What the gateway needs of a bus.

    producer: connects when it first sends, and again after a failure
    promotions: a new consumer of the promotions from their beginning
    snapshot: the newest promotion of each task, by key
    """

    producer: Producer
    promotions: Callable[[], Consumer]
    snapshot: Callable[[], Awaitable[dict[bytes, bytes]]]


def kafka_bus(settings: Settings, name: str) -> GatewayBus:
    """The bus of the Kafka of the settings; nothing is connected yet."""
    return GatewayBus(
        producer=KafkaProducer(settings, client_id=name, timeout_s=SEND_TIMEOUT_S),
        promotions=lambda: KafkaConsumer(settings, [PROMOTIONS], client_id=name),
        snapshot=lambda: snapshot(settings, PROMOTIONS),
    )
