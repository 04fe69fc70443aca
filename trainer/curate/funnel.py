"""The counts between feedback and rows, and how many labels are still missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import ceil, sqrt

from headrace.plan import Curation
from trainer.curate.rows import SPLITS, AnswerRow, Curated, Row

# What is left out by design, however much it is: answers that taught nothing, and what a bound of the plan asks for.
_EXPECTED = frozenset({"unlabelled", "other_tenant", "beyond_max_train_rows", "beyond_forget_rows"})
MAX_NAMED = 3
# Standard deviations.
BEYOND_CHANCE = 3


def funnel(answers: Sequence[AnswerRow], rows: Sequence[Row], test_from: datetime) -> dict[str, int]:
    """The case study's counts. feedback = satisfied + unsatisfied + neutral; ground_truth = the four splits.

    blind_labels: blind audit labels of answers since test_from; blind_train: those that became training rows
    """
    volunteered = [answer for answer in answers if answer.volunteered]
    unsatisfied = [answer for answer in volunteered if answer.dissatisfied]
    blamed = [answer for answer in unsatisfied if answer.judge_routing]
    satisfied = sum(answer.satisfied and not answer.dissatisfied for answer in volunteered)
    splits = Counter(row.split for row in rows)
    return {
        "answers": len(answers),
        "feedback": len(volunteered),
        "satisfied": satisfied,
        "unsatisfied": len(unsatisfied),
        "neutral": len(volunteered) - satisfied - len(unsatisfied),
        "judge_routing": len(blamed),
        "expert_confirmed": sum(answer.reviewer_routing for answer in blamed),
        "blind_labels": sum(answer.audit_label != "" and answer.occurred_at >= test_from for answer in answers),
        "blind_train": sum(
            row.split == "train" and row.source == "audit" and row.occurred_at >= test_from for row in rows
        ),
        "ground_truth": len(rows),
        **{name: splits[name] for name in SPLITS},
    }


def left_out(curated: Curated, curation: Curation) -> list[str]:
    """What leaves out more than the plan's share of the labelled answers, each in words; the most first.

    Where no reason does so alone, but all of them together do: the largest ones.
    """
    labelled = curated.funnel["answers"] - sum(
        curated.exclusions.get(name, 0) for name in ("unlabelled", "other_tenant")
    )
    most = curation.max_left_out * labelled
    found = [item for item in curated.exclusions.items() if item[0] not in _EXPECTED]
    found.sort(key=lambda item: -item[1])
    alone = [item for item in found if item[1] > most]
    together = sum(count for _, count in found) > most
    return [
        f"{reason} leaves out {count:,} of {labelled:,} labelled answers ({count / labelled:.0%})"
        + (f": {_named(curated.unknown)}" if reason == "unknown_label" and curated.unknown else "")
        for reason, count in alone or (found[:MAX_NAMED] if together else [])
    ]


def _named(unknown: Mapping[str, int]) -> str:
    return ", ".join(f"{label!r} {count:,}" for label, count in list(unknown.items())[:3])


def shortfall(curated: Curated, curation: Curation) -> tuple[int, str]:
    """How many more blind audit labels are needed, and why; (0, "") where there are enough.

    A label becomes a test or a training row at the plan's rate, or at that of the labels since test_from where it is
    lower: labels that would be left out are not waited for as if they were rows.
    """
    needs, why = _shortfall(curated, curation)
    return (needs, "; ".join([why, *left_out(curated, curation)])) if needs else (0, "")


def _shortfall(curated: Curated, curation: Curation) -> tuple[int, str]:
    test, train = len(curated.split("test")), len(curated.split("train"))
    labels = curated.funnel.get("blind_labels", 0)
    tests = _rate(test, labels, curation.test_share)
    trains = _rate(curated.funnel.get("blind_train", 0), labels, curation.train_share)
    for_test = ceil(max(0, curation.min_test_rows - test) / tests)
    for_train = ceil(max(0, curation.min_train_rows - train) / trains)
    if for_test >= for_train and for_test:
        return for_test, f"{test} blind test rows of the {curation.min_test_rows} that the plan asks for"
    if for_train:
        return for_train, f"{train} training rows of the {curation.min_train_rows} that the plan asks for"
    if not curated.split("validation"):
        return ceil(10 / (1 - curation.test_share)), "no settled label is left to compare candidates on"
    if len({row.label for row in curated.split("train")}) < 2:
        return ceil(10 / trains), "the training rows have one label only"
    return 0, ""


def _rate(rows: int, labels: int, planned: float) -> float:
    """Which share of the labels becomes such rows: the planned one, unless it was less beyond chance."""
    deviation = sqrt(labels * planned * (1 - planned))
    return planned if rows >= planned * labels - BEYOND_CHANCE * deviation else (rows + planned) / (labels + 1)
