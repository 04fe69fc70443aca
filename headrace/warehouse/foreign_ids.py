"""The ids that stand for the texts of emitters: the first one of each, whoever asks, and how often.

Workers ask before they store events. They look a text up, write an id of their own for one that is not there, and look
again: then the id that was written first stands for it. ClickHouse numbers a table's parts in the order in which they
become visible, and keeps that order through merges, so that two workers that meet one text at once see the same first
id. What is written is there before the events are: a worker that is killed between the two finds it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from headrace.contract.given_ids import Given

if TYPE_CHECKING:
    from headrace.warehouse.client import Warehouse

AT_ONCE = 5000


def identify(warehouse: Warehouse, given: Sequence[Given]) -> dict[int, UUID]:
    """By key of each text the id that stands for it, from now on too. Raises WarehouseError; may be repeated."""
    # Of several events with one text the first in their order is asked for.
    wanted = {one.key: one for one in reversed(given)}
    found = known_ids(warehouse, wanted)
    new = [one for key, one in wanted.items() if key not in found]
    if new:
        rows = [json.dumps({"key": str(one.key), "event_id": str(one.id)}).encode() for one in new]
        warehouse.insert("foreign_ids", rows)
        found |= known_ids(warehouse, [one.key for one in new])
    return found


def known_ids(warehouse: Warehouse, keys: Iterable[int]) -> dict[int, UUID]:
    """Those of these texts that an id stands for. Raises WarehouseError."""
    wanted = list(keys)
    return {
        int(row["key"]): row["event_id"]
        for start in range(0, len(wanted), AT_ONCE)
        for row in warehouse.query("ingest/foreign_ids", keys=wanted[start : start + AT_ONCE])
    }
