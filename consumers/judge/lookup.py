"""The answers that complaints are about, from the warehouse."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from consumers.judge.complaint import DisputedAnswer, Key
from headrace.errors import WarehouseError
from headrace.settings import Settings
from headrace.warehouse import Warehouse


class Lookup:
    """Looks answers up in ClickHouse, which may be away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._warehouse: Warehouse | None = None

    async def answers(self, keys: Collection[Key]) -> Mapping[Key, DisputedAnswer] | None:
        """Those that have arrived; None where the warehouse does not say."""
        try:
            return await asyncio.to_thread(self._find, keys)
        except WarehouseError:
            return None

    def _find(self, keys: Collection[Key]) -> Mapping[Key, DisputedAnswer]:
        if self._warehouse is None:
            self._warehouse = Warehouse.connect(self._settings)
        rows = self._warehouse.query("judge/answers", ids=[str(inference_id) for _, inference_id in keys])
        found = (
            DisputedAnswer(**row | {"signals": tuple(row["signals"]), "judged": bool(row["judged"])}) for row in rows
        )
        return {(answer.tenant, answer.inference_id): answer for answer in found}
