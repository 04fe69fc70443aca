"""The chosen candidate on the test rows: the only place where a candidate meets them and the older ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headrace.plan import Task
from trainer.curate.rows import Row
from trainer.evaluate.entries import Entry, LiveBaseline
from trainer.evaluate.measure import Figures, figures, live_answers, predict
from trainer.gate.decision import Answers, Evidence, Verdict, decide
from trainer.progress import Progress


@dataclass(frozen=True, slots=True)
class Judged:
    """The gate's verdict on the chosen candidate, and what it and the live version showed on the test rows."""

    entry: Entry
    test: Figures
    live: Figures
    verdict: Verdict


def judge(
    entry: Entry,
    baseline: LiveBaseline,
    test: Sequence[Row],
    forget: Sequence[Row],
    task: Task,
    look: int,
    progress: Progress,
) -> Judged:
    """look: the number, from 1, of this look at test rows since the live version won; forget: older test rows"""
    said, confidence = predict(entry.scorer, test, lambda done, total: progress.step("gate", done, total))
    live = live_answers(test, baseline.version, baseline.scorer)
    of_old, _ = predict(entry.scorer, forget)
    older = Answers([row.label for row in forget], of_old, live_answers(forget, baseline.version, baseline.scorer))
    evidence = Evidence(
        test=Answers([row.label for row in test], said, live),
        confidence=confidence,
        forget=older,
        candidate=entry.price,
        live=baseline.price,
        names=task.names,
        out_of_scope=task.out_of_scope,
        look=look,
    )
    verdict, pairs = decide(evidence, task.gate), older.pairs()
    forgot = {"n": pairs.n, "gained": pairs.gained, "lost": pairs.lost}
    verdict = replace(verdict, figures=verdict.figures | {"forget": forgot})
    truth = [row.label for row in test]
    judged = Judged(entry, figures(truth, said), figures(truth, live), verdict)
    shown = {"accuracy": judged.test.accuracy, "live": judged.live.accuracy}
    progress.say("gate", verdict.reason, 1, 1, shown)
    return judged
