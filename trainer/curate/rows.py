"""Plain values of curation: what was asked, answered and said, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from headrace.plan import Curation, Privacy
from headrace.plan.labels import folded, spellings_of
from trainer.curate.likeness import CHARACTERS

SPLITS = ("train", "validation", "test", "forget")


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One row of the query curate_answers; see there."""

    tenant: str
    inference_id: UUID
    occurred_at: datetime
    version: str
    text: str
    answered: str
    user_ref: str
    session_id: str
    key_id: str
    consent: bool
    truncated: bool
    audit_probability: float
    volunteered: bool
    satisfied: bool
    dissatisfied: bool
    complaint_keys: tuple[str, ...]
    judge_routing: bool
    reviewer_routing: bool
    satisfied_id: UUID
    satisfied_key: str
    settled_label: str
    settled_source: str
    settled_id: UUID
    settled_key: str
    settled_rank: int
    audit_label: str
    audit_id: UUID
    text_digest: str = ""
    """Of the normalised text, where `text` was left in the warehouse."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a data set.

    source: who says the label is right; rank: how far to trust that (4 expert, 3 outcome, 2 user, 0 a thumb, or nobody:
        source `teacher`, the answering incumbent)
    answered, version: what the user was told, and by which version
    weight: requests that the row stands for; 1 where nobody drew it; of a row that trains what it counts there
    cluster: rows of one are not independent of one another: one session's, or one text's
    """

    split: str
    tenant: str
    inference_id: UUID
    feedback_id: UUID
    occurred_at: datetime
    text: str
    text_digest: str
    label: str
    source: str
    rank: int
    answered: str
    version: str
    weight: float
    cluster: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What curation needs to know beside the answers.

    labels: the labels' ids; texts: how the plan spells them, where that is not as their ids
    now: event time from which retention is counted back
    test_from: test rows were asked at or after it
    tenant: whose answers alone are rows; empty for all
    characters: how much of a text its models read, as trainer/curate/likeness.py counts it
    live_version: whose recorded answers pair the test rows; live_loadable: others' rows can be paired by asking it
    """

    task: str
    labels: tuple[str, ...]
    curation: Curation
    privacy: Privacy
    now: datetime
    test_from: datetime
    live_version: str
    live_loadable: bool
    tenant: str = ""
    texts: tuple[str, ...] = ()
    characters: int = CHARACTERS

    def label(self, said: str) -> str:
        """The id of a label that was named by its text or id, in any case; empty where the task has none."""
        return _label(self.texts or self.labels, said)


@lru_cache(maxsize=10_000)
def _label(texts: tuple[str, ...], said: str) -> str:
    return spellings_of(texts).get(folded(said), "")


@dataclass(frozen=True, slots=True)
class Curated:
    """A data set's rows, and the counts that lead to them: answers = sum(exclusions) + rows.

    unknown: how many answers were left out for each label that the plan does not have, as it was written
    """

    rows: tuple[Row, ...]
    exclusions: dict[str, int]
    funnel: dict[str, int]
    unknown: dict[str, int] = field(default_factory=dict, compare=False)

    def split(self, name: str) -> list[Row]:
        """Rows of one split, in order of time."""
        return [row for row in self.rows if row.split == name]
