"""What the tests of curation share: small rules, a history of audited questions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from trainer_history import START, TASK, History

from headrace.plan import Curation, Privacy
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.rows import Curated, Rules
from trainer.curate.selection import curate

LABELS = ("hr", "it", "finance")


def rules(**fields: Any) -> Rules:
    """Rules of a plan with small bounds; histories of volunteered labels alone may train where nothing else is said."""
    curation = {"max_share_per_key": 1.0} | fields.pop("curation", {})
    return Rules(
        task=TASK,
        labels=fields.pop("labels", LABELS),
        texts=fields.pop("texts", ()),
        curation=Curation(**curation),
        privacy=fields.pop("privacy", Privacy()),
        now=fields.pop("now", START + timedelta(days=10)),
        test_from=fields.pop("test_from", START),
        live_version="router@0",
        live_loadable=fields.pop("live_loadable", True),
    )


def by_id(curated: Curated) -> dict[UUID, tuple[str, str]]:
    """Where each answer went, and under which label."""
    return {row.inference_id: (row.split, row.label) for row in curated.rows}


def adds_up(curated: Curated) -> bool:
    """Every answer is a row or is counted as left out."""
    return curated.funnel["answers"] == sum(curated.exclusions.values()) + len(curated.rows)


def curated_history(history: History, warehouse: Warehouse, **fields: Any) -> Curated:
    """Store the history and curate all of its task."""
    history.store(warehouse)
    return curate(sources.answers(warehouse, TASK), rules(**fields))


def many(history: History, count: int, **fields: Any) -> list[UUID]:
    """Audited questions, all different."""
    return [
        history.audited(f"question number {n} about {LABELS[n % 3]} thing {n * 7919}", "hr", LABELS[n % 3], **fields)
        for n in range(count)
    ]
