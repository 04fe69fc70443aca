"""The rows of the table candidates: what each candidate of an attempt showed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from headrace.contract.control import Candidate
from headrace.contract.job_file import JobFile
from headrace.warehouse import Sink
from trainer.evaluate.measure import Figures, Latency
from trainer.gate.decision import Price
from trainer.tune.candidates import Tuned


class Report:
    """Writes the rows of one attempt; the same name and split written again replaces the row."""

    def __init__(self, sink: Sink, job: JobFile, dataset: str) -> None:
        self._sink = sink
        self._job = job
        self._dataset = dataset

    def candidate(
        self,
        tuned: Tuned,
        split: str,
        found: Figures | None,
        latency: Latency | None,
        gate: str,
        reason: str,
        **detail: Any,
    ) -> Candidate:
        """A candidate's row; without figures where tuning did not end."""
        return self._row(
            name=tuned.name,
            base=tuned.spec.base,
            method=tuned.spec.method,
            parameters=tuned.parameters,
            trained_parameters=tuned.trained,
            seconds=tuned.seconds,
            split=split,
            gate=gate,
            reason=reason,
            version=self._job.version if split == "test" else "",
            detail=detail,
            p50_ms=latency.p50_ms if latency else 0.0,
            p95_ms=latency.p95_ms if latency else 0.0,
            cost_per_1k=latency.cost_per_1k(tuned.spec.usd_per_hour) if latency else 0.0,
            **_accuracy(found),
        )

    def live(self, found: Figures, price: Price, p50_ms: float, parameters: int) -> Candidate:
        """The version to beat, on the same test rows."""
        return self._row(
            name=self._job.live.version,
            method="live",
            parameters=parameters,
            split="test",
            gate="reference",
            reason="the live version on the same rows",
            version=self._job.live.version,
            p50_ms=p50_ms,
            p95_ms=price.p95_ms,
            cost_per_1k=price.cost_per_1k,
            **_accuracy(found),
        )

    def write(self, candidates: Sequence[Candidate]) -> None:
        """Store rows."""
        rows = []
        for candidate in candidates:
            fields = candidate.model_dump(mode="json")
            fields["detail"] = json.dumps(fields["detail"])
            rows.append(json.dumps(fields).encode())
        self._sink.insert("candidates", rows)

    def _row(self, **fields: Any) -> Candidate:
        job = self._job
        return Candidate(
            job_id=job.job_id,
            attempt=job.attempt,
            task=job.task,
            at=datetime.now(UTC),
            dataset=self._dataset,
            **fields,
        )


def _accuracy(found: Figures | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "n": found.n,
        "correct": found.correct,
        "accuracy": found.accuracy,
        "low": found.low,
        "high": found.high,
    }
