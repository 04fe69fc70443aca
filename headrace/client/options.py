"""What a caller gives a client, checked: addresses, names, and the fields of an event."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from headrace.client.buffer import MAX_BYTES, MAX_EVENTS, Buffer
from headrace.client.counts import REMEMBERED, Counts
from headrace.client.packing import BUCKETS
from headrace.client.recovery import owners
from headrace.client.sender import Sender
from headrace.client.transport import HttpTransport, KafkaTransport, Transport
from headrace.client.typed import carried_extra, without_wrong
from headrace.contract.events import Event, Feedback, Inference, new_feedback, new_inference
from headrace.contract.fields import brief, without_null
from headrace.contract.moments import moment
from headrace.contract.plain import plain
from headrace.errors import EventError, SettingsError
from headrace.process.host import host_name
from headrace.settings import Settings, address, bare_key, key_of_environ
from headrace.spool import MAX_BYTES as SPOOL_BYTES
from headrace.spool import Spool

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Options:
    """How to reach headrace, and as whom.

    settings or kafka: Kafka's bootstrap servers; url, key: the gateway and an API key, by default
        the one in HEADRACE_KEY or in the file that HEADRACE_KEY_FILE names
    tenant: of events that do not name one (over HTTP the key's tenant counts)
    emitter: the name of this program; each start adds the host and a suffix, for counts begin anew
    max_events, max_bytes: bounds of the buffer
    spool: a folder on local disk where events stand until they are acknowledged, so that they outlive this process;
        any number of processes may share it that send to the same place with the same key
    spool_bytes: its bound, for this process and the dead ones it inherits
    remembered: how many of the last events are known when they are given again, and not counted again
    """

    settings: Settings | None = None
    kafka: str = ""
    url: str = ""
    key: str = ""
    tenant: str = "default"
    emitter: str = "sdk"
    max_events: int = MAX_EVENTS
    max_bytes: int = MAX_BYTES
    spool: Path | str = ""
    spool_bytes: int = SPOOL_BYTES
    remembered: int = REMEMBERED

    def __post_init__(self) -> None:
        given = [name for name in ("settings", "kafka", "url") if getattr(self, name)]
        if len(given) != 1:
            raise SettingsError(
                f"a client takes one of settings=, kafka= and url=, and was given {' and '.join(given) or 'none'}"
            )
        for server in (self.kafka or self.url).split(",") if not self.settings else ():
            address(server)
        if not 1 <= len(self.emitter) <= 150:
            raise SettingsError(f"emitter= is a name of 1 to 150 characters, this has {len(self.emitter)}")

    def transport(self, emitter: str) -> Transport:
        """The way there."""
        if self.url:
            return HttpTransport(self.url, bare_key(self.key) or key_of_environ())
        return KafkaTransport(self.settings or Settings(kafka=self.kafka, embedded=()), emitter)

    def sender(self, transport: Transport | None = None) -> tuple[Sender, Counts, Spool | None]:
        """A sender that is not started, its counts under a name that no other start has, and its spool.

        Raises SettingsError where the spool cannot be written.
        """
        emitter = f"{self.emitter}.{host_name()}.{os.getpid()}.{secrets.token_hex(4)}"
        spool = Spool(Path(self.spool), emitter, self.spool_bytes) if self.spool else None
        counts = Counts(emitter, self.remembered, owners(spool.inherited) if spool else {})
        buffer = Buffer(self.max_events, self.max_bytes)
        buckets = self.settings.partitions if self.settings else BUCKETS
        return Sender(transport or self.transport(emitter), buffer, counts, spool, buckets), counts, spool

    def inference(self, event: Inference | None, fields: Mapping[str, Any]) -> Inference:
        """The event given, or one of these fields. Raises EventError that names the field."""
        if event is not None:
            return carried_extra(_given(event, Inference, fields))
        return without_wrong(new_inference, self._complete("Inference", ("task", "version"), fields))

    def feedback(self, event: Feedback | None, fields: Mapping[str, Any]) -> Feedback:
        """The event given, or one of these fields. Raises EventError that names the field."""
        if event is not None:
            return carried_extra(_given(event, Feedback, fields))
        complete = self._complete("Feedback", ("source", "signal"), fields)
        return without_wrong(new_feedback, {"inference_id": None, **complete})

    def _complete(self, what: str, required: tuple[str, ...], fields: Mapping[str, Any]) -> dict[str, Any]:
        said = without_null(dict(fields))
        for name in required:
            if name not in said:
                raise EventError(f"{what}.{name}: the field is missing", name)
        given = plain(said.pop("occurred_at", None))
        complete = {"tenant": self.tenant, **said}
        if given is not None:
            # A new id carries the event's time, so text has to become a time before there is an event.
            try:
                complete["occurred_at"] = moment(given)
            except ValueError as error:
                says = f"{what}.occurred_at: {error}, but it was {brief(given)}"
                raise EventError(says, "occurred_at") from None
        return complete


def _given(event: E, model: type[E], fields: Mapping[str, Any]) -> E:
    if not isinstance(event, model):
        raise EventError(f"{model.__name__}: expected one, or its fields by name, not a {type(event).__name__}")
    if fields:
        raise EventError(f"{model.__name__}.{next(iter(fields))}: give an event or fields, not both")
    return event
