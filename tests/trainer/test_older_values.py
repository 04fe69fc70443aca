"""Values that an older version stored, before a thumb of 0 was read as down and a rating had its range."""

from __future__ import annotations

import json

import pytest
from curation_rules import LABELS
from trainer_history import TASK, History

from headrace.contract.events import new_feedback
from headrace.warehouse import Warehouse
from trainer.curate import sources


@pytest.mark.parametrize(
    ("signal", "value", "satisfied", "dissatisfied"),
    [("thumb", 0, False, True), ("thumb", 1, True, False), ("rating", 80, False, False), ("rating", 0, False, False),
     ("rating", 4, True, False), ("rating", 2, False, True), ("resolution", 0, False, True)],
)  # fmt: skip
def test_a_stored_value_counts_as_what_it_meant(
    empty: Warehouse, signal: str, value: float, satisfied: bool, dissatisfied: bool
) -> None:
    """A thumb of 0 is down for the trainer, the judge and the windows; a rating of an unknown range says nothing."""
    history = History()
    answer = history.ask("where is my form", LABELS[0])
    history.store(empty)
    said = new_feedback(answer, "user", signal, occurred_at=history.now, task=TASK)
    fields = said.model_dump(mode="json", exclude_none=True) | {"value": value, "extra": ""}
    empty.insert("feedback", [json.dumps(fields).encode()])
    (row,) = sources.answers(empty, TASK)
    assert (row.satisfied, row.dissatisfied) == (satisfied, dissatisfied)
    (disputed,) = empty.query("judge/answers", ids=[str(answer)])
    assert list(disputed["signals"]) == ([signal] if dissatisfied and signal != "resolution" else [])
    at = int(history.now.timestamp() * 1000)
    (window,) = empty.rows(
        f"SELECT stratum, thumb FROM window_answers(tasks=['{TASK}'], size_ms=86400000,"
        f" window_from={at - 86_400_000}, window_to={at + 86_400_000})"
    )
    assert window["stratum"] == ("complained" if dissatisfied else "thanked" if satisfied else "silent")
    assert window["thumb"] == ({0: -1, 1: 1}[int(value)] if signal == "thumb" else None)
