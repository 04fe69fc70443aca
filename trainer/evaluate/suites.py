"""The plan's suites: each candidate, and the live version where it can be loaded, answers their questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.contract.findings import SuiteResult
from headrace.contract.suite import Suite, read
from headrace.errors import SuiteError
from headrace.plan import Task
from headrace.statistics.intervals import wilson
from trainer.evaluate.subject import Ask

NAMED = 20
"""Bad lines that are named; of more the number is kept."""
NO_LINE = "no line of it can be used"


@dataclass(frozen=True, slots=True)
class Suites:
    """A task's suites, read once for all candidates. found: by the plan's name, what was read or why it was not"""

    task: Task
    found: Mapping[str, Suite | str]

    @classmethod
    def of(cls, task: Task) -> Suites:
        """A suite that cannot be read is reported with each candidate, and costs no other."""
        found: dict[str, Suite | str] = {}
        for name, spec in task.suites.items():
            try:
                found[name] = read(Path(spec.folder))
            except SuiteError as error:
                found[name] = str(error)
        return cls(task, found)

    @property
    def questions(self) -> int:
        """How many there are in all that can be asked."""
        return sum(len(one.cases) for one in self.found.values() if isinstance(one, Suite))

    def asked(self, ask: Ask) -> dict[str, SuiteResult]:
        """What a model shows on each, by the plan's name."""
        return {
            name: self._failed(name, one) if isinstance(one, str) else self._result(name, one, ask)
            for name, one in self.found.items()
        }

    def unasked(self, why: str) -> dict[str, SuiteResult]:
        """Of a model that cannot be asked."""
        return {name: self._failed(name, one if isinstance(one, str) else why) for name, one in self.found.items()}

    def _failed(self, name: str, why: str) -> SuiteResult:
        return SuiteResult(minimum=self.task.suites[name].minimum, failure=why)

    def _result(self, name: str, suite: Suite, ask: Ask) -> SuiteResult:
        labels = self.task.labels
        known = [(place, case, self.task.id_of(case.label)) for place, case in suite.cases]
        bad = [*suite.bad, *(f"{place}: label: it is not one of the task's" for place, _, label in known if not label)]
        usable = [(case.input, label) for _, case, label in known if label]
        said = [labels[best] for best in ask([text for text, _ in usable]).argmax(axis=1)] if usable else []
        correct = sum(answer == label for answer, (_, label) in zip(said, usable, strict=True))
        low, high = wilson(correct, len(usable))
        return SuiteResult(
            version=suite.manifest.version,
            digest=suite.manifest.digest,
            licence=suite.manifest.licence,
            n=len(usable),
            correct=correct,
            accuracy=correct / len(usable) if usable else 0.0,
            low=low,
            high=high,
            minimum=self.task.suites[name].minimum,
            bad=tuple(bad[:NAMED]),
            left_out=len(bad),
            failure="" if usable else NO_LINE,
        )


def forbidden(results: Mapping[str, SuiteResult]) -> str:
    """Which suite with a minimum forbids a candidate, in words; empty where none does."""
    return "; ".join(f"suite {name}: {why}" for name, one in results.items() if (why := one.forbids))
