"""What the routes call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from headrace.plan import Plan
from serving.callers import Callers
from serving.gateway import Gateway
from serving.intake import Intake
from serving.limits import Limits
from serving.metrics import Metrics
from serving.room import Bounds
from serving.turns import Turns


@dataclass(frozen=True, slots=True)
class Parts:
    """The pieces of one gateway.

    secret: what answer tokens are made with
    unready: why the gateway is not ready, one sentence each; empty when it is
    refresh: brings the gauges of the metrics up to date
    """

    plan: Plan
    gateway: Gateway
    intake: Intake
    callers: Callers
    secret: SecretStr
    limits: Limits
    bounds: Bounds
    turns: Turns
    metrics: Metrics
    unready: Callable[[], list[str]]
    refresh: Callable[[], None]
