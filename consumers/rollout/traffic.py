"""What the warehouse shows of a step."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from consumers.rollout.step import Traffic
from consumers.rollout.table import candidate_of
from headrace.contract import ids
from headrace.contract.control import Promotion
from headrace.errors import WarehouseError
from headrace.settings import Settings
from headrace.warehouse import Warehouse

log = logging.getLogger(__name__)

# An id may be made this long before its event happens.
EARLIER = timedelta(minutes=10)


class Sight(Protocol):
    """Sees traffic."""

    async def traffic(self, promotion: Promotion) -> Traffic | None:
        """Of the promotion's step, since it began; None where the warehouse does not say."""


class WarehouseSight:
    """Sees it in ClickHouse, which may be away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._warehouse: Warehouse | None = None

    async def traffic(self, promotion: Promotion) -> Traffic | None:
        """See Sight.traffic."""
        try:
            return await asyncio.to_thread(self._look, promotion)
        except WarehouseError as error:
            log.warning("no evidence for %s: %s", promotion.task, error)
            return None

    def _look(self, promotion: Promotion) -> Traffic:
        if self._warehouse is None:
            self._warehouse = Warehouse.connect(self._settings)
        candidate = candidate_of(promotion)
        (row,) = self._warehouse.query(
            "rollout/evidence",
            task=promotion.task,
            candidate=candidate.version if candidate else "",
            live=promotion.live.version,
            arm=promotion.step.value,
            since_us=(promotion.at - ids.EPOCH) // timedelta(microseconds=1),
            from_id=_first_id(promotion),
        )
        return Traffic(**row)


def _first_id(promotion: Promotion) -> UUID:
    """The smallest id of the time from which on ids are read."""
    return UUID(int=((promotion.at - EARLIER - ids.EPOCH) // timedelta(milliseconds=1)) << 80)
