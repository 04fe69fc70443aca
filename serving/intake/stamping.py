"""The bytes of events as their principal's: what he may not say is found, and what he left out is put before the rest.

The fast way of headrace.access.events.attributed for events that pass on as they came; where it is in doubt that has to
look at them one by one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from headrace.access.roles import DEFAULT_TENANT, Principal, Role
from headrace.contract.events import Event, Feedback
from headrace.contract.fast_reading import Read


@dataclass(frozen=True, slots=True)
class _Field:
    """A field that every event of a principal has the same.

    unsaid: what an emitter writes there who knows nothing of it, or what the field is where he leaves it out
    """

    name: str
    unsaid: str
    value: str

    def put(self, said: set[str | None], given: list[bytes]) -> tuple[list[bytes], bytes] | None:
        """Events that say the value, or that do not say the field yet and what goes before; None where in doubt."""
        if said <= {self.value} or (self.value == self.unsaid and said <= {self.value, None}):
            return given, b""
        field = b'"%b":%b' % (self.name.encode(), json.dumps(self.value).encode())
        if said == {None}:
            return given, field + b","
        if said != {self.unsaid}:
            return None
        plain = b'"%b":"%b"' % (self.name.encode(), self.unsaid.encode())
        out = [text.replace(plain, field, 1) for text in given]
        return (out, b"") if self._once(given, out) else None

    def _once(self, given: list[bytes], out: list[bytes]) -> bool:
        """Whether that was the only place of each event that can name the field.

        Within a string quotes are escaped, and names are written plainly (see headrace.contract.fast_reading).
        """
        key = b'"%b"' % self.name.encode()
        return all(was != text and was.count(key) == 1 for was, text in zip(given, out, strict=True))


def stamp(
    events: Sequence[Event | Read], given: list[bytes], principal: Principal
) -> tuple[Sequence[Event | Read], list[bytes]] | None:
    """The events and their bytes with the principal's tenant and key; None where one is not plainly his."""
    if not events:
        return events, given
    if not _may_say(events, principal):
        return None
    tenants = _said(events, "tenant")
    tenant = _Field("tenant", DEFAULT_TENANT, principal.tenant).put(tenants, given)
    if tenant is None:
        return None
    key = _Field("key_id", "", principal.key_id).put(_said(events, "key_id"), tenant[0])
    if key is None:
        return None
    out, before = key[0], b"{" + tenant[1] + key[1]
    if tenants != {principal.tenant}:
        events = [event.owned(principal.tenant, principal.key_id) for event in events]
    return events, out if len(before) == 1 else [before + text[1:] for text in out]


def _may_say(events: Sequence[Any], principal: Principal) -> bool:
    feedback: Sequence[Any]
    if isinstance(events[0], Event):
        feedback = [event for event in events if isinstance(event, Feedback)]
    else:
        # What headrace.contract.fast_reading read is of one kind.
        feedback = events if events[0].id_field == Feedback.id_field else []
    if len(feedback) < len(events) and not principal.may(Role.INGEST):
        return False
    if not {event.source for event in feedback} <= principal.sources():
        return False
    return principal.may(Role.REVIEW) or {event.inclusion_probability for event in feedback} <= {0.0}


def _said(events: Sequence[Any], name: str) -> set[str | None]:
    """What they say of a field, None for one that does not."""
    if isinstance(events[0], Event):
        return {getattr(event, name) if name in event.model_fields_set else None for event in events}
    found = {getattr(event, name) for event in events}
    return {None if said is UNSET else said for said in found}
