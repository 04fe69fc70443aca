"""The demo does not tread on another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from headrace.embedded import state
from headrace.errors import StackError
from simulation.demo.run import Options, run


def test_a_demo_that_was_left_up_is_not_deleted_under_its_feet(tmp_path: Path) -> None:
    """One sentence says how to stop it, and its files stay."""
    kept = tmp_path / "report.json"
    kept.write_text("{}")
    with (
        state.take_lock(tmp_path),
        pytest.raises(StackError, match=r"still up in .*; stop it with: .*headrace down"),
    ):
        run(Options(home=tmp_path), Console())
    assert kept.exists()
