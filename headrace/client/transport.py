"""Where records go: Kafka itself, or the gateway over HTTP. The one seam to replace the outside world in tests."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from headrace.client.packing import Packed, bucket_keys
from headrace.contract.control import Counter
from headrace.contract.topics import EMITTERS
from headrace.errors import HeadraceError
from headrace.settings import Settings

if TYPE_CHECKING:
    import httpx

    from headrace.bus.kafka import KafkaProducer


class Refused(HeadraceError):
    """The other side read the record and will never take it."""


class SomeRefused(Refused):
    """Some events were refused for good, and the others of the same records are stored."""


Rejected = Mapping[int, str]
"""Places in a record, and for each a sentence that says what is wrong with the event."""


class Transport(Protocol):
    """Sends records. Connects when it first sends, and again after a failure."""

    async def send(self, record: Packed) -> Rejected:
        """Returns when the record is stored, but for the events that the other side will never take.

        Raises Refused where that is all of it, HeadraceError where trying again may help.
        """

    async def count(self, counter: Counter) -> None:
        """Publish a count, where the other side does not count by itself. Raises HeadraceError."""

    async def close(self) -> None:
        """Disconnect."""


class KafkaTransport:
    """Straight to Kafka; see headrace.bus.kafka.KafkaProducer."""

    def __init__(self, settings: Settings, client_id: str) -> None:
        self._settings = settings
        self._client_id = client_id
        self._made: KafkaProducer | None = None

    async def send(self, record: Packed) -> Rejected:
        """See Transport.send."""
        # A spool may hold buckets of a deployment that had more partitions.
        key = bucket_keys(self._settings.partitions)[record.bucket % self._settings.partitions]
        await self._producer().send(record.topic, record.value, key)
        return {}

    async def count(self, counter: Counter) -> None:
        """See Transport.count."""
        await self._producer().send(EMITTERS, counter.to_json(), counter.emitter.encode())

    async def close(self) -> None:
        """See Transport.close."""
        if self._made is not None:
            await self._made.stop()

    def _producer(self) -> KafkaProducer:
        if self._made is None:
            from headrace.bus.kafka import KafkaProducer

            # Without a handler aiokafka's warnings would print to the caller's stderr; a configured root has them.
            logging.getLogger("aiokafka").addHandler(logging.NullHandler())
            self._made = KafkaProducer(self._settings, self._client_id)
        return self._made


class HttpTransport:
    """To the gateway's `/v1/events`, which validates, counts and stores before it answers.

    url: the gateway's address
    key: the API key, whose tenant the events then belong to
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url.rstrip('/')}/v1/events"
        self._key = key
        self._made: httpx.AsyncClient | None = None

    async def send(self, record: Packed) -> Rejected:
        """See Transport.send. 429 and 5xx may pass, every other refusal is final."""
        import httpx

        try:
            answer = await self._client().post(self._url, content=record.value)
        except (httpx.HTTPError, OSError) as error:
            raise HeadraceError(f"no gateway answers at {self._url}: {error or type(error).__name__}") from error
        if answer.status_code in (408, 425, 429) or answer.status_code >= 500:
            raise HeadraceError(f"the gateway at {self._url} answered {answer.status_code}")
        if not answer.is_success:
            raise Refused(f"the gateway at {self._url} refused events with {answer.status_code}: {answer.text[:300]}")
        return _rejected(answer.content, record.events)

    async def count(self, counter: Counter) -> None:
        """See Transport.count: the gateway counts."""

    async def close(self) -> None:
        """See Transport.close."""
        if self._made is not None:
            await self._made.aclose()

    def _client(self) -> httpx.AsyncClient:
        if self._made is None:
            import httpx

            headers = {"Content-Type": "application/json"}
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            # No proxy from the environment: events go where the caller said, and nowhere else.
            self._made = httpx.AsyncClient(headers=headers, timeout=httpx.Timeout(30.0, connect=5.0), trust_env=False)
        return self._made


def _rejected(answer: bytes, events: int) -> Rejected:
    """What a 202 says it did not take; {"rejected": [{"index", "message"}]}."""
    try:
        rejected = json.loads(answer)["rejected"]
        return {int(one["index"]): str(one["message"]) for one in rejected if 0 <= int(one["index"]) < events}
    except (ValueError, TypeError, KeyError):
        return {}
