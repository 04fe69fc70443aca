"""Windows and spans of event time that no clock can count are refused with the plan."""

from __future__ import annotations

import pytest

from headrace import plan
from headrace.errors import PlanError

PLAN = """
version = 1
[tasks.router]
labels = ["hr", "it"]
[tasks.router.windows]
{windows}
[tasks.router.triggers]
{triggers}
[tasks.router.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.router.candidates.probe]
method = "probe"
"""


@pytest.mark.parametrize("size_s", ["0.001", "1.1", "0.3", "600", "604800"])
def test_a_window_is_whole_milliseconds(size_s: str) -> None:
    """However it is written as a fraction of seconds."""
    assert plan.parse(PLAN.format(windows=f"size_s = {size_s}", triggers="")).task("router").windows.size_s


@pytest.mark.parametrize(
    ("table", "text", "says"),
    [
        ("windows", "size_s = 0.0004", "windows.size_s is 0.0004"),
        ("windows", "size_s = 1.0005", "no whole milliseconds"),
        ("windows", "size_s = 1e-300", "no whole milliseconds"),
        ("windows", "size_s = 1e300", "privacy.retention_days is 730"),
        ("windows", "lateness_s = 1e15", "windows.lateness_s is 1000000000000000"),
        ("triggers", "cool_down_s = 1e15", "triggers.cool_down_s is 1000000000000000"),
        ("triggers", "cadence_s = 1e15", "triggers.cadence_s is 1000000000000000"),
    ],
)
def test_what_no_clock_can_count_is_refused(table: str, text: str, says: str) -> None:
    """Its windows would be counted nowhere, or the monitor would end at its first look."""
    tables = {"windows": "", "triggers": ""} | {table: text}
    with pytest.raises(PlanError) as caught:
        plan.parse(PLAN.format(**tables))
    assert says in str(caught.value)
