"""Kafka as the parts see it, and the same in memory for tests: `headrace.bus.kafka`, `headrace.bus.memory`."""

from headrace.bus.protocol import Consumer, Message, Producer

__all__ = ["Consumer", "Message", "Producer"]
