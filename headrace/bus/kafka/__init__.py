"""The bus on Kafka, by aiokafka.

producer    writes to every in-sync replica, idempotent, compressed
consumer    reads committed transactions only, and commits when told to
hold        the right to write for one partition, in transactions
topics      whole topics: create the missing ones, read a compacted one to its end
identity    tells a topic from one of the same name that was made after it
lag         how far a group is behind, as the broker knows it
security    how every client logs in to Kafka: one set of options for aiokafka, and the same for Faust
rights      aCLs at the broker: give principals rights, and wait until it knows them
connection  what the others share: errors as one sentence, a stop that ends
"""

from headrace.bus.kafka.consumer import KafkaConsumer
from headrace.bus.kafka.hold import Hold, home_of
from headrace.bus.kafka.producer import KafkaProducer
from headrace.bus.kafka.topics import ensure_topics, snapshot

__all__ = ["Hold", "KafkaConsumer", "KafkaProducer", "ensure_topics", "home_of", "snapshot"]
