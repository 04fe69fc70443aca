"""What the live version had right of older questions and the candidate has wrong, by the month of the question."""

from __future__ import annotations

from collections import defaultdict

from headrace.contract.findings import Figure, Finding
from headrace.statistics.paired import Pairs, pairs, tango_lower
from trainer.evaluate.subject import Subject, share


def evaluate(subject: Subject) -> Finding | None:
    """None where there are no older rows."""
    if subject.older is None or not subject.older.rows:
        return None
    rows, said, live = subject.older.rows, subject.older.said, subject.older.live
    mine = [answer == row.label for answer, row in zip(said, rows, strict=True)]
    theirs = [answer == row.label for answer, row in zip(live, rows, strict=True)]
    found = pairs(theirs, mine)
    months: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row, candidate, other in zip(rows, mine, theirs, strict=True):
        month = months[row.occurred_at.strftime("%Y-%m")]
        for place, counts in enumerate((True, other, candidate, other and not candidate)):
            month[place] += counts
    known = sum(theirs)
    drop = Figure(
        value=found.difference,
        low=tango_lower(found, 0.025),
        high=-tango_lower(Pairs(found.n, found.lost, found.gained), 0.025),
        n=found.n,
    )
    return Finding(
        method=(
            "Test rows of earlier models, by the month in which they were asked; forgotten: the live version is right"
            " and the candidate wrong, as a share of what the live version has right; drop: of accuracy, with Tango's"
            " interval"
        ),
        figures={"forgotten": share(found.gained, known), "drop": drop},
        columns=("month", "rows", "live right", "candidate right", "forgotten"),
        rows=tuple((month, *counts) for month, counts in sorted(months.items())),
    )
