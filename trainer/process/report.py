"""The rows of the table candidates: what each candidate of an attempt showed, for the warehouse and for the report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from headrace.contract.findings import Candidate, Finding, SuiteResult
from headrace.contract.job_file import Attempt
from headrace.warehouse import Sink
from trainer.evaluate.choice import Choice
from trainer.evaluate.entries import Entry, LiveBaseline
from trainer.evaluate.measure import Figures, probabilities
from trainer.evaluate.suites import Suites
from trainer.gate.judgement import Judged
from trainer.process.telling import SHOWN
from trainer.tune.candidates import Tuned

UPSTREAM = "it answers at an address, where suites are not asked"


class Report:
    """Writes the rows of one attempt; the same name and split written again replaces the row.

    folder: the attempt's own, where the rows are kept as well
    dataset, tuned_on: digests of the rows that they are judged on, and of those that they were tuned on
    teacher: counts of teacher rows, and what they gained; empty where there are none
    """

    def __init__(
        self, sink: Sink, folder: Path, attempt: Attempt, dataset: str, tuned_on: str, teacher: Mapping[str, int]
    ) -> None:
        self._sink = sink
        self._folder = folder
        self._tuned_on = tuned_on
        self._attempt = attempt
        self._dataset = dataset
        self._taught = {"teacher": dict(teacher)} if teacher else {}

    def failed(self, tuned: Tuned) -> Candidate:
        """One whose tuning did not end."""
        detail = _training(tuned)
        return self._candidate(tuned, split="validation", gate="not_selected", reason=tuned.failure, detail=detail)

    def compared(self, entry: Entry, choice: Choice) -> Candidate:
        """One on the validation rows."""
        name = entry.tuned.name
        return self._candidate(
            entry.tuned,
            split="validation",
            gate="not_selected",
            reason=choice.reason,
            detail={
                "pareto": name in choice.front,
                "chosen": name == choice.name,
                "serving": asdict(entry.serving),
                **_training(entry.tuned),
                **self._taught,
                **_detail(entry.findings, entry.suites),
            },
            **_latency(entry),
            **_accuracy(entry.validation),
        )

    def judged(self, judged: Judged) -> Candidate:
        """The chosen one on the test rows."""
        return self._candidate(
            judged.entry.tuned,
            split="test",
            gate=judged.verdict.gate,
            reason=judged.verdict.reason,
            version=self._attempt.version,
            detail=judged.verdict.figures | {"tuned_on": self._tuned_on} | _detail(judged.findings, {}),
            **_latency(judged.entry),
            **_accuracy(judged.test),
        )

    def live(self, found: Figures, baseline: LiveBaseline, suites: Suites) -> Candidate:
        """The version to beat, on the same test rows and, where it can be loaded, on the plan's suites."""
        scorer = baseline.scorer
        asked = suites.unasked(UPSTREAM) if scorer is None else suites.asked(partial(probabilities, scorer))
        return self._row(
            name=baseline.version,
            method="live",
            parameters=baseline.parameters,
            split="test",
            gate="reference",
            reason="the live version on the same rows",
            version=baseline.version,
            p50_ms=baseline.p50_ms,
            p95_ms=baseline.price.p95_ms,
            cost_per_1k=baseline.price.cost_per_1k,
            detail={"requests_per_day": baseline.requests_per_day, "serving": asdict(baseline.serving)}
            | _detail({}, asked),
            **_accuracy(found),
        )

    def write(self, candidates: Sequence[Candidate]) -> None:
        """Store rows."""
        kept = b"".join(candidate.to_json() + b"\n" for candidate in candidates)
        (self._folder / SHOWN).write_bytes(kept)
        rows = []
        for candidate in candidates:
            fields = candidate.model_dump(mode="json")
            fields["detail"] = json.dumps(fields["detail"])
            rows.append(json.dumps(fields).encode())
        self._sink.insert("candidates", rows)

    def _candidate(self, tuned: Tuned, **fields: Any) -> Candidate:
        return self._row(
            name=tuned.name,
            base=tuned.spec.base,
            method=tuned.spec.method,
            parameters=tuned.parameters,
            trained_parameters=tuned.trained,
            seconds=tuned.seconds,
            **fields,
        )

    def _row(self, **fields: Any) -> Candidate:
        attempt = self._attempt
        return Candidate(
            job_id=attempt.job_id,
            attempt=attempt.number,
            task=attempt.task,
            at=datetime.now(UTC),
            dataset=self._dataset,
            **fields,
        )


def _training(tuned: Tuned) -> dict[str, Any]:
    """The mean loss by epoch, where the method has epochs, and whether the plan did not ask for it."""
    return ({"curve": dict(tuned.curve)} if tuned.curve else {}) | ({"baseline": True} if tuned.baseline else {})


def _detail(findings: Mapping[str, Finding], suites: Mapping[str, SuiteResult]) -> dict[str, Any]:
    """What is there of findings and suites, as JSON has it, without what says nothing."""
    named = {"findings": findings, "suites": suites}
    return {
        kind: {name: one.model_dump(mode="json", exclude_defaults=True) for name, one in found.items()}
        for kind, found in named.items()
        if found
    }


def _latency(entry: Entry) -> dict[str, Any]:
    return {"p50_ms": entry.latency.p50_ms, "p95_ms": entry.latency.p95_ms, "cost_per_1k": entry.price.cost_per_1k}


def _accuracy(found: Figures) -> dict[str, Any]:
    return {
        "n": found.n,
        "correct": found.correct,
        "accuracy": found.accuracy,
        "low": found.low,
        "high": found.high,
    }
