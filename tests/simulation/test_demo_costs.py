"""The demo's report states cost at three traffics and where the machine begins to pay."""

from __future__ import annotations

from importlib import resources
from typing import Any, cast

import pytest

from headrace import plan
from simulation.demo import report
from simulation.demo.compare import ROWS
from simulation.demo.screen import closing_table, savings

PLAN = (resources.files("simulation.demo") / "flywheel.toml").read_text("utf-8")
TIMED = {"first_token_p50_ms": 9.0, "first_token_p95_ms": 20.0, "p50_ms": 10.0, "p95_ms": 21.0}


class Reader:
    """The one query that costs are read by."""

    def rows(self, name: str, **_: Any) -> list[dict[str, Any]]:
        """An incumbent of 250 tokens a question, and a tuned version of ten milliseconds."""
        assert name == "cost"
        return [
            {"version": "router@0", "n": 900, "recorded_per_1k": 0.225, **TIMED},
            {"version": "router@1", "n": 900, "recorded_per_1k": 0.05 * 10 / 3600, **TIMED},
        ]


def test_costs_are_stated_at_three_traffics() -> None:
    """Dearer at a thousand requests a day, cheaper from 5,333 on; the case study's share stands beside it."""
    found = report._cost(cast(Any, Reader()), [{"version": "router@1"}], plan.parse(PLAN), {"router@1": "full"})
    assert found["router@0"]["per_1k"] == {"1000": 0.225, "100000": 0.225, "10000000": 0.225}
    assert found["router@1"]["per_1k"]["1000"] == pytest.approx(1.2)
    assert found["saved"]["1000"] < -4 and found["saved"]["100000"] == pytest.approx(0.947, abs=1e-3)
    assert found["saved"]["10000000"] > 0.998 and found["break_even_per_day"] == pytest.approx(5333, abs=1)
    said = savings(found)
    assert said.startswith("cost -433.3% / 94.7% / 99.9% lower at 1,000 / 100,000 / 10,000,000")
    assert said.endswith("cheaper from 5,333 a day")
    share = {"value": 0.95, "low": 0.94, "high": 0.96, "n": 1, "version": "router@1"}
    whole = {
        "cost": found,
        "accuracy": dict.fromkeys(("incumbent", "after_act_one", "trough", "recovered"), share),
        "conditions": {"incumbent_latency_scale": 100},
    }
    caption = str(closing_table(whole).caption)
    assert "case study: 98 %" in caption and "-433.3%" in caption
    assert dict(ROWS)["cost saved"](whole) == said


def test_a_run_without_a_winner_saves_nothing() -> None:
    """The incumbent alone is priced."""
    found = report._cost(cast(Any, Reader()), [], plan.parse(PLAN), {})
    assert "saved" not in found and savings(found) == "–"
