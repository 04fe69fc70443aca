"""What a model costs at a given traffic, from stated prices; models of 8 and 1 billion parameters by arithmetic alone.

Machines are always on, and counted in whole numbers (headrace/costs.py). Prices are assumptions, not quotations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headrace.costs import OWN_USD_PER_HOUR, TRAFFICS, Serving

TOKENS = 300
"""Of a request to a large model: the instructions, ten labels with descriptions, the question, and the answer."""
INCUMBENT_PARAMETERS = 70e9
INCUMBENT_P50_MS = 26_000.0
"""To the first token, as the case study has it."""
INCUMBENT_USD_PER_MILLION = 0.90
"""Tokens of a hosted model of 70 billion parameters."""
CORE_USD_PER_HOUR = OWN_USD_PER_HOUR
"""A machine with one core: what the plan takes where it is told nothing."""
INCUMBENT_PER_1K = INCUMBENT_USD_PER_MILLION * TOKENS / 1000
"""US dollars for a thousand requests, at any traffic."""


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU: 16-bit FLOP a second at its best, and the share of that which serving reaches; bytes a second from memory;
    US dollars an hour.
    """

    name: str
    flops: float
    share: float
    bytes_per_s: float
    usd_per_hour: float

    def seconds(self, parameters: float, tokens: int = TOKENS) -> float:
        """That a request takes which is answered by one pass over its tokens (the labels' first tokens are compared):
        2 FLOP a parameter and token, and at least one reading of the 16-bit weights.
        """
        return max(2 * parameters * tokens / (self.flops * self.share), 2 * parameters / self.bytes_per_s)


H100 = Card("H100 SXM", 989e12, 0.4, 3.35e12, 3.0)
ARITHMETIC = {"8B": 8e9, "1B": 1e9}


def usd_a_day(busy_s: float, usd_per_hour: float) -> dict[str, float]:
    """For each traffic, on machines that a request keeps busy for so many seconds."""
    serving = Serving(usd_per_hour, busy_s)
    return {_name(traffic): serving.fixed_per_day(traffic) for traffic in TRAFFICS}


def incumbent_usd_a_day() -> dict[str, float]:
    """For each traffic, by the token."""
    return {_name(traffic): INCUMBENT_PER_1K * traffic / 1000 for traffic in TRAFFICS}


def arithmetic(card: Card = H100) -> list[dict[str, Any]]:
    """Rows of the table of costs that nothing was measured for."""
    return [
        {
            "candidate": f"{name} (arithmetic)",
            "parameters": int(parameters),
            "mb": 2 * parameters / 1e6,
            "p50_ms": card.seconds(parameters) * 1000,
            "p95_ms": None,
            **usd_a_day(card.seconds(parameters), card.usd_per_hour),
        }
        for name, parameters in ARITHMETIC.items()
    ]


def conditions(card: Card = H100) -> dict[str, Any]:
    """What the costs assume, in words."""
    return {
        "tokens a request": TOKENS,
        "incumbent, USD a million tokens": INCUMBENT_USD_PER_MILLION,
        "one core, USD an hour": CORE_USD_PER_HOUR,
        card.name: f"{card.flops / 1e12:g} TFLOP/s at {card.share:.0%}, {card.bytes_per_s / 1e12:g} TB/s, "
        f"{card.usd_per_hour:g} USD an hour",
    }


def _name(traffic: int) -> str:
    return f"{traffic:,} a day"
