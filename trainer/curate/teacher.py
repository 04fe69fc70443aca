"""Which of the incumbent's own answers train: teacher rows. Pure: the same answers give the same rows.

What becomes of an answer of the incumbent, in this order; counted in the funnel under the word in brackets:

    may not train                     [teacher_other_tenant] [teacher_no_consent] [teacher_consent_not_explicit]
                                      [teacher_too_old]
    not recorded by a gateway, or cut [teacher_unsigned] [teacher_truncated]
    asked after a drift's start       [teacher_after_drift]
    a label that the plan has not     [teacher_unknown_label]
    somebody said something about it  [teacher_said_about]: curation decides what it is
    drawn for the audit, not labelled [teacher_awaits_audit]: it may yet test
    not drawn, by a hash of its text  [teacher_not_drawn]; of the drawn ones
        the text of another row       [teacher_duplicate], nearly [teacher_near_duplicate]
        of the session of a row that tests, or on which candidates are compared [teacher_leakage]
        beyond a user's share         [teacher_beyond_user_share]
        beyond max_rows               [teacher_beyond_max_rows]
    what is left is cleaned: trainer/curate/cleaning.py

A teacher row never tests, and no candidate is chosen on one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from uuid import UUID

from trainer.curate import near
from trainer.curate.likeness import Likeness
from trainer.curate.rows import Row, Rules
from trainer.curate.text import digest, normal

TEACHER = "teacher"
WEIGHT = 1 / 3
"""What a teacher row counts in training beside a checked one."""
SPARE = 1.5
"""So many times the rows are drawn that are wanted: some repeat others."""
NOTHING_SAID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Told:
    """One row of the query teacher_answers; see there. drawn: the hash by which it was drawn, uniform."""

    tenant: str
    inference_id: UUID
    occurred_at: datetime
    text: str
    answered: str
    user_ref: str
    session_id: str
    drawn: int


def quotas(texts: Mapping[str, int], most: int) -> dict[str, int]:
    """How many rows of each label, of so many different texts: at most `most` in all.

    In proportion to the square root, as labels count in the loss (trainer/heads.py, balance); what a label has not
    got goes to the others.
    """
    given: dict[str, int] = {}
    left = dict(texts)
    while left:
        room = most - sum(given.values())
        scale = room / sum(map(sqrt, left.values())) if any(left.values()) else 0.0
        small = [label for label, count in left.items() if count <= scale * sqrt(count)]
        if not small:
            return given | {label: int(scale * sqrt(count)) for label, count in left.items()}
        given |= {label: left.pop(label) for label in small}
    return given


def selected(
    told: Sequence[Told], rows: Sequence[Row], rules: Rules, version: str, quota: Mapping[str, int]
) -> tuple[list[Row], Counter[str]]:
    """Teacher rows beside the rows of a data set, and how many were left out for what.

    told: in any order; quota: rows of each label at most
    """
    out: Counter[str] = Counter()
    held_out = [row for row in rows if row.split != "train"]
    sessions = {row.cluster for row in held_out if row.cluster != row.text_digest}
    known = {row.text_digest for row in rows}
    found: list[tuple[Told, Row]] = []
    for one in sorted(told, key=lambda one: (one.drawn, one.inference_id.int, one.tenant)):
        row = _row(one, version)
        if row.text_digest in known or not normal(one.text):
            out["teacher_duplicate"] += 1
        elif row.cluster in sessions:
            out["teacher_leakage"] += 1
        else:
            known.add(row.text_digest)
            found.append((one, row))
    found = _without_near(found, rows, rules.characters, out)
    found = _within_share(found, rules.curation.max_share_per_user, out)
    taken: Counter[str] = Counter()
    kept: list[Row] = []
    for _, row in found:
        if taken[row.label] < quota.get(row.label, 0):
            taken[row.label] += 1
            kept.append(row)
        else:
            out["teacher_beyond_max_rows"] += 1
    return kept, out


def _row(told: Told, version: str) -> Row:
    text_digest = digest(normal(told.text))
    return Row(
        split="train",
        tenant=told.tenant,
        inference_id=told.inference_id,
        feedback_id=NOTHING_SAID,
        occurred_at=told.occurred_at,
        text=told.text,
        text_digest=text_digest,
        label=told.answered,
        source=TEACHER,
        rank=0,
        answered=told.answered,
        version=version,
        weight=WEIGHT,
        cluster=f"{told.tenant} {told.session_id}" if told.session_id else text_digest,
    )


def _without_near(
    found: list[tuple[Told, Row]], rows: Sequence[Row], characters: int, out: Counter[str]
) -> list[tuple[Told, Row]]:
    """Without near-duplicates of any row of the data set and of one another, whatever their labels."""
    likeness = Likeness.of_texts([*(row.text for row in rows), *(row.text for _, row in found)], characters)
    mine = likeness.places([row.text_digest for _, row in found])
    known = likeness.places(list(dict.fromkeys(row.text_digest for row in rows)))
    gone = near.leaked(likeness.sketches, mine, known)
    gone |= near.repeated(likeness.sketches, mine, [0] * len(mine))
    if gone.any():
        out["teacher_near_duplicate"] += int(gone.sum())
    return [pair for pair, left_out in zip(found, gone, strict=True) if not left_out]


def _within_share(found: list[tuple[Told, Row]], share: float, out: Counter[str]) -> list[tuple[Told, Row]]:
    """Each user's first rows; a user without a name is a session.

    The bound is a share of the rows that are left, or an equal share where there are too few users for that.
    """
    voices = [one.user_ref or one.session_id for one, _ in found]
    said = Counter((one.tenant, voice) for (one, _), voice in zip(found, voices, strict=True) if voice)
    nameless = sum(not voice for voice in voices)
    share = max(share, 1 / max(1, len(said) + nameless))
    total = len(found)
    while (within := nameless + sum(min(count, int(share * total)) for count in said.values())) < total and share < 1:
        total = within
    taken: Counter[tuple[str, str]] = Counter()
    kept = []
    for (one, row), voice in zip(found, voices, strict=True):
        if voice and share < 1 and taken[one.tenant, voice] >= int(share * total):
            out["teacher_beyond_user_share"] += 1
            continue
        taken[one.tenant, voice] += 1
        kept.append((one, row))
    return kept
