"""What is told of a run, as plain values: from the job, its data set and the rows of the table candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from headrace.contract.findings import Candidate, Finding, SuiteResult
from headrace.models.bases import Base
from headrace.plan import CandidateSpec
from trainer.curate.rows import Curated


@dataclass(frozen=True)
class Story:
    """A run.

    version: what its winner is called; live: the version to beat; run: which attempt at which job, in words
    why: what started it; outcome, reason: as in result.json
    dataset: digest of the rows that it was judged on; tuned_on: of those that trained, where they are others
    shown: rows of the table candidates, in the order in which they were written
    specs, bases: of the plan; engines: on which each candidate would answer, empty for the gateway's own process
    code: names the sources that trained
    """

    task: str
    version: str
    live: str
    run: str
    at: datetime
    why: str
    outcome: str
    reason: str
    dataset: str
    tuned_on: str
    curated: Curated
    shown: Sequence[Candidate]
    labels: Sequence[str]
    describe: Mapping[str, str]
    specs: Mapping[str, CandidateSpec]
    bases: Mapping[str, Base]
    engines: Mapping[str, str]
    seed: int
    code: str
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def compared(self) -> list[Candidate]:
        """Candidates that were compared on the validation rows, the best first."""
        found = [one for one in self.shown if one.split == "validation" and one.n]
        return sorted(found, key=lambda one: -one.accuracy)

    @property
    def failed(self) -> list[Candidate]:
        """Candidates that were not tuned, or not to the end; `reason` says why."""
        return [one for one in self.shown if one.split == "validation" and not one.n]

    @property
    def judged(self) -> Candidate | None:
        """The candidate that met the test rows."""
        return next((one for one in self.shown if one.split == "test" and one.gate != "reference"), None)

    @property
    def reference(self) -> Candidate | None:
        """The live version on the same test rows."""
        return next((one for one in self.shown if one.gate == "reference"), None)

    @cached_property
    def rows(self) -> Counter[tuple[str, str, str]]:
        """Rows of the data set by split, label and source."""
        return Counter((row.split, row.label, row.source) for row in self.curated.rows)


def findings_of(candidate: Candidate) -> dict[str, Finding]:
    """What evaluators found, by their names."""
    found = candidate.detail.get("findings", {})
    return {name: Finding.model_validate(one) for name, one in found.items()}


def suites_of(candidate: Candidate) -> dict[str, SuiteResult]:
    """What it showed on suites, by the plan's names."""
    return {name: SuiteResult.model_validate(one) for name, one in candidate.detail.get("suites", {}).items()}
