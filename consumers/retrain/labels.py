"""How many blind labels a waiting job could test on by now."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol

from headrace.contract import ids
from headrace.contract.control import Trigger
from headrace.errors import WarehouseError
from headrace.plan import Plan
from headrace.settings import Settings
from headrace.warehouse import Warehouse


class Labels(Protocol):
    """Counts labels."""

    async def available(self, trigger: Trigger) -> int | None:
        """Labels of the base audit since the trigger's `test_from`; None where the warehouse does not say."""


class WarehouseLabels:
    """Counts them in ClickHouse, which may be away."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self._settings = settings
        self._plan = plan
        self._warehouse: Warehouse | None = None

    async def available(self, trigger: Trigger) -> int | None:
        """See Labels.available."""
        try:
            return await asyncio.to_thread(self._count, trigger)
        except WarehouseError:
            return None

    def _count(self, trigger: Trigger) -> int:
        if self._warehouse is None:
            self._warehouse = Warehouse.connect(self._settings)
        since_us = (trigger.test_from - ids.EPOCH) // timedelta(microseconds=1)
        task = self._plan.tasks.get(trigger.task)
        tenant = task.tenant if task else ""
        rows = self._warehouse.query("shared/labels_available", task=trigger.task, tenant=tenant, since_us=since_us)
        return int(rows[0]["labels"])
