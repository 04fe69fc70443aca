"""What the incumbent would have cost for requests that it did not answer, with its interval; shared machines."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace.plan import Plan
from headrace.savings import savings

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
INCUMBENT = {"url": "http://127.0.0.1:9/v1", "model": "big", "version": "big@0"}
TASK = {"labels": ["hr", "it"], "incumbent": INCUMBENT, "candidates": {"probe": {"method": "probe"}}}
NOBODY = {"reviews": 0, "verdicts": 0, "told": 0, "tokens_in": 0, "tokens_out": 0}


def plan(*tasks: str) -> Plan:
    return Plan.model_validate({"version": 1, "tasks": dict.fromkeys(tasks, TASK)})


def row(version: str, part: int, at: datetime, **sums: float) -> dict[str, Any]:
    """A row of cli/savings.sql."""
    nothing = dict.fromkeys(("fitted", "fitted_characters", "squares", "fitted_usd", "products"), 0.0)
    found = {"candidate": "", "day": at.date(), "part": part, "first_at": at, "last_at": at + timedelta(hours=1)}
    return (
        found | nothing | {"version": version, "requests": 0, "characters": 0.0, "usd": 0.0, "shadow_usd": 0.0} | sums
    )


def sessions(draw: random.Random, number: int, longer: float) -> list[list[tuple[float, float]]]:
    """Of each some questions: characters, and the price of the incumbent's tokens, which sessions have in common."""
    found = []
    for _ in range(number):
        common = draw.gauss(0, 1e-5)
        lengths = [draw.lognormvariate(4, 0.5) * longer for _ in range(draw.randint(1, 4))]
        found.append([(length, 2e-4 + 3e-7 * length + common + draw.gauss(0, 2e-5)) for length in lengths])
    return found


def test_the_interval_holds_what_it_would_have_cost() -> None:
    """In nineteen of twenty worlds, though the later questions are half as long again as those that it answered."""
    draw, held, rounds = random.Random(4), 0, 200
    for _ in range(rounds):
        rows, truth = [], 0.0
        for number, asked in enumerate(sessions(draw, 150, 1.0)):
            sums = {
                "fitted": len(asked),
                "fitted_characters": sum(x for x, _ in asked),
                "squares": sum(x * x for x, _ in asked),
                "fitted_usd": sum(y for _, y in asked),
                "products": sum(x * y for x, y in asked),
            }
            rows.append(row("big@0", number % 40, SINCE - timedelta(days=9), **sums))
        for number, asked in enumerate(sessions(draw, 150, 1.5)):
            truth += sum(y for _, y in asked)
            characters = sum(x for x, _ in asked)
            rows.append(row("router@1", number % 40, SINCE, requests=len(asked), characters=characters, usd=1e-6))
        (found,) = savings(plan("router"), {"router": rows}, {"router": NOBODY}, SINCE, SINCE, {})
        spent = found["spent_usd"]
        held += found["saved_low"] + spent <= truth <= found["saved_high"] + spent
    assert 0.90 * rounds <= held <= 0.99 * rounds, held


def test_a_shared_machine_is_paid_once() -> None:
    """Two tasks in one gateway: its hours are split by busy time, and add up to one machine's."""
    rows = {
        "router": [row("router@1", 0, SINCE, requests=10, usd=0.003), row("router@1", 0, SINCE + timedelta(days=2))],
        "mail": [row("mail@1", 0, SINCE, requests=10, usd=0.001)],
    }
    found = savings(plan("router", "mail"), rows, dict.fromkeys(rows, NOBODY), SINCE, SINCE, {})
    paid = {one["task"]: one["fixed_usd"] for one in found}
    assert sum(paid.values()) == pytest.approx(49 * 0.05) and paid["router"] == pytest.approx(3 * paid["mail"])
    assert [one["incumbent_usd"] for one in found] == [None, None], "none of its answers is stored"


