"""One attempt at one job, from the warehouse to a published artifact: curate, tune, evaluate, gate, publish.

torch is imported only once there are enough labels, so that "not enough labels" takes a second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from headrace.contract.control import Served
from headrace.contract.job_file import JobFile, Result, settings_of
from headrace.contract.verdict import Verdict, specs
from headrace.models.bases import gpus
from headrace.models.bundle import verify
from headrace.plan import Task
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.dataset import DataSet
from trainer.curate.funnel import shortfall
from trainer.curate.stage import data_set
from trainer.gate import decision
from trainer.process.progress import Progress


@dataclass(slots=True)
class Clock:
    """Seconds by part of the run."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        """What passed since the last lap belongs to `name`."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._since, 3)
        self._since = now


def run(job: JobFile, progress: Progress) -> Result:
    """Raises UserError where the job cannot be done as it is, WarehouseError where ClickHouse fails."""
    clock = Clock()
    deadline = time.monotonic() + job.plan.budget.bound(gpus)[0]
    if job.live.artifact:
        # Before any work: without the version to beat nothing can be judged.
        verify(Path(job.live.artifact), job.live.digest)
    warehouse = Warehouse.connect(settings_of(job))
    try:
        labels = sources.labels(warehouse, job)
        dataset = data_set(warehouse, job, progress)
        clock.lap("curate")
        needs, missing = shortfall(dataset.curated, job.of_task.curation)
        if needs:
            reason = f"not enough labels: {missing}; about {needs} more blind audit labels are needed"
            return _result("not_enough_labels", reason, dataset, clock, needs=needs)
        from trainer.tune import comparison

        tuned = comparison.tune_all(job, dataset, progress, deadline)
        clock.lap("training")
        judged = comparison.judge(job, dataset, tuned, warehouse, progress)
        clock.lap("evaluation")
        if not isinstance(judged, comparison.Judged):
            return _result("no_winner", judged.reason, dataset, clock)
        if judged.verdict.gate == "passed":
            served = comparison.publish(job, dataset, judged, progress)
            return _result("won", judged.verdict.reason, dataset, clock, served=served)
        verdict = verdict_of(judged.verdict, labels, job.of_task)
        return _result("no_winner", judged.verdict.reason, dataset, clock, verdict=verdict)
    finally:
        warehouse.close()


def verdict_of(found: decision.Verdict, labels: int, task: Task) -> Verdict:
    """What another attempt waits for. Test rows come from labels at the rate at which they came this time.

    labels: since the trigger's test_from
    """
    rows = int(found.figures["n"])
    needs = ceil(labels * found.figures["rows_to_decide"] / rows) if found.gate == "failed" and rows else 0
    return Verdict(
        gate="vetoed" if found.gate == "vetoed" else "failed",
        rows=rows,
        difference=found.figures["difference"],
        p_value=found.figures["p_value"],
        labels=labels,
        needs_labels=needs,
        candidates=specs(task),
    )


def _result(
    outcome: str,
    reason: str,
    dataset: DataSet,
    clock: Clock,
    needs: int = 0,
    served: Served | None = None,
    verdict: Verdict | None = None,
) -> Result:
    return Result.model_validate(
        {
            "outcome": outcome,
            "reason": reason,
            "needs": needs,
            "served": served,
            "verdict": verdict,
            "dataset": dataset.digest,
            "seconds": clock.seconds,
            "funnel": dataset.curated.funnel | {f"excluded_{k}": v for k, v in dataset.curated.exclusions.items()},
        }
    )
