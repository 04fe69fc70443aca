"""What the routes call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from headrace.plan import Plan
from serving.answering.gateway import Gateway
from serving.http.callers import Callers
from serving.http.capacity import Room
from serving.http.large_work import Turns
from serving.http.limits import Limits
from serving.http.metrics import Metrics
from serving.intake.acceptance import Intake
from serving.proxy.proxy import Proxy


@dataclass(frozen=True, slots=True)
class Parts:
    """The pieces of one gateway.

    secret: what answer tokens are made with
    unready: why the gateway is not ready, one sentence each; empty when it is
    degraded: what is wrong all the same
    refresh: brings the gauges of the metrics up to date
    """

    plan: Plan
    gateway: Gateway
    proxy: Proxy
    intake: Intake
    callers: Callers
    secret: SecretStr
    limits: Limits
    room: Room
    turns: Turns
    metrics: Metrics
    unready: Callable[[], list[str]]
    degraded: Callable[[], list[str]]
    refresh: Callable[[], None]
