"""The first stage: the data set of an attempt, curated anew or taken over from an earlier attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from headrace.errors import PlanError
from trainer.curate.bounds import KEY, USER
from trainer.curate.dataset import DataSet
from trainer.curate.funnel import left_out, shortfall
from trainer.curate.likeness import Likeness
from trainer.curate.rows import SPLITS, AnswerRow, Curated, Row, Rules
from trainer.curate.selection import curate
from trainer.curate.teaching import Teaching
from trainer.progress import Progress

MAX_NAMED = 3


class Texts(Protocol):
    """The texts of the answers, which are read once they are chosen."""

    def likeness(self) -> Likeness:
        """Of all of them. Raises WarehouseError."""

    def of(self, rows: Sequence[Row]) -> Mapping[tuple[str, UUID], str]:
        """Texts of these rows by tenant and id, without those that changed or are gone. Raises WarehouseError."""


def data_set(
    answers: Sequence[AnswerRow],
    texts: Texts,
    rules: Rules,
    earlier: DataSet | None,
    progress: Progress,
    teaching: Teaching | None = None,
) -> DataSet:
    """An earlier attempt's data set, so that its checkpoints still count.

    earlier: only where every row of it may still be used
    Labels keep arriving, so curating again would give other rows, another digest, and training from the start. One
    that had too few labels to train on is what the new ones were waited for: it is curated again.

    teaching: adds teacher rows, where the plan wants them and there are enough checked ones; None: none
    """
    enough = earlier is not None and not shortfall(earlier.curated, rules.curation)[0]
    if earlier is not None and enough:
        dataset = earlier
        progress.say("curate", f"takes over data set {dataset.digest[:12]} of the earlier attempt", 2, 3)
    else:
        curated = with_texts(curate(answers, rules, texts.likeness()), texts)
        if teaching is not None and not shortfall(curated, rules.curation)[0]:
            curated = teaching.taught(curated, answers)
        dataset = DataSet.of(curated)
        progress.step("curate", 2, 3)
    funnel = dataset.curated.funnel
    counts = ", ".join(f"{funnel[name]} {name}" for name in ("train", "validation", "test", "forget"))
    said = f"{counts} of {funnel['answers']} answers{_bounded(dataset.curated.exclusions)}"
    progress.say("curate", said, 3, 3, {k: float(v) for k, v in funnel.items()})
    for warning in left_out(dataset.curated, rules.curation):
        progress.say("curate", warning, 3, 3)
    return dataset


def with_texts(curated: Curated, texts: Texts) -> Curated:
    """The rows with their texts. One whose text has changed since it was chosen is left out [text_changed]."""
    found = texts.of(curated.rows)
    rows = tuple(
        replace(row, text=found[row.tenant, row.inference_id])
        for row in curated.rows
        if (row.tenant, row.inference_id) in found
    )
    changed = len(curated.rows) - len(rows)
    changed += curated.exclusions.get("text_changed", 0)
    exclusions = curated.exclusions | ({"text_changed": changed} if changed else {})
    splits = Counter(row.split for row in rows)
    counts = {"ground_truth": len(rows), **{name: splits[name] for name in SPLITS}}
    return replace(curated, rows=rows, exclusions=exclusions, funnel=curated.funnel | counts)


def may_be_pooled(answers: Sequence[AnswerRow], task: str, pooled: bool | None) -> None:
    """Raises PlanError where there are several tenants and the plan does not say whose rows train: `pooled` is None."""
    tenants = sorted({answer.tenant for answer in answers})
    if len(tenants) > 1 and pooled is None:
        named = ", ".join(tenants[:MAX_NAMED]) + (", …" if len(tenants) > MAX_NAMED else "")
        raise PlanError(
            f"there are answers of {len(tenants)} tenants ({named});"
            " say in the plan whether they may train one model: privacy.pool_tenants = true, or false and whose rows"
            f" train: tasks.{task}.tenant"
        )


def _bounded(exclusions: Mapping[str, int]) -> str:
    """What the plan's shares and its tenant left out, in words; empty where that is nothing."""
    left_out = [f"{exclusions[bound]} {bound}" for bound in ("other_tenant", USER, KEY) if exclusions.get(bound)]
    return f"; left out: {', '.join(left_out)}" if left_out else ""
