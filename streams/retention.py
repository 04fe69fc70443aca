"""What is older than the plan keeps anything leaves, by whole months, and is counted before it goes.

The same three steps as for parked feedback (streams/housekeeping.py): ids into the sets of the expired, which are the
truth about them from then on; the ledger; only then the rows. A pass that is killed anywhere, run again, or run by two
workers at once comes to the same, and the balance holds in between. What stays of a month are ids, counts (`windows`,
`reconciliations`, the ledger), and what the loop decided.

Partitions are months of the ids' own time, and two for ids that are far from the time of their insert (see
headrace/places.py). How the rows of one leave:

    nothing in it came lately    its parts are dropped, those that were looked at: a part never changes, so a row that
                                 arrives meanwhile stands in another one (DROP PARTITION would take it along)
    something came lately        a mutation in this partition deletes what came before, and the rest waits for its turn
    it is no month               the same: it holds ids of any time. Ids that were ahead of their insert are as old as
                                 that
    a mutation is in flight      the table is left alone until the next pass

What `arrivals` says of an event, who brought it, leaves with it. What others brought than the emitter under which it
expired is kept, so that their counts hold: arrivals come last, and only where all events of the pass are in the sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from headrace.contract import ids
from headrace.contract.ids import LATEST
from headrace.places import AHEAD, BEFORE, ids_of
from headrace.plan import Privacy
from headrace.warehouse import Warehouse, clickhouse_time, query_text
from streams.attempts import Attempts
from streams.mutations import Mutations

# Copies of questions are counted nowhere: they leave without a step before.
COUNTED = {"feedback": "maintenance/retain_feedback", "inferences": "maintenance/retain_inferences"}
ARRIVALS = "arrivals"
# In no order of time: it is looked through when events leave.
FOREIGN_IDS = "foreign_ids"


@dataclass(frozen=True, slots=True)
class Leaving:
    """Rows of one partition that may go.

    ahead: those whose ids were ahead of their insert, or the others
    first, last: their ids are between these, as numbers
    parts: all parts that hold them, where nothing else is in these; else none
    """

    table: str
    partition: str
    ahead: bool
    first: int
    last: int
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"retention of {self.table}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Retention:
    """The plan's retention over one warehouse. Blocking.

    horizon: months that ended before it are not kept; event time, as the ids tell it
    arrived: what was ingested since then stays for now, however old it is
    """

    warehouse: Warehouse
    horizon: datetime
    arrived: datetime
    attempts: Attempts

    @classmethod
    def of(
        cls, warehouse: Warehouse, privacy: Privacy, newest: datetime, arrived: datetime, attempts: Attempts
    ) -> Retention:
        """As of the newest stored inference: a standstill lets nothing go, a simulated year does as a real one."""
        oldest = max(newest - timedelta(days=privacy.retention_days), ids.EPOCH)
        month = oldest.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return cls(warehouse, month, arrived, attempts)

    def collect(self) -> Sequence[Leaving]:
        """Put what is too old into the sets of the expired; returns what may be deleted, once the ledger has it."""
        found: list[Leaving] = []
        self.attempts.run("retention", lambda: found.extend(self._due()))
        if any(due.table in COUNTED and not due.ahead for due in found):
            self.attempts.run(f"retention of {FOREIGN_IDS}", lambda: found.extend(self._foreign_ids()))
        mutations = Mutations(self.warehouse, self.attempts)
        busy = {
            table for table in {due.table for due in found} if not mutations.is_free(f"retention of {table}", table)
        }
        ready = [due for due in found if due.table not in busy]
        collected = [due for due in ready if due.table != ARRIVALS and self._collected(due)]
        if all(due in collected for due in found if due.table in COUNTED):
            collected += [due for due in ready if due.table == ARRIVALS and self._collected(due)]
        return collected

    def delete(self, leaving: Sequence[Leaving]) -> None:
        """Delete the rows of what was collected. Drops go first: a mutation renames all parts of its table."""
        mutations = Mutations(self.warehouse, self.attempts)
        for due in leaving:
            for part in due.parts:
                drop = partial(
                    self.warehouse.command, query_text("maintenance/retain_drop"), table=due.table, part=part
                )
                self.attempts.run(due.name, drop)
        for due in leaving:
            if not due.parts:
                mutations.run(due.name, due.table, partial(self._run, f"maintenance/retain_delete_{due.table}", due))

    def _due(self) -> list[Leaving]:
        found = [
            Leaving(row["table"], partition, partition == AHEAD, int(row["first"]), int(row["last"]), ())
            for partition in (BEFORE, AHEAD)
            for row in self.warehouse.query(
                "maintenance/retain_far", partition=partition, **self._bounds(partition == AHEAD)
            )
        ]
        for row in self.warehouse.query("maintenance/retain_months", **self._bounds(False)):
            first, last = ids_of(row["partition"])
            parts = () if row["newer"] else tuple(row["parts"])
            found.append(Leaving(row["table"], row["partition"], False, first, last, parts))
        return found

    def _foreign_ids(self) -> list[Leaving]:
        rows = self.warehouse.query("maintenance/retain_foreign_ids", **self._bounds(False))
        return [Leaving(FOREIGN_IDS, row["partition"], False, 0, 0, ()) for row in rows]

    def _bounds(self, ahead: bool) -> dict[str, str]:
        """What may go: of a time before `horizon`, ingested before `arrived`."""
        horizon, arrived = (LATEST, min(self.horizon, self.arrived)) if ahead else (self.horizon, self.arrived)
        return {"horizon": clickhouse_time(horizon), "arrived": clickhouse_time(arrived)}

    def _collected(self, due: Leaving) -> bool:
        query = (COUNTED | {ARRIVALS: "maintenance/retain_arrivals"}).get(due.table)
        return query is None or self.attempts.run(due.name, partial(self._run, query, due))

    def _run(self, query: str, due: Leaving) -> None:
        about = {"partition": due.partition, "first": due.first, "last": due.last}
        self.warehouse.command(query_text(query), **about, **self._bounds(due.ahead))
