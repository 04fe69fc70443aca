"""Requests a day, as the gate's costs take them from the warehouse."""

from __future__ import annotations

from datetime import timedelta

import pytest
from trainer_history import START, TASK, History

from headrace.warehouse import Warehouse
from trainer.curate import sources


def test_requests_a_day_are_the_tasks(empty: Warehouse) -> None:
    """Of all versions, shadows apart, in seven days; each version's recorded dollars are its own."""
    history = History()
    history.ask("long ago", "hr")
    history.pass_time(days=20)
    for number in range(100):
        history.ask(f"question {number}", "hr", version="router@1" if number % 4 else "router@0", cost=0.001)
        history.ask(f"question {number}", "hr", version="router@2", arm="shadow", cost=0.001)
        history.pass_time(hours=1)
    history.store(empty)
    found = sources.daily(empty, history.now)
    assert found.requests_of(TASK) == pytest.approx(24, rel=0.03) and found.requests_of("other") == 0
    assert found.usd[TASK, "router@1"] == pytest.approx(18 * 0.001, rel=0.03) and (TASK, "router@2") not in found.usd
    assert sources.daily(empty, START + timedelta(days=90)).requests == {}
