"""How many events an emitter has sent, as it says so itself and as its successor says for it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from headrace.client.counts import Counts
from headrace.client.transport import Transport
from headrace.contract.control import Counter
from headrace.spool import Journal


async def publish(transport: Transport, counts: Counts, journal: Journal | None) -> None:
    """Publish the counts that changed. Raises HeadraceError where one is not known to be stored."""
    changed = counts.changed()
    if changed and journal is not None:
        # Before it is sent: the successor's counters must come after it.
        journal.number(changed[0].sequence)
    for counter in changed:
        await transport.count(counter)
        counts.published(counter)


async def publish_last(transport: Transport, journal: Journal) -> None:
    """Publish a dead emitter's whole count; told again it is the same record. Raises HeadraceError."""
    if not journal.emitter:
        return
    sequence, sums = journal.last()
    for kind, sum_ in sums:
        now = datetime.now(UTC)
        await transport.count(Counter(emitter=journal.emitter, kind=kind, sequence=sequence, at=now, **asdict(sum_)))
