"""What serving costs: machine hours, tokens, and the traffic from which a machine pays."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from headrace.costs import Serving, engine_of, serving_of, shared_s, usd_per_hour
from headrace.plan import Plan

CORE = Serving(usd_per_hour=0.05, busy_s=0.01)
TASK = {
    "labels": ["hr", "it"],
    "incumbent": {"url": "http://127.0.0.1:9/v1", "model": "big", "version": "big@0"},
    "candidates": {"probe": {"method": "probe"}, "dear": {"method": "probe", "usd_per_hour": 0.2},
                   "far": {"method": "full", "engine": "gpu"}},
}  # fmt: skip


def plan(**tasks: Any) -> Plan:
    """A plan with an engine that has a price of its own."""
    engines = {"gpu": {"kind": "in_process", "usd_per_hour": 3.0}}
    return Plan.model_validate({"version": 1, "tasks": tasks or {"router": TASK}, "engines": engines})


def test_an_idle_machine_is_not_free() -> None:
    """At $.05 an hour a thousand requests a day cost $1.20 a thousand; from 10,909 on it is cheaper than $.11."""
    assert CORE.per_1k(1_000) == pytest.approx(1.2)
    assert CORE.per_1k(10_000_000) == pytest.approx(2 * 0.05 * 24 / 10_000)
    assert CORE.break_even(0.11) == pytest.approx(10_909, abs=1)
    assert CORE.engine_per_1k == pytest.approx(0.05 * 10 / 3600)


def test_traffic_that_is_not_known_has_no_price() -> None:
    """Neither a promise nor an alarm is made of it."""
    assert CORE.per_1k(0) == 0 and Serving(usd_per_1k=0.11).per_1k(0) == 0


def test_tokens_cost_the_same_at_any_traffic() -> None:
    """An upstream has no machine to fill."""
    upstream = Serving(usd_per_1k=0.11)
    assert [upstream.per_1k(requests) for requests in (1, 1_000, 10_000_000)] == [0.11] * 3
    assert upstream.machines(1e9) == 0 and upstream.break_even(0.2) == 0 and upstream.break_even(0.1) == inf


def test_a_machine_that_fills_before_it_pays_never_does() -> None:
    """Ten seconds a request: 6,048 a day fill a machine, which costs more than they are worth elsewhere."""
    assert Serving(0.05, 10).break_even(0.11) == inf
    assert Serving(0.05, 0.01, usd_per_1k=0.05).break_even(0.11) == pytest.approx(20_000)


def test_a_shared_machine_is_split_by_busy_time() -> None:
    """Two versions of one machine pay it together, each by the seconds for which it keeps the machine busy."""
    first = Serving(0.05, 0.01, shared_s=300.0)
    second = Serving(0.05, 0.03, shared_s=100.0)
    days = first.fixed_per_day(10_000), second.fixed_per_day(10_000)
    assert days == pytest.approx((0.3, 0.9)) and sum(days) == pytest.approx(24 * 0.05)
    full = Serving(0.05, 0.01, shared_s=100_000.0)
    assert full.machines(1_000) == 2


def test_each_version_has_the_price_of_its_own_machine() -> None:
    """The engine's that its candidate names, else the candidate's own, else the default."""
    found = plan()
    prices = [usd_per_hour(found, "router", name) for name in ("probe", "dear", "far", "gone", "")]
    assert prices == [0.05, 0.2, 3.0, 0.05, 0.05]
    assert [engine_of(found, "router", name) for name in ("probe", "far")] == ["", "gpu"]


def test_recorded_costs_are_tokens_or_engine_seconds() -> None:
    """An incumbent's are tokens, a version's own are seconds of its machine, and a chain's stay as they are."""
    chain = {"method": "chain", "base": "chain", "tiers": ["probe", "incumbent"]}
    found = plan(router=TASK | {"candidates": {"probe": {"method": "probe"}, "chain": chain}})
    assert serving_of(found, "router", "big@0", "", 0.11) == Serving(usd_per_1k=0.11)
    assert serving_of(found, "router", "router@1", "probe", 0.05 / 3.6).busy_s == pytest.approx(1.0)
    assert serving_of(found, "router", "router@2", "chain", 0.04) == Serving(0.05, usd_per_1k=0.04)


def test_what_other_tasks_take_of_a_machine_is_read_off_their_answers() -> None:
    """Engine seconds times the price is what an answer costs; an incumbent's tokens take none of the machine."""
    found = plan(router=TASK, mail=TASK, voice=TASK | {"engine": "gpu"})
    usd = {("router", "router@1"): 9.0, ("mail", "mail@1"): 0.05, ("mail", "big@0"): 5.0, ("voice", "voice@1"): 3.0}
    assert shared_s(found, "router", "", usd) == pytest.approx(3600)
    assert shared_s(found, "router", "gpu", usd) == pytest.approx(3600)
