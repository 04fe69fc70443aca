"""The counts between feedback and rows, and how many labels are still missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil

from headrace.plan import Curation
from trainer.curate.rows import SPLITS, AnswerRow, Curated, Row


def funnel(answers: Sequence[AnswerRow], rows: Sequence[Row]) -> dict[str, int]:
    """The case study's counts. feedback = satisfied + unsatisfied + neutral; ground_truth = the four splits."""
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
        "ground_truth": len(rows),
        **{name: splits[name] for name in SPLITS},
    }


def shortfall(curated: Curated, curation: Curation) -> tuple[int, str]:
    """How many more blind audit labels are needed, and why; (0, "") where there are enough."""
    test, train = len(curated.split("test")), len(curated.split("train"))
    # An audit label becomes a test row with probability test_share, else it trains or validates.
    for_test = ceil(max(0, curation.min_test_rows - test) / curation.test_share)
    trains = (1 - curation.test_share) * (1 - curation.validation_share)
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
