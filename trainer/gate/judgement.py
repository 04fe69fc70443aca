"""The chosen candidate on the test rows: the only place where a candidate meets them and the older ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from headrace.contract.findings import Finding
from headrace.models.families import Model
from headrace.plan import Task
from trainer.curate.dataset import DataSet
from trainer.curate.rows import Row
from trainer.evaluate.entries import Entry, LiveBaseline
from trainer.evaluate.measure import Figures, figures, live_answers, predict, probabilities
from trainer.evaluate.subject import Remembered, Subject, findings
from trainer.evaluate.suites import forbidden
from trainer.gate.decision import decide
from trainer.gate.evidence import Evidence, Verdict
from trainer.gate.outcomes import Outcomes, mean_of, one_a_text, outcomes
from trainer.progress import Progress


@dataclass(frozen=True, slots=True)
class Judged:
    """The gate's verdict on the chosen candidate, and what it and the live version showed on the test rows.

    findings: what evaluators found of the candidate there, by their names
    """

    entry: Entry
    test: Figures
    live: Figures
    verdict: Verdict
    findings: Mapping[str, Finding] = field(default_factory=dict)


def judge(
    entry: Entry,
    baseline: LiveBaseline,
    dataset: DataSet,
    task: Task,
    number: int,
    progress: Progress,
    reference: Sequence[str] | None = None,
) -> Judged:
    """number: of this candidate, from 1, among those that met test rows since the live version won

    reference: what the reference version says to the test rows, in their order; None where the live version is it
    """
    test, forget = dataset.split("test"), dataset.split("forget")
    texts = [row.text for row in test]
    with entry.scorer.remembering():
        scores = probabilities(entry.scorer, texts, lambda done, total: progress.step("gate", done, total))
        novelty = entry.scorer.novelty(texts) if task.out_of_scope in entry.scorer.labels else None
        of_old, _ = predict(entry.scorer, forget)
    live = live_answers(test, baseline.version, baseline.scorer)
    remembered = Remembered(forget, of_old, live_answers(forget, baseline.version, baseline.scorer))
    subject = Subject(entry.scorer.labels, task.names, task.out_of_scope, test, scores, novelty, older=remembered)
    older = _outcomes(forget, task, of_old, remembered.live)
    evidence = Evidence(
        test=_outcomes(test, task, subject.said, live, reference),
        forget=older,
        confidence=mean_of(one_a_text(test)[1], subject.confidence.tolist()),
        candidate=entry.price,
        live=baseline.price,
        names=task.names,
        out_of_scope=task.out_of_scope,
        trained=Counter(row.label for row in dataset.split("train")),
        shown=_shown(entry, dataset.split("validation"), task),
        number=number,
        suites=forbidden(entry.suites),
    )
    verdict, pairs = decide(evidence, task.gate), older.pairs()
    forgot = {"n": pairs.n, "gained": pairs.gained, "lost": pairs.lost}
    verdict = replace(verdict, figures=verdict.figures | {"forget": forgot})
    truth = [row.label for row in test]
    judged = Judged(entry, figures(truth, subject.said), figures(truth, live), verdict, findings(subject))
    shown = {"accuracy": judged.test.accuracy, "live": judged.live.accuracy}
    progress.say("gate", verdict.reason, 1, 1, shown)
    return judged


def _outcomes(
    rows: Sequence[Row], task: Task, said: Sequence[str], live: Sequence[str], reference: Sequence[str] | None = None
) -> Outcomes:
    def scores(answers: Sequence[str]) -> list[float]:
        return [float(answer == row.label) for answer, row in zip(answers, rows, strict=True)]

    return outcomes(rows, task.labels, scores(said), scores(live), None if reference is None else scores(reference))


def _shown(entry: Entry, validation: Sequence[Row], task: Task) -> dict[str, tuple[int, float]]:
    """Validation rows and the plan's examples of each label, and how many of them the candidate has right."""
    asked = [(row.label, right) for row, right in zip(validation, entry.correct, strict=True)]
    for label, questions in task.examples.items():
        asked += [(label, answer == label) for answer in _answers(entry.scorer, questions)]
    return {
        label: (len(found), float(sum(found)))
        for label in task.labels
        if (found := [right for of, right in asked if of == label])
    }


def _answers(scorer: Model, questions: Sequence[str]) -> list[str]:
    return [scorer.labels[place] for place in scorer.score(list(questions)).argmax(axis=1)]
