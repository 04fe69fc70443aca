"""What is to be told, and what was: two questions to the warehouse. Blocking."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from consumers.alert.alert import Alert
from headrace.contract import ids
from headrace.warehouse import Warehouse, clickhouse_time, query_text

# So many at a time; the others are due at the next look.
MAX_ROWS = 50
# A row is stamped when its insert begins, and a reconciliation is told two hours after its hour: a day is looked back.
LOOK_BACK = timedelta(days=1)
STEP = timedelta(hours=1)


@dataclass(slots=True)
class Outbox:
    """The alerts of one warehouse.

    kinds: those that the plan wants
    """

    warehouse: Warehouse
    kinds: Sequence[str]

    def due(self) -> list[Alert]:
        """What is to be told now, oldest first; at the very first look nothing, for it begins there.

        Raises WarehouseError.
        """
        clock = self.warehouse.query("alert/since")[0]
        reached: datetime = clock["reached"]
        if reached <= ids.EPOCH:
            self._reach(clock["now"])
            return []
        rows = self.warehouse.query(
            "alert/due", reached=clickhouse_time(reached), kinds=list(self.kinds), rows=MAX_ROWS
        )
        if not rows and clock["now"] - LOOK_BACK > reached + STEP:
            self._reach(clock["now"] - LOOK_BACK)
        return [Alert(**row) for row in rows]

    def told(self, alert: Alert, state: str, answer: str) -> None:
        """Write down that it is told, or refused for good. Raises WarehouseError: it will be told again."""
        row = asdict(alert) | {
            "alert_id": str(alert.alert_id),
            "at": clickhouse_time(alert.at),
            "state": state,
            "answer": answer,
        }
        self.warehouse.insert("alerts", [json.dumps(row).encode()])

    def _reach(self, moment: datetime) -> None:
        self.warehouse.command(query_text("shared/cursor_write"), name="alert", reached=clickhouse_time(moment))
