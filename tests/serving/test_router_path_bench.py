"""make bench-router-path: a goal that is missed is said."""

from __future__ import annotations

import pytest

from benchmarks.router_path import missed

REACHED = {"alone_p50_ms": 2.0, "at_50_p99_ms": 9.0, "per_s": 600.0, "rss_mib": 200, "missing": 0}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"case": "int8"}, []),
        ({"case": "onnx", "alone_p50_ms": 4.0}, []),
        ({"case": "int8", "alone_p50_ms": 4.0}, ["int8: alone_p50_ms is 4.00, wanted 2.5"]),
        ({"case": "onnx", "per_s": 499.0}, ["onnx: per_s is 499.00, wanted 500"]),
        ({"case": "onnx", "missing": 1}, ["onnx: missing is 1.00, wanted 0"]),
        ({"case": "torch", "alone_p50_ms": 40.0}, []),
    ],
)
def test_a_missed_goal_is_said(row: dict[str, float], says: list[str]) -> None:
    """Of the cases that have goals."""
    assert list(missed([REACHED | row])) == says
