"""What is older than the plan keeps anything leaves, by whole months, and is counted before it goes.

The same three steps as for parked feedback (streams/housekeeping.py): ids into the sets of the expired, which are the
truth about them from then on; the ledger; only then the rows. A pass that is killed anywhere, run again, or run by two
workers at once comes to the same, and the balance holds in between. What stays of a month are ids, counts (`windows`,
`reconciliations`, the ledger), and what the loop decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from headrace import ids
from headrace.plan import Privacy
from headrace.warehouse import Warehouse, query_text
from streams.queries import clickhouse_time


@dataclass(frozen=True, slots=True)
class Retention:
    """The plan's retention over one warehouse. Blocking.

    horizon: months that ended before it are not kept; event time, as the ids tell it
    arrived: what was ingested since then stays for now, however old it is
    """

    warehouse: Warehouse
    horizon: datetime
    arrived: datetime

    @classmethod
    def of(cls, warehouse: Warehouse, privacy: Privacy, newest: datetime, arrived: datetime) -> Retention:
        """As of the newest stored inference: a standstill lets nothing go, a simulated year does as a real one."""
        oldest = max(newest - timedelta(days=privacy.retention_days), ids.EPOCH)
        return cls(warehouse, oldest.replace(day=1, hour=0, minute=0, second=0, microsecond=0), arrived)

    def collect(self) -> None:
        """Put what is too old into the sets of the expired. Raises WarehouseError."""
        for query in ("retain_feedback", "retain_inferences"):
            self._run(query, arrived=clickhouse_time(self.arrived))

    def delete(self) -> None:
        """Delete the rows of what is in the sets; replays of it, too. Raises WarehouseError."""
        left = self.warehouse.query("retain_rows", horizon=clickhouse_time(self.horizon))[0]
        if left["feedback"]:
            self._run("retain_delete_feedback")
        if left["inferences"]:
            self._run("retain_delete_audit_labels")
            self._run("retain_delete_inferences")

    def _run(self, query: str, **parameters: object) -> None:
        self.warehouse.command(query_text(query), horizon=clickhouse_time(self.horizon), **parameters)
