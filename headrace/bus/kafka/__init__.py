"""The bus on Kafka, by aiokafka: `producer`, `consumer`, `hold` (one writer a partition), `topics` (create them, read
a compacted one whole), `security` (how each of them logs in) and `rights` (who may do what)."""

from headrace.bus.kafka.consumer import KafkaConsumer
from headrace.bus.kafka.hold import Hold, home_of
from headrace.bus.kafka.producer import KafkaProducer
from headrace.bus.kafka.topics import ensure_topics, snapshot

__all__ = ["Hold", "KafkaConsumer", "KafkaProducer", "ensure_topics", "home_of", "snapshot"]
