"""The bus on Kafka, by aiokafka: `producer`, `consumer`, `topics` (create them, read a compacted one whole), `security`
(how each of them logs in) and `rights` (who may do what)."""

from headrace.bus.kafka.consumer import KafkaConsumer
from headrace.bus.kafka.producer import KafkaProducer
from headrace.bus.kafka.topics import ensure_topics, snapshot

__all__ = ["KafkaConsumer", "KafkaProducer", "ensure_topics", "snapshot"]
