"""Plans of tests that take minutes and run seldom: whether they still are what they are made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from reduced_plan import reduced_plan
from vllm_plan import vllm_plan

from headrace.plan import parse


@pytest.mark.parametrize("written", [reduced_plan, vllm_plan])
def test_a_plan_of_a_long_test_is_a_plan(written: Callable[[], str]) -> None:
    """Each word that it replaces is in the demo's plan, and what comes out is read."""
    assert list(parse(written()).tasks) == ["router"]
