"""The names of a data set and of its rows: a change of either changes them, and an erasure of texts does not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from trainer.curate.rows import Row

# Of what the digests are made; the table `datasets` has it as `format`.
FORMAT = 2
_HEAD = "headrace data set 2"
_SEPARATOR = "\x1f"
_MICRO = 1_000_000


def text_sha256(text: str) -> str:
    """Of a question as it is, not as it is compared: 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def cluster_digest(cluster: str) -> str:
    """A cluster's name without the session that it may be: 32 hex digits."""
    return hashlib.sha256(cluster.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def row_digest(row: Row, text: str) -> str:
    """64 hex digits of all that a row trains or tests by.

    text: its text_sha256, which is known of an emptied row too
    Of the ids the feedback's is random and goes with an erasure, so that what is left says nothing of the text.
    headrace/warehouse/queries/datasets/check.sql makes the same digest of the columns of dataset_rows.
    """
    fields = (
        row.split,
        str(row.inference_id),
        str(row.feedback_id),
        row.source,
        str(row.rank),
        # As a whole number: floating point numbers are written in as many ways as there are programs.
        str(round(row.weight * _MICRO)),
        cluster_digest(row.cluster),
        text,
        row.answered,
        row.version,
        row.label,
        row.tenant,
    )
    return hashlib.sha256(_SEPARATOR.join(fields).encode("utf-8", "surrogatepass")).hexdigest()


def dataset_digest(rows: Iterable[str]) -> str:
    """Of the digests of its rows, in whatever order."""
    return hashlib.sha256("\n".join([_HEAD, *sorted(rows)]).encode()).hexdigest()
