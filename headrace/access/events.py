"""An event as that of who brought it: the one check of what a principal may say, whichever way the event came."""

from __future__ import annotations

from typing import TypeVar

from headrace.access.roles import DEFAULT_TENANT, Forbidden, Principal, Role
from headrace.contract.events import Event, Feedback

E = TypeVar("E", bound=Event)


def attributed(event: E, principal: Principal) -> E:
    """The event with the principal's tenant and key id. Raises Forbidden for what the principal may not say.

    "default" is what an emitter says that knows of no tenants, and an empty key_id what every emitter says.
    """
    if isinstance(event, Feedback):
        principal.require_source(event.source)
        if event.inclusion_probability:
            principal.require("inclusion_probability", Role.REVIEW)
    else:
        principal.require("an inference", Role.INGEST)
    if event.key_id not in ("", principal.key_id):
        raise Forbidden(f"key_id is {event.key_id!r}, which is not the key that brings the event; leave the field out")
    tenant = event.tenant if principal.any_tenant else principal.tenant
    if event.tenant not in (tenant, DEFAULT_TENANT):
        raise Forbidden(f"the tenant is {event.tenant!r}, but the API key is tenant {tenant!r}'s; leave the field out")
    return event.owned(tenant, principal.key_id)
