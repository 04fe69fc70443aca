"""As which type a device multiplies matrices while it trains; weights and moments keep their own."""

from __future__ import annotations

import time
from functools import cache

import torch

from headrace.models.bases import device

TOKENS, WIDTH, TIMES = 256, 384, 7
"""Of the layer that is timed, as an encoder's is, and how often: some tenths of a second of one core."""
CLEARLY = 1.25
"""So many times as fast bfloat16 has to be: a run goes on from a checkpoint only as the same type, and two that are
nearly as fast could change places from one attempt to the next."""


@cache
def products() -> str:
    """bfloat16 where the device has instructions for it and they are the faster ones, else float32."""
    if device().type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    can = torch.cpu.get_capabilities()
    has = can.get("avx512_bf16") or can.get("amx_bf16")
    return "bfloat16" if has and gain() >= CLEARLY else "float32"


def gain() -> float:
    """How many times as fast a layer's step is in bfloat16 as in float32 on this CPU, the best of a few of each.

    A processor may have the instructions and be slower by them: one with avx512_bf16 alone took 1.5 times as long.
    """
    with torch.random.fork_rng():
        layer, rows = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.randn(TOKENS, WIDTH, requires_grad=True)
    took = {short: min(_step(layer, rows, short) for _ in range(TIMES)) for short in (False, True)}
    return took[False] / took[True]


def _step(layer: torch.nn.Linear, rows: torch.Tensor, short: bool) -> float:
    """Processor seconds of a pass forward and back; short: in bfloat16"""
    began = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=short):
        found = layer(rows)
    found.float().sum().backward()
    return time.process_time() - began