def test_verdicts_that_tell_no_tokens_take_as_many_as_the_others() -> None:
    """Judge and experts are counted, and raise the traffic at which the machine pays."""
    judge = {"url": "http://127.0.0.1:9/v1", "model": "j", "usd_per_million_in": 1.0, "usd_per_million_out": 2.0}
    made = Plan.model_validate(
        {"version": 1, "tasks": {"router": TASK | {"judge": judge, "audit": {"usd_per_review": 0.5}}}}
    )
    told = NOBODY | {"verdicts": 20, "told": 10, "tokens_in": 3000, "tokens_out": 500, "reviews": 4}
    rows = {"router": [row("router@1", 0, SINCE, requests=10, usd=0.003)]}
    (found,) = savings(made, rows, {"router": told}, SINCE, SINCE, {})
    assert found["judge_usd"] == pytest.approx(2 * (3000 + 1000) / 1e6) and found["experts_usd"] == 2.0
    assert found["spent_usd"] == pytest.approx(found["fixed_usd"] + 2.008)


FITTED = {"fitted": 10, "fitted_characters": 1000.0, "squares": 100_000.0, "fitted_usd": 0.01, "products": 1.0}


def test_a_loaded_version_costs_its_machine_though_nobody_asks() -> None:
    """Asked for an hour, loaded for thirty days, it costs these; one that is no longer loaded ends with its answers."""
    now = SINCE + timedelta(days=30)
    rows = {"router": [row("router@1", part, SINCE, requests=10, characters=1000.0, usd=1e-5) for part in range(40)]}
    big = {"requests": 10, "characters": 1000.0, "usd": 0.01}
    rows["router"] += [row("big@0", part, SINCE, **big, **FITTED) for part in range(40)]
    (idle,) = savings(plan("router"), rows, {"router": NOBODY}, SINCE, now, {"router": ["router@1", "big@0"]})
    assert idle["fixed_usd"] == pytest.approx(30 * 24 * 0.05) and idle["saved_high"] < 0
    assert idle["requests_per_day"] == pytest.approx(800 / 30)
    (gone,) = savings(plan("router"), rows, {"router": NOBODY}, SINCE, now, {})
    assert gone["fixed_usd"] == pytest.approx(0.05)


def test_what_the_incumbent_answers_for_nobody_is_no_saving() -> None:
    """Its shadow answers are spent, and it would not have given them."""
    rows = [row("big@0", part, SINCE, requests=10, characters=1000.0, usd=0.01, **FITTED) for part in range(40)]
    for shadow in (0.0, 0.002):
        beside = [one | {"usd": 0.01 + shadow, "shadow_usd": shadow} for one in rows]
        (found,) = savings(plan("router"), {"router": beside}, {"router": NOBODY}, SINCE, SINCE, {})
        assert found["incumbent_usd"] == pytest.approx(0.4)
        assert found["spent_usd"] == pytest.approx(0.4 + 40 * shadow)


def test_a_shared_machine_pays_sooner_and_a_chain_has_its_part() -> None:
    """Another task's busy time counts for the break-even; what does not tell its own is counted by its requests."""
    answered = [row("big@0", part, SINCE, requests=0, **FITTED) for part in range(40)]
    answered += [row("router@1", 0, SINCE, requests=1000, characters=1e5, usd=0.002)]
    alone = savings(plan("router"), {"router": answered}, {"router": NOBODY}, SINCE, SINCE, {})[0]
    rows = {"router": answered, "mail": [row("mail@1", 0, SINCE, requests=1000, usd=0.002)]}
    found = savings(plan("router", "mail"), rows, dict.fromkeys(rows, NOBODY), SINCE, SINCE, {})
    shared = next(one for one in found if one["task"] == "router")
    assert shared["break_even_per_day"] < alone["break_even_per_day"]
    quiet = rows | {"mail": [row("mail@1", 0, SINCE, requests=3000, usd=0.0)]}
    found = savings(plan("router", "mail"), quiet, dict.fromkeys(rows, NOBODY), SINCE, SINCE, {})
    paid = {one["task"]: one["fixed_usd"] for one in found}
    assert paid["mail"] == pytest.approx(3 * paid["router"])
