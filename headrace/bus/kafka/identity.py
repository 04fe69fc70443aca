"""Tells a topic from one of the same name that was made after it: by the id that the broker gave it.

aiokafka speaks an older version of Kafka's metadata request, which names topics alone. This is version 10 (KIP-516), of
which only the names and ids are read.
"""

from __future__ import annotations

from uuid import UUID

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

_TAGS = ("tags", TaggedFields)
_ID = (("id_high", Int64), ("id_low", Int64))
_TEXT = CompactString("utf-8")


class _Described(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS)),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _TEXT),
                *_ID,
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition_index", Int32),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("replica_nodes", CompactArray(Int32)),
                        ("isr_nodes", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("topic_authorized_operations", Int32),
                _TAGS,
            ),
        ),
        ("cluster_authorized_operations", Int32),
        _TAGS,
    )


class _Describe(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _Described
    SCHEMA = Schema(
        ("topics", CompactArray(*_ID, ("name", _TEXT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class _AllTopics(Request[_Describe]):
    API_KEY = 3

    def build(self, request_struct_class: type[_Describe]) -> _Describe:
        return request_struct_class(None, False, False, False, {})


async def topic_ids(kafka: AIOKafkaConsumer) -> dict[str, str]:
    """The ids of all topics by name; empty where the broker gives topics no ids. Raises KafkaError."""
    client = kafka._client
    try:
        found = await client.send(client.get_random_node(), _AllTopics())
    except (IncompatibleBrokerVersion, NotImplementedError):
        return {}
    ids = {
        topic["name"]: UUID(bytes=(topic["id_high"] % 2**64).to_bytes(8) + (topic["id_low"] % 2**64).to_bytes(8))
        for topic in found.to_object()["topics"]
        if not topic["error_code"]
    }
    return {name: str(topic_id) for name, topic_id in ids.items() if topic_id.int}
