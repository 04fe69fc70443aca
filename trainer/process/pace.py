"""How many more labels an attempt asks for, in how many days they come, and what its verdict waits for."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from headrace.contract.verdict import Verdict, specs
from headrace.plan import Curation, Task
from trainer.gate.evidence import Verdict as Found

AFTER_FAILURE = 2
"""After an attempt that failed, another one is worth a look when there are so many times the labels."""
LOOK_SHARE = 0.1
LOOK_LABELS = 10
"""An undecided candidate is looked at again when the labels have grown by this share, and by at least so many, or when
its verdict is expected, whichever comes first: another look at the same candidate costs no alpha, but a process."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Blind audit labels.

    there: since the trigger's test_from; per_day: how many come in a day of event time, lately
    """

    there: int
    per_day: float

    def more(self, needs: int) -> str:
        """So many more labels, in words."""
        if self.per_day <= 0:
            return f"{needs} more, and none come at present"
        days = needs / self.per_day
        about = f"{days:.0f} days" if days >= 1.5 else f"{max(1, round(24 * days))} hours"
        return f"{needs} more, about {about} at today's rate of {self.per_day:.0f} a day"

    def for_rows(self, rows: int, wanted: int) -> int:
        """How many more are needed for `wanted` test rows, at the rate at which `rows` came of them; at least one."""
        return max(1, ceil(self.there * wanted / max(rows, 1)) - self.there)

    def until_next_look(self, needs: int) -> int:
        """After how many more of `needs` the candidate is looked at again."""
        return min(needs, max(LOOK_LABELS, ceil(LOOK_SHARE * self.there)))


def unlearned(learned: int, curation: Curation) -> tuple[int, str]:
    """How many more labels until a first candidate has something new to learn from, and why; (0, "") where it has.

    learned: training rows of the time since the trigger's change. The first candidate has the largest share of alpha,
    and one that knows the world of before alone has nothing to show.
    """
    missing = curation.min_new_rows - learned
    if missing <= 0:
        return 0, ""
    return ceil(
        missing / curation.train_share
    ), f"{learned} training rows since the change of the {curation.min_new_rows} asked for"


def verdict_of(found: Found, labels: Labels, task: Task) -> Verdict:
    """What another attempt waits for.

    After one that failed or was vetoed a new candidate has to be tuned, which is worth its own share of alpha once
    there are AFTER_FAILURE times the labels: it learns from as many more. Test rows come from labels at the rate at
    which they came this time.
    """
    rows = int(found.figures["n"])
    needs = {
        "failed": AFTER_FAILURE * labels.there,
        "vetoed": AFTER_FAILURE * labels.there,
        "undecided": labels.there + labels.for_rows(rows, int(found.figures["rows_to_decide"])),
    }
    return Verdict(
        gate=found.gate if found.gate in ("vetoed", "undecided") else "failed",
        rows=rows,
        difference=found.figures["difference"],
        p_value=found.figures["p_value"],
        labels=labels.there,
        needs_labels=needs.get(found.gate, 0),
        candidates=specs(task),
    )
