"""ACLs at the broker: give principals rights, and wait until it knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DescribeAclsRequest

from headrace.access.acls import Acl, Kind, Operation
from headrace.bus.kafka.connection import administration
from headrace.errors import HeadraceError
from headrace.settings import Settings

ANONYMOUS = "User:ANONYMOUS"
KNOWN_WITHIN_S = 30.0
# Kafka's numbers.
ANY, ALLOW, LITERAL, PREFIXED = 1, 3, 3, 4


async def grant(settings: Settings, rights: Mapping[str, Iterable[Acl]]) -> None:
    """Give principals (`User:name`) rights and return once the broker knows them; what they have already stays.

    Raises HeadraceError where this login may not do that.
    """
    async with administration(settings) as admin:
        for principal, acls in rights.items():
            await allow(admin, principal, acls)


async def allow(admin: AIOKafkaAdminClient, principal: str, acls: Iterable[Acl]) -> None:
    """See grant."""
    wanted = set(acls)
    missing = wanted - await _allowed(admin, principal, wanted)
    await asyncio.gather(*(_give(admin, principal, acl) for acl in missing))
    async with asyncio.timeout(KNOWN_WITHIN_S):
        # The controller answers before its brokers have heard.
        while missing:
            missing = wanted - await _allowed(admin, principal, wanted)
            await asyncio.sleep(0.02)


async def _give(admin: AIOKafkaAdminClient, principal: str, acl: Acl) -> None:
    pattern = PREFIXED if acl.prefixed else LITERAL
    request = CreateAclsRequest(acl.kind, acl.name, pattern, principal, "*", acl.operation, ALLOW)
    for code, message in (await admin._send_to_controller(request)).creation_responses:
        if code:
            why = message or for_code(code).__name__
            raise HeadraceError(f"Kafka gave {principal} no {acl.operation.name} on {acl.name}: {why}")


async def _allowed(admin: AIOKafkaAdminClient, principal: str, wanted: Iterable[Acl]) -> set[Acl]:
    """What a broker lets the principal do with resources of these kinds."""
    found: set[Acl] = set()
    for kind in {acl.kind for acl in wanted}:
        described = await admin._send_request(DescribeAclsRequest(kind, None, ANY, principal, None, ANY, ALLOW))
        found |= {
            Acl(Kind(kind), name, Operation(operation), pattern == PREFIXED)
            for _, name, pattern, acls in described.resources
            for _, _, operation, _ in acls
            if operation in set(Operation)
        }
    return found
