"""Kafka as the parts see it, and the same in memory for tests.

protocol  what a bus must do
kafka     the bus on Kafka, by aiokafka
memory    the bus in memory, for tests that want no broker
"""

from headrace.bus.protocol import Consumer, Message, Producer

__all__ = ["Consumer", "Message", "Producer"]
