"""Precision and recall of each label, and which label is most often taken for which."""

from __future__ import annotations

from collections import Counter

from headrace.contract.findings import Figure, Finding
from trainer.evaluate.subject import Subject, share

SHOWN = 200
"""Cells of the confusion matrix that are kept, the largest errors first: 150 labels have 22,500."""


def evaluate(subject: Subject) -> Finding | None:
    """Each cell of the confusion matrix that is not empty as a row of the table; what is right counts, too."""
    said = subject.said
    truth = [row.label for row in subject.rows]
    cells = Counter(zip(truth, said, strict=True))
    of_truth, of_said = Counter(truth), Counter(said)
    figures: dict[str, Figure] = {}
    scores = []
    for label in dict.fromkeys([*subject.labels, *of_truth]):
        right = cells[label, label]
        if of_truth[label]:
            figures[f"recall {label}"] = share(right, of_truth[label])
            scores.append(2 * right / (of_truth[label] + of_said[label]))
        if of_said[label]:
            figures[f"precision {label}"] = share(right, of_said[label])
    figures["macro_f1"] = Figure(value=sum(scores) / len(scores), n=len(truth))
    # Diagonal first, so that a bound on the table leaves out the rarest errors only.
    kept = sorted(cells.items(), key=lambda cell: (cell[0][0] != cell[0][1], -cell[1], cell[0]))[:SHOWN]
    return Finding(
        method=(
            "Recall and precision of each label with 95 % Wilson intervals; macro F1 over the labels that have rows"
            + (f"; the {SHOWN} largest cells of {len(cells)}" if len(cells) > SHOWN else "")
        ),
        figures=figures,
        columns=("label", "answer", "rows"),
        rows=tuple((label, answer, rows) for (label, answer), rows in kept),
    )
