"""Adds teacher rows to a data set: reads the incumbent's answers, selects and cleans them, and says what they gain.

What becomes of the answers is counted in the data set's funnel:

    teacher_answers                     all of the incumbent's
    teacher_rows                        of these, rows that train
    teacher_REASON                      why others do not (teacher.py, cleaning.py)
    teacher_wrong_label LABEL           audits of LABEL, which prove the teacher wrong where it says LABEL: left out
    teacher_lost_label LABEL            audits of LABEL, which prove that the teacher does not know it
    teacher_unproven_label LABEL        audits of LABEL: too few to know
    teacher_right_with, _without        validation rows that a probe has right with the teacher rows, and without them
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from headrace.models.tensors import Floats
from headrace.plan.teaching import TeacherLabels
from headrace.warehouse import Warehouse
from trainer.curate.cleaning import contradicted, like_lost, reliability
from trainer.curate.rows import AnswerRow, Curated, Row, Rules
from trainer.curate.sources import Teacher
from trainer.curate.teacher import SPARE, TEACHER, quotas, selected
from trainer.progress import Progress

NO_GAIN = "teacher_no_gain"
_NAMED = ("teacher_wrong_label", "teacher_lost_label", "teacher_unproven_label")


@dataclass(frozen=True, slots=True)
class Teaching:
    """What it takes beside the data set.

    teacher: whose answers, and until when; embed: unit vectors (rows, width) of texts by the base that judges them
    """

    spec: TeacherLabels
    teacher: Teacher
    rules: Rules
    embed: Callable[[Sequence[str]], Floats]
    seed: int
    progress: Progress

    @classmethod
    def of(
        cls,
        spec: TeacherLabels,
        version: str,
        warehouse: Warehouse,
        rules: Rules,
        changed_at: datetime | None,
        embed: Callable[[Sequence[str]], Floats],
        seed: int,
        progress: Progress,
    ) -> Teaching:
        """version: the teacher; changed_at: where the trigger is a drift, its estimated start"""
        since = rules.now - timedelta(days=rules.privacy.retention_days)
        teacher = Teacher(warehouse, rules.task, version, rules.tenant, since, rules.now)
        starts = [start for start in (changed_at, teacher.drifted(), rules.now) if start is not None]
        return cls(spec, replace(teacher, until=min(starts)), rules, embed, seed, progress)

    def taught(self, curated: Curated, answers: Sequence[AnswerRow]) -> Curated:
        """The data set with teacher rows among those that train; answers: those that curation saw."""
        rules = self.rules
        counts = self.teacher.counts(rules.labels)
        funnel: Counter[str] = Counter({"teacher_answers": sum(answers for _, _, answers, _ in counts)})
        for reason, _, count, _ in counts:
            if reason:
                funnel[f"teacher_{reason}"] += count
        checked = curated.split("train")
        texts = {label: texts for reason, label, _, texts in counts if not reason}
        quota = quotas(texts, max(0, min(self.spec.max_rows, rules.curation.max_train_rows - len(checked))))
        shares = {label: min(1.0, SPARE * most / texts[label]) for label, most in quota.items() if most}
        drawn = self.teacher.drawn(shares) if shares else []
        usable = sum(count for reason, _, count, _ in counts if not reason)
        funnel["teacher_not_drawn"] = usable - len(drawn)
        rows, out = selected(drawn, curated.rows, rules, self.teacher.version, quota)
        funnel.update(out)
        audits = _audits(curated, answers, self.teacher)
        found = reliability(audits, rules.labels)
        for name, labels in zip(_NAMED, (found.wrong, found.lost, found.unproven), strict=True):
            for label in labels:
                funnel[f"{name} {label}"] = sum(label == pair[name != _NAMED[0]] for pair in audits)
        funnel["teacher_wrong_label"] = sum(row.label in found.wrong for row in rows)
        rows = [row for row in rows if row.label not in found.wrong]
        if rows:
            rows = self._cleaned(curated, rows, found.lost, funnel)
        funnel["teacher_rows"] = len(rows)
        both = sorted([*curated.rows, *rows], key=lambda row: (row.inference_id.int, row.tenant))
        counted = curated.funnel | {"train": len(checked) + len(rows)} | dict(sorted(funnel.items()))
        self.progress.say("curate", told(counted))
        return replace(curated, rows=tuple(both), funnel=counted)

    def _cleaned(self, curated: Curated, rows: Sequence[Row], lost: Sequence[str], funnel: Counter[str]) -> list[Row]:
        from trainer.heads import probe  # which imports scikit-learn

        checked, validation = curated.split("train"), curated.split("validation")
        self.progress.say("curate", f"cleaning {len(rows)} answers of {self.teacher.version}")
        place = {label: number for number, label in enumerate(self.rules.labels)}
        trained = [*checked, *rows]
        vectors = self.embed([row.text for row in [*trained, *validation]])
        known, chosen_on = vectors[: len(trained)], vectors[len(trained) :]
        truth, weights = np.array([place[row.label] for row in trained]), np.array([row.weight for row in trained])
        is_checked = np.arange(len(trained)) < len(checked)
        unlike = like_lost(known, truth.tolist(), is_checked.tolist(), [place[label] for label in lost], len(place))
        funnel["teacher_lost_label"] = int(unlike.sum())
        left = np.flatnonzero(~unlike)
        doubted = contradicted(
            known[left], truth[left].tolist(), weights[left].tolist(), is_checked[left].tolist(), len(place), self.seed
        )
        funnel["teacher_contradicted"] = int(doubted.sum())
        left = left[~doubted]
        taught = left[left >= len(checked)]
        right_of = [place[row.label] for row in validation]

        def right(places: Any) -> Any:
            head = probe(known[places], truth[places].tolist(), len(place), weights=weights[places].tolist())
            return (chosen_on @ head.weight.T + head.bias).argmax(axis=1) == right_of

        with_them, without = right(left), right(np.flatnonzero(is_checked))
        funnel["teacher_right_with"], funnel["teacher_right_without"] = int(with_them.sum()), int(without.sum())
        present = np.array([row.occurred_at >= self.rules.test_from for row in validation])
        # After a change the older answers may be wrong in the present, and rows of the past do not show that.
        counted = present if present.any() else np.ones(len(validation), dtype=bool)
        if with_them[counted].sum() < without[counted].sum():
            funnel[NO_GAIN] = len(taught)
            return []
        return [trained[number] for number in taught]


def _audits(curated: Curated, answers: Sequence[AnswerRow], teacher: Teacher) -> list[tuple[str, str]]:
    """What the teacher said and what is right, of its blind audited answers that test nothing."""
    held_out = {(row.tenant, row.inference_id) for row in curated.rows if row.split in ("test", "forget")}
    return [
        (answer.answered, answer.audit_label)
        for answer in answers
        if answer.version == teacher.version
        and answer.audit_label
        and answer.consent
        and answer.occurred_at < teacher.until
        and teacher.tenant in ("", answer.tenant)
        and (answer.tenant, answer.inference_id) not in held_out
    ]


def told(funnel: Mapping[str, int]) -> str:
    """What teacher rows there are and what they gain, in words; empty where the plan wants none."""
    if "teacher_answers" not in funnel:
        return ""
    said = f"{funnel['teacher_rows']} teacher rows of {funnel['teacher_answers']} answers of the incumbent"
    n = funnel.get("validation", 0)
    if n and "teacher_right_with" in funnel:
        gained = [funnel[f"teacher_right_{which}"] / n for which in ("with", "without")]
        said += f"; a probe has {gained[0]:.3f} of {n} validation rows right with them, {gained[1]:.3f} without"
    if funnel.get(NO_GAIN):
        said += f"; {funnel[NO_GAIN]} are left out, since they gain nothing"
    for name, words in zip(
        _NAMED, ("audits prove it wrong where it says", "it does not know", "too few audits of"), strict=True
    ):
        if labels := [key.removeprefix(f"{name} ") for key in funnel if key.startswith(f"{name} ")]:
            said += f"; {words} {', '.join(labels)}"
    return said


def figures(funnel: Mapping[str, int]) -> dict[str, int]:
    """The part of a funnel that is about teacher rows; empty where the plan wants none."""
    return {key: count for key, count in funnel.items() if key.startswith(f"{TEACHER}_")}
